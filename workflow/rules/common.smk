# Shared by all rules: the plan, file names, and look-ups from a job's wildcards.
import json
import os
import re
import sys
from functools import cache
from pathlib import Path

from snakemake.utils import update_config

from alexnet2012 import preflight
from alexnet2012.config.plan import TARGETS, make_plan
from alexnet2012.config.validate import read_nested, read_yaml
from alexnet2012.cpu import KEEP_LARGE_BUFFERS, count_usable_cores
from alexnet2012.errors import AlexNet2012Error
from alexnet2012.fingerprint import fingerprint
from alexnet2012.project import find_project_file
from alexnet2012.provenance import read_commit

DATA = Path("data")
SOURCE = ", ".join(str(path).removeprefix(f"{os.getcwd()}/") for path in workflow.configfiles)
# Values of --config: sections and lists come as text, and mistakes in them are not the file's.
if OVERRIDES := workflow.config_settings.config:
    update_config(config, {key: read_nested(value) for key, value in OVERRIDES.items() if not isinstance(value, str)})
    SOURCE = f"{SOURCE} with --config {' '.join(OVERRIDES)}"
try:
    for path in workflow.configfiles:
        read_yaml(Path(path))  # refuses duplicate keys, which Snakemake's reader accepts
    read_commit()  # fails early if the commit is unknown, since results must record it
    PLAN = make_plan(config, SOURCE, find_project_file(Path("config/variants.yaml")), TARGETS)
    preflight.refuse_places_of_packed(PLAN.config, SOURCE, DATA)
    preflight.refuse_missing_folders(PLAN.narrow(), SOURCE, DATA)
except AlexNet2012Error as error:
    sys.exit(f"error: {error}")

# A dry run only reports missing archives; a real run stops before its first job, see onstart in the Snakefile.
for sentence in preflight.list_missing(PLAN.config, SOURCE, DATA, PLAN.narrow().datasets):
    print(f"missing: {sentence}", file=sys.stderr)


@cache
def shown():
    """The part of the plan that tables, figures and the report show.

    The targets `all`, `claims` and `full` make the same files with different content. Snakemake knows the target only
    after it has read the rules, so that only input functions may call this. Finished experiments of `claims` and `full`
    stay in the tables of the default target, which never trains them again: they disappear once their nets are outdated
    (trained by other code).
    """
    try:
        return preflight.choose_shown(PLAN, set(TARGETS) & set(workflow.dag_settings.targets))
    except AlexNet2012Error as error:
        sys.exit(f"error: {error}")


RESULTS = f"results/{PLAN.config.name}"
TRACKING = f"{RESULTS}/tracking.json"
EXPERIMENTS = f"{RESULTS}/experiments.json"
TITLES = {"table1": "Table 1", "table2": "Table 2", "in_text": "Numbers in the text", "claims": "Claims"}
TABLES = [f"{RESULTS}/tables/{name}.md" for name in TITLES]
CLAIMS = f"{RESULTS}/tables/claims.json"
ERRORS = f"{RESULTS}/tables/results.csv"
FIGURES = f"{RESULTS}/figures/figures.json"
REPORT = f"{RESULTS}/report.html"
CARDS = f"{RESULTS}/model_cards.json"
PUBLISHED = f"{RESULTS}/published.txt"
RUN, PREDICTIONS, ANALYSIS = (
    f"{RESULTS}/{kind}/{{dataset}}/{{variant}}-{{hash8}}/seed{{seed}}" for kind in ("runs", "predictions", "analyses")
)
AVERAGE = f"{RESULTS}/predictions/{{dataset}}/{{ensemble}}-{{hash8}}/average"
ENVIRONMENT = "../../envs/alexnet2012.yaml"

# The runs of all targets: a single job on a cluster does not know for which target it runs.
RUNS = {str(run.folder): run for run in PLAN.trainings}
SEARCHES = PLAN.searches
MEMBERS = {str(ensemble.predictions): ensemble.members for ensemble in PLAN.ensembles}


def one_of(names):
    """A regular expression for any of `names`."""
    return "|".join(sorted(map(re.escape, set(names)))) or "(?!)"


# Two rules make run folders: one for nets, and one for table 1's baselines.
BASELINES = one_of(run.variant for run in RUNS.values() if run.is_baseline)
NETS = rf"(?!(?:{BASELINES})-[0-9a-f]{{8}}/)[^/]+"
# Two rules predict with nets: one for datasets whose test labels are public, and one for the others.
TESTED = one_of(run.dataset_name for run in RUNS.values() if "test" in run.splits)
UNTESTED = rf"(?!(?:{TESTED})/)[^/]+"

# A job claims its share of --cores, so that `--cores 8` on a machine with two usable cores does not start four times as
# many jobs as can run at full speed. On a cluster, a job for all cores gets those of --set-threads, or one.
OFFERED = workflow.resource_settings.cores or 1
CORES_A_THREAD = max(1, OFFERED // count_usable_cores())
ALL_CORES = 1 if workflow.remote_exec else OFFERED


wildcard_constraints:
    hash8="[0-9a-f]{8}",
    seed=r"\d+",
    split="val|test",


shell.prefix(f"export {' '.join(f'{name}={value}' for name, value in KEEP_LARGE_BUFFERS.items())}; ")


def run_of(wildcards):
    return RUNS[RUN.format(**wildcards)]


def members_of(wildcards):
    return MEMBERS[AVERAGE.format(**wildcards)]


def start_of(wildcards):
    """The files of the net from which a training takes layers; empty if it starts from none."""
    start = run_of(wildcards).starts_from
    return [f"{start.run.folder}/{name}" for name in ("model.safetensors", "record.json")] if start else []


def option(name, files):
    """The folders of `files` as a command-line option; empty if there are no files."""
    return [name, *dict.fromkeys(map(os.path.dirname, files))] if files else []


def files_of(runs, name):
    return [f"{run.folder}/{name}" for run in runs]


def predicted(folder, split="{split}", ends=("-ten_crop.npy", "-centre.npy", "-ranks.npz", ".json")):
    return [f"{folder}/{split}{end}" for end in ends]


def records_of(*evaluated):
    """The records and ranks that tables read from predictions of runs or ensembles, on splits with public labels."""
    both = [(each.predictions, split) for each in evaluated for split in each.splits]
    return [file for folder, split in both for file in predicted(folder, split, ends=(".json", "-ranks.npz"))]


def analyses_of(plan):
    return [f"{run.analysis}/analysis.json" for run in plan.analysed]
