from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.27")


report: "workflow/report/workflow.rst"


# The default, loaded only without --configfile, because Snakemake would merge the two files.
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/tracking.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/baselines.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/benchmark.smk"


# Local on a cluster too: they take seconds, and the tracking store must exist before other machines use it.
localrules:
    all,
    claims,
    full,
    list_experiments,
    initialise_tracking,
    publish_tables,


rule all:
    default_target: True
    input:
        TABLES,
        PUBLISHED,
        REPORT,
        CARDS,


# `claims` and `full` make the same files as `all`, but with the experiments of the configuration's section of that name
# added: those of the ledger, and those of tables 1 and 2. `shown` in common.smk finds out which target was requested.
rule claims:
    input:
        rules.all.input,


rule full:
    input:
        rules.all.input,


onstart:
    # Write the settings of the trainings that Snakemake is about to run; no rule makes them (see preflight.py).
    rules_that_train = () if workflow.touch else ("train_net", "train_baseline")
    trainings = [run_of(job.wildcards) for job in workflow.dag.needrun_jobs() if job.rule.name in rules_that_train]
    try:
        preflight.begin(shown(), SOURCE, DATA, trainings)
    except AlexNet2012Error as error:
        raise WorkflowError(str(error)) from None


onsuccess:
    # There are no tables after a part of the work, such as --until train_net.
    if Path(RESULTS, "tables").is_dir():
        shell(f"alexnet2012 show {RESULTS}")
