import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
from workflow_copy import EPOCHS, Project, killed_in_the_end, wait_for


@dataclass(frozen=True)
class Reproduction:
    """A workflow whose first training was killed with SIGKILL and which was simply run again, to its end."""

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
        os.kill(int((state / "lock").read_text()), signal.SIGKILL)
        first_output, _ = process.communicate(timeout=120)
    folder = state.parent
    left_over = frozenset(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    run_id = json.loads((state / "run.json").read_text())["run_id"]
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
        log.with_suffix(".log").read_text(),
    )


def find_training(project: Project) -> Path | None:
    """The state folder of a training in the first half of its epochs, but not in the first."""
    for state in project.state_folders():
        steps = [int(path.stem.split("-")[1]) for path in state.glob("checkpoint-*.pt")]
        if 12 < max(steps, default=0) < 12 * EPOCHS // 2:
            return state
    return None


@pytest.fixture(scope="session")
def finished(reproduction) -> Project:
    """The finished project; not to be changed."""
    return reproduction.project


@pytest.fixture
def twin(finished, tmp_path) -> Project:
    """The finished project once more, to be changed."""
    return finished.twin(tmp_path / "twin")
