import itertools
import json
import math
import multiprocessing
import os
import signal
import sys
import time
from itertools import count
from types import SimpleNamespace

import pandas as pd
import pytest
from tiny_training import (
    COMMIT,
    EPOCHS,
    STEPS_PER_EPOCH,
    TIMINGS,
    Died,
    die_at,
    newest_step,
    read_history,
    read_state,
    start,
    train_here,
    weights_digest,
    write_run,
)

from alexnet2012 import costs
from alexnet2012.cli import main, parse
from alexnet2012.config.schema import read_run
from alexnet2012.errors import DataError, TrainingError
from alexnet2012.files import SCHEMA, file_digest
from alexnet2012.fingerprint import fingerprint
from alexnet2012.training import loop
from alexnet2012.training.checkpoint import list_checkpoints
from alexnet2012.training.progress import EpochProgress
from alexnet2012.verbs.for_training import train_in_process

pytestmark = pytest.mark.usefixtures("offline")

STEPS = STEPS_PER_EPOCH * sum(EPOCHS)
PATIENCE_S = 90
DENSE = {"checkpoint_every_s": 1e-3}  # after nearly every step
SPARSE = {"checkpoint_every_s": 600.0}  # at the ends of epochs alone


def read_record(folder) -> dict:
    return json.loads((folder / "record.json").read_text(encoding="utf-8"))


def verb(folder) -> list[str]:
    """`alexnet2012` trains the run with these arguments."""
    return ["train", str(folder), "--data", f"{folder.parent}/data", "--tracking", f"{folder.parent}/tracking.json"]


def assert_finished_as(folder, alone) -> None:
    assert weights_digest(folder) == weights_digest(alone)
    pd.testing.assert_frame_equal(read_history(folder), read_history(alone), check_exact=True)
    assert list_checkpoints(folder / "state") == []


@pytest.fixture
def interrupt(root, monkeypatch):
    """interrupt(name): the folder of a run that died two steps after its second epoch, its last checkpoint."""

    def interrupt(name: str, train=train_here, **changes):
        folder = write_run(root, name, **{"runtime": SPARSE, **changes})
        with monkeypatch.context() as patch, pytest.raises(Died):
            die_at(patch, lambda epoch, batch: (epoch, batch) == (3, 2))
            train(folder)
        return folder

    return interrupt


@pytest.fixture
def fork():
    """fork(function, ...) runs it in a copy of this process, which has torch already, and is killed in the end."""
    started = []

    def run(function, *arguments) -> multiprocessing.Process:
        process = multiprocessing.get_context("fork").Process(target=function, args=arguments)
        process.start()
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.join()


