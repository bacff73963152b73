import copy
import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from fake_imagenet import Edition, write_release
from workflow_copy import EPOCHS, SMALL_BASELINES, TINY, Project, killed_in_the_end, wait_for

# A variant with a learning-rate search.
SEARCHING = """
  searching:
    section: "3.1"
    claims: [C11]
    net:
      kind: layers
      crop_px: 12
      layers: [{type: fc, name: fc1, init_std: 0.001}]
    training:
      learning_rate_search: {rates: [0.0001, 1000000.0], epochs: 1}
      schedule: {kind: target, train_error: 0.25, max_epochs: 2}

"""
CLAIMS = [{"dataset": "pictures", "variants": ["no-lrn", "searching"], "seeds": [0]}]
FULL = [
    {"variant": "sift-fv", "seeds": [0], "tables": ["table1", "table2"]},
    {"variant": "sparse-coding", "seeds": [0], "tables": ["table1"]},
    {"variant": "1-cnn-star", "seeds": [0], "pretrained_on": "turned", "tables": ["table2"]},
    {"ensemble": "7-cnns-star", "tables": ["table2"]},
    {"variant": "net145", "seeds": [0], "epochs": 4, "tables": ["table2", "in_text"]},
    {"variant": "net148", "seeds": [0], "epochs": 4, "tables": ["in_text"]},
    {"dataset": "fall2009", "variant": "cnn-sixth-layer", "seeds": [0], "tables": ["in_text"]},
]


@dataclass(frozen=True)
class Reproduction:
    """A workflow in which a training was killed with SIGKILL, and which was then run again to its end."""

    project: Project
    killed: Path  # the state folder of the training that was killed
    first_code: int
    first_output: str
    left_over: frozenset[str]  # files of that training's run folder after the first run
    run_id: str  # the training's run in MLflow before the kill
    second_output: str
    resumed_log: str


@pytest.fixture(scope="session")
def reproduction(tmp_path_factory) -> Reproduction:
    project = Project.copy(tmp_path_factory.mktemp("workflow") / "project")
    process = project.start("--cores", "2")
    with killed_in_the_end(process):
        state = wait_for(process, lambda: find_training(project))
        os.kill(int((state / "lock").read_text(encoding="utf-8")), signal.SIGKILL)
        first_output, _ = process.communicate(timeout=120)
    folder = state.parent
    left_over = frozenset(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    run_id = json.loads((state / "run.json").read_text(encoding="utf-8"))["run_id"]
    second_output = project.run()
    log = project.root / "results/tiny/logs/train" / folder.relative_to(project.root / "results/tiny/runs")
    return Reproduction(
        project,
        state,
        process.returncode,
        first_output,
        left_over,
        run_id,
        second_output,
        log.with_suffix(".log").read_text(encoding="utf-8"),
    )


def find_training(project: Project) -> Path | None:
    """The state folder of a training after its first epoch but in the first half of its epochs, or None."""
    for state in project.state_folders():
        steps = [int(path.stem.split("-")[1]) for path in state.glob("checkpoint-*.pt")]
        if 12 < max(steps, default=0) < 12 * EPOCHS // 2:
            return state
    return None


@pytest.fixture(scope="session")
def finished(reproduction) -> Project:
    """The finished project; tests must not change it."""
    return reproduction.project


@pytest.fixture
def twin(finished, tmp_path) -> Project:
    """A copy of the finished project that a test may change."""
    return finished.twin(tmp_path / "twin")


@dataclass(frozen=True)
class Extended:
    """The finished project with an extended configuration, after `claims` and `full`; tests must not change it."""

    project: Project
    plans: dict[str, dict[str, int]]  # by target, before the run; "" is the default target
    table2: str  # before the run


@pytest.fixture(scope="session")
def extended(finished, tmp_path_factory) -> Extended:
    """The configuration gains sections `claims` and `full`, 7-cnns-star with three members, and a Fall 2009 release."""
    project = finished.twin(tmp_path_factory.mktemp("extended") / "project")
    edition = Edition.draw(classes=5, train=12, val=1, test=1)
    write_release(project.root / "fall", edition)
    (project.root / "classes.txt").write_text("".join(f"{wnid}\n" for wnid in edition.wnids), encoding="utf-8")
    values = copy.deepcopy(TINY)
    values["datasets"]["turned"] = {"kind": "rotations", "of": "pictures"}
    release = {"kind": "fall2009", "folder": "fall", "class_list": "classes.txt", "size_px": 16}
    values["datasets"]["fall2009"] = {**release, "val_fraction": 0.002, "test_fraction": 0.5}
    values["baselines"] = SMALL_BASELINES
    values["claims"] = CLAIMS
    values["full"] = [{"dataset": "pictures", **line} for line in FULL]
    project.configure(values)
    path = project.root / "config" / "variants.yaml"
    variants = yaml.safe_load(path.read_text(encoding="utf-8").replace("variants:\n", f"variants:\n{SEARCHING}", 1))
    of_five, pretrained = variants["ensembles"]["7-cnns-star"]["members"]
    of_five["seeds"], pretrained["seeds"] = [0, 1], [0]
    path.write_text(yaml.safe_dump(variants), encoding="utf-8")
    plans = {target: project.plan(*target.split()) for target in ("", "claims", "full")}
    table2 = "results/tiny/tables/table2.md"
    project.run(table2)
    before = (project.root / table2).read_text(encoding="utf-8")
    project.run("claims", "full")
    return Extended(project, plans, before)
