"""The configuration files that come with the project, and that each stands alone."""

import re

import pytest
import yaml
from workflow_copy import REPOSITORY, count_jobs

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.config.nets import NetConfig
from alexnet2012.config.plan import TARGETS, Plan, make_plan
from alexnet2012.config.schema import RunConfig, TrainingConfig

CONFIGS = sorted(path.name for path in (REPOSITORY / "config").glob("*.yaml") if path.name != "variants.yaml")


def plan_of(name: str, *targets: str) -> Plan:
    values = yaml.safe_load((REPOSITORY / "config" / name).read_text(encoding="utf-8"))
    return make_plan(values, name, REPOSITORY / "config" / "variants.yaml", targets)


@pytest.fixture
def original(fresh):
    """With the repository's own variants."""
    (fresh.root / "config" / "variants.yaml").write_bytes((REPOSITORY / "config" / "variants.yaml").read_bytes())
    return fresh


def test_every_configuration_can_be_planned_and_has_a_name_of_its_own(monkeypatch, tmp_path):
    """`.ci/run` lets Snakemake plan each of them too."""
    monkeypatch.chdir(tmp_path)
    plans = [plan_of(name, *TARGETS) for name in CONFIGS]
    assert all(plan.trainings for plan in plans)
    assert len({plan.config.name for plan in plans}) == len(CONFIGS)


def test_snakemake_runs_the_jobs_of_the_plan_of_all_targets(original):
    everything = plan_of("cifar10.yaml", *TARGETS)

    plan = original.plan(*TARGETS, "benchmark", config="config/cifar10.yaml")

    baselines = [run for run in everything.runs if run.is_baseline]
    assert plan["train_net"] == len(everything.trainings) - len(baselines)
    assert plan["predict"] == len(everything.runs) - len(baselines)
    assert plan["train_baseline"] == len(baselines) > 0
    assert plan["predict_baseline"] == sum(len(run.splits) for run in baselines)
    assert plan["benchmark"] == 1


def planned(project, config: str | None) -> tuple[set[str], dict[str, int]]:
    """The folders of the runs that Snakemake would train, whose names hold a hash over all that decides weights; and
    the numbers of all jobs."""
    done = project.snakemake("-n", "--verbose", config=config)
    assert done.returncode == 0, done.stdout
    folders = set(re.findall(r"results/[^/ ]+/runs/[^/ ]+/[^/ ]+/seed\d+(?=/model)", done.stdout))
    return folders, count_jobs(done.stdout)


def test_without_a_configfile_the_rehearsal_is_planned_and_no_benchmark(original):
    made = plan_of("config.yaml")
    assert made.config.name == "rehearsal"

    folders, jobs = planned(original, config=None)

    assert folders == {str(run.folder) for run in made.runs}
    assert "benchmark" not in jobs


@pytest.mark.slow
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

    assert planned(original, config="config/tiny.yaml")[0] == {str(run.folder)}


@pytest.mark.slow
def test_a_part_of_the_work_can_be_asked_for(fresh):
    """Without tables at its end a run that did what was asked is a success."""
    done = fresh.snakemake("--cores", "2", "data/pictures/manifest.json")

    assert (fresh.root / "data/pictures/manifest.json").exists()
    assert done.returncode == 0, done.stdout
