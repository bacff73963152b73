"""Prints the configuration of a run of seconds: `python tests/workflow/make_small_run.py FOLDER > ci.yaml`, with
tests/support on PYTHONPATH.

Its pictures are written to FOLDER; the variants are the project's own, so all five nets of the ensemble are trained.
"""

import sys
from pathlib import Path

import yaml
from workflow_copy import TINY, write_pictures


def main(folder: Path) -> None:
    write_pictures(folder / "pictures")
    values = {**TINY, "name": "ci"}
    values["datasets"] = {"ci": {**TINY["datasets"]["pictures"], "folder": str(folder / "pictures")}}
    cnn, _, ensemble = ({**experiment, "dataset": "ci"} for experiment in TINY["experiments"])
    two_devices = {"dataset": "ci", "variant": "cnn-two-devices", "seeds": [0], "tables": ["in_text"]}
    values["experiments"] = [cnn | {"seeds": [0, 1, 2, 3, 4]}, ensemble, two_devices]
    print(yaml.safe_dump(values, sort_keys=False))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
