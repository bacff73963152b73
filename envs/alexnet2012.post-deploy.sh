# Snakemake runs this from the working directory, inside the environment that it has just made.
python -m pip install --no-deps --editable .
