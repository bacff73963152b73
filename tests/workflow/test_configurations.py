"""The configuration files that come with the project, and that each stands alone."""

import re

import pytest
import yaml
from workflow_copy import REPOSITORY

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.config.nets import NetConfig
from alexnet2012.config.plan import TARGETS, make_plan
from alexnet2012.config.schema import RunConfig, TrainingConfig

CONFIGS = sorted(path.name for path in (REPOSITORY / "config").glob("*.yaml") if path.name != "variants.yaml")


def planned_folders(project, config: str | None) -> set[str]:
    """The folders of the runs that Snakemake would train, whose names hold a hash over all that decides weights."""
    done = project.snakemake("-n", "--verbose", config=config)
    assert done.returncode == 0, done.stdout
    return set(re.findall(r"results/[^/ ]+/runs/[^/ ]+/[^/ ]+/seed\d+(?=/model)", done.stdout))


@pytest.fixture
def original(fresh):
    """With the repository's own variants."""
    (fresh.root / "config" / "variants.yaml").write_bytes((REPOSITORY / "config" / "variants.yaml").read_bytes())
    (fresh.root / "data/downloads/photographs").mkdir(parents=True)  # of config/photographs.yaml, else refused
    return fresh


@pytest.mark.parametrize("name", CONFIGS)
def test_every_configuration_can_be_planned_for_all_targets(original, name):
    path = REPOSITORY / "config" / name
    everything = make_plan(
        yaml.safe_load(path.read_text(encoding="utf-8")), name, REPOSITORY / "config" / "variants.yaml", targets=TARGETS
    )

    plan = original.plan(*TARGETS, config=f"config/{name}")

    assert "benchmark" not in plan
    baselines = [run for run in everything.runs if run.is_baseline]
    assert plan["train_net"] == len(everything.trainings) - len(baselines)
    assert plan["predict"] == sum(len(run.splits) for run in everything.runs if not run.is_baseline)
    assert plan.get("train_baseline", 0) == len(baselines)
    assert plan.get("predict_baseline", 0) == sum(len(run.splits) for run in baselines)


def test_benchmarks_are_run_on_demand(original):
    assert original.plan("benchmark", config=None) == {"benchmark": 1, "initialise_tracking": 1}


def test_names_of_configurations_are_distinct():
    names = [yaml.safe_load((REPOSITORY / "config" / name).read_text(encoding="utf-8"))["name"] for name in CONFIGS]

    assert len(set(names)) == len(names)


def test_without_a_configfile_the_rehearsal_is_planned(original):
    values = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text(encoding="utf-8"))
    assert values["name"] == "rehearsal"
    made = make_plan(values, "config.yaml", REPOSITORY / "config" / "variants.yaml")

    assert planned_folders(original, config=None) == {str(run.folder) for run in made.runs}


def test_nothing_of_the_default_leaks_into_another_configuration(original):
    """Without `net:` and `training:` a configuration means the paper's, not the rehearsal's; Snakemake would merge."""
    original.configure(
        {
            "name": "papers-own",
            "datasets": {"pictures": {"kind": "imagefolder", "folder": "pictures"}},
            "experiments": [{"dataset": "pictures", "variant": "cnn", "seeds": [3], "tables": ["table1"]}],
        }
    )
    run = RunConfig(
        name="papers-own",
        variant="cnn",
        seed=3,
        dataset_name="pictures",
        dataset=DatasetConfig(kind="imagefolder", folder="pictures"),
        net=NetConfig(),
        training=TrainingConfig(),
    )

    assert planned_folders(original, config="config/tiny.yaml") == {str(run.folder)}


def test_a_part_of_the_work_can_be_asked_for(fresh):
    """Without tables at its end a run that did what was asked is a success."""
    done = fresh.snakemake("--cores", "2", "data/pictures/manifest.json")

    assert (fresh.root / "data/pictures/manifest.json").exists()
    assert done.returncode == 0, done.stdout
