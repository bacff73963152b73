# What all rules share: the plan, made and checked from the configuration before anything runs, and names of files.
import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

from alexnet2012.cpu import KEEP_LARGE_BUFFERS
from alexnet2012.errors import AlexNet2012Error
from alexnet2012.fingerprint import fingerprint
from alexnet2012.cpu import count_usable_cores
from alexnet2012.provenance import read_commit
from alexnet2012.preflight import (
    is_finished,
    list_archived,
    list_missing,
    refuse_places_of_packed,
    settings_file,
    write_settings,
)
from alexnet2012.reporting.figures.names import list_files
from alexnet2012.config.plan import TARGETS, make_plan
from alexnet2012.config.validate import read_yaml

VARIANTS = Path("config/variants.yaml")
DATA = Path("data")
HERE = f"{os.getcwd()}/"
SOURCE = ", ".join(str(path).removeprefix(HERE) for path in workflow.configfiles)
try:
    for path in workflow.configfiles:
        read_yaml(Path(path))  # Snakemake's reader takes a key that is written twice
    read_commit()  # a result without its commit is refused, and that is better known before it is made
    EVERYTHING = make_plan(config, SOURCE, VARIANTS, TARGETS)
    PLAN = make_plan(config, SOURCE, VARIANTS)
    refuse_places_of_packed(PLAN.config, SOURCE, DATA)
except AlexNet2012Error as error:
    sys.exit(f"error: {error}")


def records(*evaluated):
    """Every prediction's record and what tables count in it, of runs and of ensembles, on the splits whose labels are
    public."""
    return [
        f"{each.predictions}/{split}{end}"
        for each in evaluated
        for split in each.splits
        for end in (".json", "-ranks.npz")
    ]


@cache
def plan():
    """What tables and figures are made of, known once the targets are.

    The experiments of `claims` and of `full` are run when these are asked for. Those that are there stay in the tables
    afterwards, until other code would train them anew: the default target never does that.
    """
    asked = set(TARGETS) & set(workflow.dag_settings.targets)
    wanted = make_plan(config, SOURCE, VARIANTS, asked).experiments
    try:
        return EVERYTHING.keep(lambda experiment: experiment in wanted or is_finished(EVERYTHING, experiment))
    except AlexNet2012Error as error:
        sys.exit(f"error: {error}")


# A dry run may plan what is not here yet; a real one stops before its first job, see the Snakefile's onstart.
MISSING = list_missing(PLAN.config, SOURCE, DATA, PLAN.datasets)
for sentence in MISSING:
    print(f"missing: {sentence}", file=sys.stderr)

RESULTS = f"results/{PLAN.config.name}"
TRACKING = f"{RESULTS}/tracking.json"
PUBLISHED = f"{RESULTS}/published.txt"
CLAIMS = f"{RESULTS}/tables/claims.json"
FIGURES = f"{RESULTS}/figures/figures.json"
REPORT = f"{RESULTS}/report.html"
CARDS = f"{RESULTS}/model_cards.json"
ENVIRONMENT = "../../envs/alexnet2012.yaml"
RUN = f"{RESULTS}/runs/{{dataset}}/{{variant}}-{{hash8}}/seed{{seed}}"
PREDICTIONS = f"{RESULTS}/predictions/{{dataset}}/{{variant}}-{{hash8}}/seed{{seed}}"
ANALYSIS = f"{RESULTS}/analyses/{{dataset}}/{{variant}}-{{hash8}}/seed{{seed}}"
AVERAGE = f"{RESULTS}/predictions/{{dataset}}/{{ensemble}}-{{hash8}}/average"
TABLES = ("table1", "table2", "in_text", "claims")
BASE = "cnn"
SPLITS = ("val", "test")
DATASETS = PLAN.config.datasets

shell.prefix(f"export {' '.join(f'{name}={value}' for name, value in KEEP_LARGE_BUFFERS.items())}; ")

# A single job, as a cluster runs it, knows all runs, whatever was asked for.
RUNS = {str(run.folder): run for run in EVERYTHING.trainings}
SEARCHES = {str(folder): runs for folder, runs in EVERYTHING.searches.items()}
ENSEMBLES = {str(ensemble.predictions): ensemble for ensemble in EVERYTHING.ensembles}


