# What all rules share: the plan, the names of files, and what the wildcards of a job stand for.
import json
import os
import re
import sys
from functools import cache
from pathlib import Path

from alexnet2012 import preflight
from alexnet2012.config.plan import TARGETS, make_plan
from alexnet2012.config.validate import read_yaml
from alexnet2012.cpu import KEEP_LARGE_BUFFERS, count_usable_cores
from alexnet2012.errors import AlexNet2012Error
from alexnet2012.fingerprint import fingerprint
from alexnet2012.provenance import read_commit

DATA = Path("data")
SOURCE = ", ".join(str(path).removeprefix(f"{os.getcwd()}/") for path in workflow.configfiles)
try:
    for path in workflow.configfiles:
        read_yaml(Path(path))  # Snakemake's reader takes a key that is written twice
    read_commit()  # a result without its commit is refused, and that is better known before it is made
    PLAN = make_plan(config, SOURCE, Path("config/variants.yaml"), TARGETS)
    preflight.refuse_places_of_packed(PLAN.config, SOURCE, DATA)
    preflight.refuse_missing_folders(PLAN.narrow(), SOURCE, DATA)
except AlexNet2012Error as error:
    sys.exit(f"error: {error}")

# A dry run may plan archives that are not here yet; a real one stops before its first job, see the Snakefile's onstart.
for sentence in preflight.list_missing(PLAN.config, SOURCE, DATA, PLAN.narrow().datasets):
    print(f"missing: {sentence}", file=sys.stderr)


@cache
def shown():
    """The part of the plan that tables, figures and the report show.

    The targets `all`, `claims` and `full` make the same files, so what stands in these depends on the target, which
    Snakemake tells only after it has read the rules: this can be called by input functions alone. What `claims` and
    `full` have made stays in the tables of the default target, until other code would train it anew: the default target
    never does that.
    """
    try:
        return preflight.choose_shown(PLAN, set(TARGETS) & set(workflow.dag_settings.targets))
    except AlexNet2012Error as error:
        sys.exit(f"error: {error}")


RESULTS = f"results/{PLAN.config.name}"
TRACKING = f"{RESULTS}/tracking.json"
EXPERIMENTS = f"{RESULTS}/experiments.json"
TABLES = [f"{RESULTS}/tables/{name}.md" for name in ("table1", "table2", "in_text", "claims")]
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

# Of all targets: a single job, as a cluster runs it, does not know for which one it runs.
RUNS = {str(run.folder): run for run in PLAN.trainings}
SEARCHES = PLAN.searches
MEMBERS = {str(ensemble.predictions): ensemble.members for ensemble in PLAN.ensembles}

# Two rules make a run's folder: one for nets, one for the baselines that table 1 compares them with.
BASELINES = "|".join(sorted({re.escape(run.variant) for run in RUNS.values() if run.is_baseline})) or "(?!)"
NETS = rf"(?!(?:{BASELINES})-[0-9a-f]{{8}}/)[^/]+"

# A job claims its share of --cores: `--cores 8` on a machine with two usable cores must not start four times as many jobs as
# run at full speed. A job of all cores that another machine runs has what it was sent with: --set-threads, or one.
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
    """The net that a training takes layers from."""
    start = run_of(wildcards).starts_from
    return [f"{start.run.folder}/{name}" for name in ("model.safetensors", "record.json")] if start else []


def option(name, files):
    """The folders of `files` as an option of a verb; nothing where there are none."""
    return [name, *dict.fromkeys(map(os.path.dirname, files))] if files else []


def files_of(runs, name):
    return [f"{run.folder}/{name}" for run in runs]


def predicted(folder, split="{split}", ends=("-ten_crop.npy", "-centre.npy", "-ranks.npz", ".json")):
    return [f"{folder}/{split}{end}" for end in ends]


def records_of(*evaluated):
    """What tables read of the predictions of runs or ensembles: records and ranks, on the splits with public labels."""
    both = [(each.predictions, split) for each in evaluated for split in each.splits]
    return [file for folder, split in both for file in predicted(folder, split, ends=(".json", "-ranks.npz"))]


def analyses_of(plan):
    return [f"{run.analysis}/analysis.json" for run in plan.analysed]
