from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")


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
        tables(),
        PUBLISHED,
        REPORT,
        CARDS,


# The ledger with every experiment of the configuration's `claims` section.
rule claims:
    input:
        rules.all.input,


# Table 2 with every row that this configuration can fill: the experiments of its `full` section.
rule full:
    input:
        rules.all.input,


onstart:
    start()


onsuccess:
    # A part of the work, such as --until train_net, leaves no tables.
    if Path(RESULTS, "tables").is_dir():
        shell(f"alexnet2012 show {RESULTS}")