# Two rules make a run's folder: one for nets, one for the systems that table 1 compares them with.
BASELINES = "|".join(re.escape(name) for name in {run.variant for run in RUNS.values() if run.is_baseline}) or "(?!)"
NETS = rf"(?!(?:{BASELINES})-[0-9a-f]{{8}}/)[^/]+"


wildcard_constraints:
    hash8="[0-9a-f]{8}",
    seed=r"\d+",
    split="|".join(SPLITS),


def run_of(wildcards):
    return RUNS[RUN.format(**wildcards)]


def members_of(wildcards):
    return ENSEMBLES[AVERAGE.format(**wildcards)].members


def analyses(plan):
    """What is looked at: the base net of every dataset, all its seeds."""
    record = f"{ANALYSIS}/analysis.json"
    return [
        record.format(
            dataset=run.dataset_name,
            variant=run.variant,
            hash8=run.hash8,
            seed=run.seed,
        )
        for run in plan.runs
        if run.variant == BASE
    ]


def searches_of(wildcards):
    return [f"{run.folder}/record.json" for run in SEARCHES.get(RUN.format(**wildcards), ())]


def start_of(wildcards):
    """What a training begins with that takes layers from another."""
    start = RUNS[RUN.format(**wildcards)].starts_from
    names = ("model.safetensors", "record.json") if start else ()
    return [f"{start.run.folder}/{name}" for name in names]


def start_folder(wildcards, input):
    return ["--start", os.path.dirname(input.start[0])] if input.start else []


def made_of(wildcards):
    """What is packed again where it changes: the images that are rotated, the list of classes."""
    dataset = DATASETS[wildcards.dataset]
    manifest = [f"data/{dataset.of}/manifest.json"] if dataset.of else []
    # One that is missing is told by list_missing.
    listed = [each for each in [dataset.class_list] if each and Path(each).exists()]
    return [*manifest, *listed]


def search_folders(wildcards, input):
    return ["--search", *map(os.path.dirname, input.searches)] if input.searches else []


def calibration():
    """The record of the calibration; its rule says so where the configuration asks for none."""
    section = PLAN.config.calibration
    return f"{RESULTS}/calibration/{section.dataset if section else '-'}.json"


def calibrated_manifest(wildcards):
    section = PLAN.config.calibration
    if section is None:
        raise WorkflowError(
            f"{SOURCE} has no calibration section; write `calibration: {{dataset: NAME}}` with an ilsvrc2012 dataset"
        )
    return f"data/{section.dataset}/manifest.json"


def calibrating_weights(wildcards):
    weights = PLAN.config.calibration.weights
    return ["--weights", weights] if weights else []


def made_calibrations(wildcards):
    """Calibrations are optional: tables show those that are there."""
    return sorted(str(path) for path in Path(RESULTS, "calibration").glob("*.json"))


def tables():
    return [f"{RESULTS}/tables/{table}.md" for table in TABLES]


def figures():
    """The pictures that come with the claims' experiments and without them; others lie beside, as figures.json says."""
    certain = [
        list_files(
            [(each.dataset, each.variant) for each in plan.experiments],
            analysed=bool(analyses(plan)),
        )
        for plan in (PLAN, EVERYTHING)
    ]
    return [f"{RESULTS}/figures/{name}" for name in certain[0] if name in certain[1]]


def claim_cores(torch_threads):
    """Snakemake threads for a job of so many torch threads.

    `--cores 8` on a machine with two usable cores must not start four times as many jobs as run at full speed: every
    rule claims its share in this way, so that the jobs run as they would with `--cores 2`.
    """
    offered = workflow.resource_settings.cores or 1
    return torch_threads * max(1, offered // count_usable_cores())


def all_cores():
    """Snakemake threads for a job beside which no other is to run on its machine.

    As another machine's job it has what it was sent with: --set-threads, or one.
    """
    return 1 if workflow.remote_exec else workflow.resource_settings.cores or 1


def start():
    """Before the first job, and not in a dry run: no image may be missing, and every archive is listed once."""
    needed = plan().datasets
    missing = list_missing(PLAN.config, SOURCE, DATA, needed)
    if missing:
        raise WorkflowError("Images are missing, and nothing was run:", *missing)
    write_settings(EVERYTHING, DATA)
    for name in list_archived(PLAN.config, DATA, needed):
        arguments = ["prepare", name, f"@{settings_file(name, DATA)}", "--check"]
        if subprocess.run(["alexnet2012", *arguments], check=False).returncode:
            raise WorkflowError(f"The archives of {name} are not as they should be, and nothing was run.")
