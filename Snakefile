from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.27")


report: "workflow/report/workflow.rst"


# The default is loaded only when no --configfile is given: Snakemake would merge a second file into it.
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


# On a cluster too: they take seconds, and the tracking store must have been made before any other machine asks for it.
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


# These two make the same files as `all`, with the experiments in them that the configuration's section of that name adds:
# `claims` those of the ledger, `full` those of tables 1 and 2. `shown` in common.smk sees which target is asked for.
rule claims:
    input:
        rules.all.input,


rule full:
    input:
        rules.all.input,


onstart:
    # What jobs need and no rule makes, see preflight.py: settings, of the trainings that Snakemake is about to run.
    rules_that_train = () if workflow.touch else ("train_net", "train_baseline")
    trainings = [run_of(job.wildcards) for job in workflow.dag.needrun_jobs() if job.rule.name in rules_that_train]
    try:
        preflight.begin(shown(), SOURCE, DATA, trainings)
    except AlexNet2012Error as error:
        raise WorkflowError(str(error)) from None


onsuccess:
    # A part of the work, such as --until train_net, leaves no tables.
    if Path(RESULTS, "tables").is_dir():
        shell(f"alexnet2012 show {RESULTS}")