def wait_for(process, condition) -> None:
    """Until condition() holds; fails when the process ends or patience does before."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.is_alive() and time.monotonic() < deadline, "ended too early, or never came this far"
        time.sleep(0.0005)


def killed(process, folder) -> dict:
    """The newest state of a run that was killed before its end."""
    process.join(PATIENCE_S)
    assert process.exitcode == -signal.SIGKILL
    assert not any((folder / name).exists() for name in ("record.json", "model.safetensors", "history.parquet"))
    return read_state(folder)


def train_until(folder, condition) -> None:
    """Kills its own process after the update for which condition(epoch, batch, newest checkpoint's step) holds.

    A second passes whenever the clock is read.
    """
    loop.time = SimpleNamespace(monotonic=itertools.count(0.0).__next__)

    def step(self, epoch: int, batch: int, total: int, loss: float) -> None:
        if condition(epoch, batch, newest_step(folder)):
            os.kill(os.getpid(), signal.SIGKILL)

    EpochProgress.step = step
    train_here(folder)


def test_killed_three_times_it_ends_with_the_same_bits(root, alone, fork, capsys):
    """The bar of the project: kill -9 between steps, with and without a checkpoint since the epoch began, costs steps
    and changes no bit of the weights and no digit of the history."""
    folder = write_run(root, "killed", runtime=DENSE)

    # In the middle of an epoch, with checkpoints all along. Stopped first, so that the point can be looked at, and a
    # second process can be refused meanwhile.
    first = fork(train_here, folder)
    wait_for(first, lambda: newest_step(folder) > STEPS_PER_EPOCH and newest_step(folder) % STEPS_PER_EPOCH)
    os.kill(first.pid, signal.SIGSTOP)
    with pytest.raises(TrainingError, match=f"{folder}/state .*{first.pid}"):
        train_here(folder)
    first.kill()
    state = killed(first, folder)
    reached = state["step"]
    assert state["batch"] > 0 and reached > STEPS_PER_EPOCH

    # Some steps after a checkpoint within the epoch.
    write_run(root, "killed", runtime={"checkpoint_every_s": 9.0})

    def is_late(epoch: int, batch: int, newest: int) -> bool:
        return newest > reached and newest % STEPS_PER_EPOCH and (epoch - 1) * STEPS_PER_EPOCH + batch > newest + 1

    state = killed(fork(train_until, folder, is_late), folder)
    assert state["batch"] > 0 and state["step"] > reached

    # Without one: in the middle of the last epoch.
    write_run(root, "killed", runtime=SPARSE)
    state = killed(fork(train_until, folder, lambda epoch, batch, _: (epoch, batch) == (sum(EPOCHS), 9)), folder)
    assert (state["epoch"], state["batch"]) == (sum(EPOCHS) - 1, 0)

    capsys.readouterr()
    train_here(folder)
    assert f"resuming at epoch {sum(EPOCHS)}, step {STEPS - STEPS_PER_EPOCH}" in capsys.readouterr().out
    assert_finished_as(folder, alone)


def test_sigterm_writes_a_checkpoint_and_other_cores_resume_with_the_same_bits(root, alone, fork):
    folder = write_run(root, "terminated", runtime=SPARSE)
    first = fork(lambda: sys.exit(main(verb(folder))))
    wait_for(first, lambda: newest_step(folder) >= STEPS_PER_EPOCH)
    first.terminate()
    first.join(PATIENCE_S)
    assert first.exitcode == 143
    assert not (folder / "record.json").exists()
    assert STEPS_PER_EPOCH <= newest_step(folder) < STEPS

    # torch_threads is the configuration's, whatever the cores and OpenMP's own variable say.
    second = start(folder, cores={min(os.sched_getaffinity(0))}, omp_threads=2)
    output, _ = second.communicate(timeout=PATIENCE_S)
    assert second.returncode == 0, output
    assert "resuming at epoch" in output
    assert_finished_as(folder, alone)


def test_the_record_says_what_was_made_from_what_and_that_the_net_learned(root, alone):
    record, run = read_record(alone), read_run(alone / "config.yaml")
    manifest = json.loads((root / "data" / "pictures" / "manifest.json").read_text(encoding="utf-8"))
    assert (record["schema"], record["seed"], record["classes"], record["recipe"]) == (SCHEMA, 1, 3, "paper")
    assert (record["provenance"]["commit"], record["provenance"]["torch_threads"]) == (COMMIT, 1)
    assert record["dataset"] == {
        "name": "pictures",
        "kind": "imagefolder",
        "part": "val and test drawn from train, seed 2012",
        "digest": manifest["digest"],
        "counts": manifest["counts"],
    }
    assert record["identity"] == {"code": fingerprint("train"), "config": run.hash8, "data": manifest["digest"]}
    assert record["weights_sha256"] == file_digest(alone / "model.safetensors")
    assert (record["epochs"], record["steps"], record["train_images"]) == (7, STEPS, 126)
    assert (record["drops_done"], record["drops_planned"], record["val_steered"]) == (1, 1, False)
    # Three classes of one size.
    assert record["chance"] == {"train_loss": pytest.approx(math.log(3)), "val_error": pytest.approx(2 / 3)}
    assert record["learned"] is True
    modes = {(alone / name).stat().st_mode & 0o777 for name in ("record.json", "model.safetensors")}
    assert len(modes) == 1  # whoever may read the one may read the other


def test_the_history_has_a_row_per_epoch(alone):
    history = pd.read_parquet(alone / "history.parquet")
    assert history["epoch"].tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert history["learning_rate"].tolist() == [0.01] * 5 + [0.001] * 2
    train = ["train_loss", "train_top1_error_as_seen", "train_top1_error", "train_loss_evaluation_mode"]
    val = ["val_loss", "val_top1_error", "val_top5_error", "schedule_top1_error"]
    assert list(history.columns) == ["epoch", "learning_rate", *train, *val, *TIMINGS]
    assert history.notna().all(axis=None)
    assert history["schedule_top1_error"].equals(history["val_top1_error"])
    assert (history["val_top5_error"] == 0).all()  # three classes
    assert history["train_loss"].iloc[-1] < 0.7 * history["train_loss"].iloc[0]
    assert read_record(alone)["final"] == history.iloc[-1].to_dict()


# So small a net with tanh passes hardly any gradient to its first layers.
STUCK = {
    "net": {"activation": "tanh", "dropout": 0.0},
    "training": {"learning_rate": 0.001, "schedule": {"kind": "fixed", "epochs": [3, 1]}},
}


def test_a_net_that_stays_at_chance_is_told_once_while_it_trains_and_again_at_its_end(interrupt, capsys):
    folder = interrupt("stuck", **STUCK)
    lines = capsys.readouterr().out.splitlines()
    (warning,) = [line for line in lines if line.startswith("warning: cnn seed 1")]
    assert "of epoch 1 is 1." in warning and "1.0986" in warning
    assert lines.index(warning) < next(k for k, line in enumerate(lines) if "epoch 2/4" in line)

    train_here(folder)
    output = capsys.readouterr().out
    assert "resuming at epoch 3" in output
    (warning,) = [line for line in output.splitlines() if line.startswith("warning: cnn seed 1")]
    assert "did not learn" in warning and "1.0986" in warning
    assert read_record(folder)["learned"] is False


def test_the_record_has_the_energy_of_all_attempts_where_it_is_counted(alone, interrupt, monkeypatch):
    readings = count(1)
    monkeypatch.setitem(costs.KINDS, "cpu_kwh", lambda: {"package": (next(readings) * costs.JOULES_A_KWH, 1e12)})
    folder = interrupt("energy")
    train_here(folder)
    assert read_record(folder)["energy"] == {"cpu_kwh": 2.0}  # one kWh between two readings, one in each attempt
    assert weights_digest(folder) == weights_digest(alone)


def test_death_before_the_record_is_written_costs_no_step(root, alone, monkeypatch, capsys):
    folder = write_run(root, "recordless")

    def die(*arguments):
        raise Died

    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr("alexnet2012.training.record.write_json", die)
        train_here(folder)
    assert not (folder / "record.json").exists()
    capsys.readouterr()
    train_here(folder)
    assert "epoch 1/7" not in capsys.readouterr().out
    assert_finished_as(folder, alone)


@pytest.mark.parametrize(
    ("code", "changes", "differing"),
    [
        ("f" * 16, {}, "code"),
        ("f" * 16, {"runtime": SPARSE | {"accept_code": "f" * 16}}, None),
        (None, {"training": {"momentum": 0.8}}, "config"),
    ],
    ids=["other code", "accepted code", "other setting"],
)
def test_a_run_is_resumed_by_the_same_code_and_settings_alone(
    root, alone, interrupt, capsys, request, code, changes, differing
):
    name = request.node.callspec.id
    folder = interrupt(name, lambda folder: train_here(folder, codes=[code] if code else None))
    capsys.readouterr()
    write_run(root, name, **{"runtime": SPARSE, **changes})
    train_here(folder)
    output = capsys.readouterr().out
    assert ("resuming at epoch 3, step 30" in output) == (differing is None)
    assert (f"({differing} " in output) == (differing is not None)
    assert len(list((folder / "state").glob("superseded-*/checkpoint-*.pt"))) == (2 if differing else 0)
    if differing != "config":
        assert_finished_as(folder, alone)


@pytest.mark.parametrize("placement", ["one-device", "two-devices"])
def test_a_run_has_the_code_of_its_placement_and_resumes_what_either_began(root, monkeypatch, placement):
    """One for two devices that is trained by one process, because it was granted one GPU, has the code for two."""
    folder = write_run(root, f"of-{placement}", runtime={"placement": placement})
    given = []
    monkeypatch.setattr("alexnet2012.verbs.for_training.fingerprint", lambda stage: stage)
    monkeypatch.setattr("alexnet2012.training.train.train", lambda *arguments: given.extend(arguments[3]))
    train_in_process(parse(verb(folder)), read_run(folder / "config.yaml"))
    assert given == [{"one-device": "train", "two-devices": "train-towers"}[placement], "train", "train-towers"]


def test_a_run_that_diverges_leaves_no_result(root):
    folder = write_run(root, "diverging", training={"learning_rate": 1e6})
    with pytest.raises(TrainingError, match="training.learning_rate"):
        train_here(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["config.yaml", "state"]


def test_a_dataset_that_is_not_there_is_refused(root):
    with pytest.raises(DataError, match="absent"):
        train_here(write_run(root, "dataless", dataset_name="absent"))
