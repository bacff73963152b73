# The workflow is in workflow/. Snakemake finds this file first, and with it profiles/default, which lies beside it.
include: "workflow/Snakefile"


workflow.default_target = "all"  # Snakemake ignores that of an included file
