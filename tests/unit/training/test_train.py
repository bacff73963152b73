import json
import math
import os
import signal
import time

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
    pack,
    read_history,
    read_state,
    start,
    train_here,
    weights_digest,
    write_run,
    write_tracking,
)

from alexnet2012.cli import parse
from alexnet2012.config.schema import read_run
from alexnet2012.errors import ConfigError, DataError, TrainingError
from alexnet2012.files import SCHEMA, file_digest
from alexnet2012.fingerprint import fingerprint
from alexnet2012.training.checkpoint import list_checkpoints
from alexnet2012.verbs.training import train_in_process

pytestmark = pytest.mark.usefixtures("offline")

STEPS = STEPS_PER_EPOCH * sum(EPOCHS)
PATIENCE_S = 90
DENSE = {"checkpoint_every_s": 1e-3}  # after nearly every step
SPARSE = {"checkpoint_every_s": 600.0}  # at the ends of epochs alone

# Kills its own process after the update for which CONDITION(epoch, batch, newest checkpoint's step) holds.
KILLING = """
import os, signal, sys
from pathlib import Path
from alexnet2012.training import checkpoint, progress
def step(self, epoch, batch, total, loss):
    newest = int(checkpoint.list_checkpoints(Path(sys.argv[2]) / "state")[-1].stem.split("-")[1])
    if CONDITION:
        os.kill(os.getpid(), signal.SIGKILL)
progress.EpochProgress.step = step
"""


def wait_for(process, condition) -> None:
    """Until condition() holds; fails when the process ends or patience does before."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"ended too early, or never came this far:\n{process.communicate()[0]}")
        time.sleep(0.0005)


def assert_finished_as(folder, alone) -> None:
    assert weights_digest(folder) == weights_digest(alone)
    pd.testing.assert_frame_equal(read_history(folder), read_history(alone), check_exact=True)
    assert list_checkpoints(folder / "state") == []


def assert_killed(process, folder) -> dict:
    """The newest state of a run that was killed before its end."""
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == -signal.SIGKILL, output
    assert not any((folder / name).exists() for name in ("record.json", "model.safetensors", "history.parquet"))
    state = read_state(folder)
    assert 0 < state["step"] < STEPS
    return state


@pytest.mark.slow
def test_killed_three_times_it_ends_with_the_same_bits(root, alone, capfd):
    """The bar of the project: kill -9 between steps, with and without a checkpoint since the epoch began, costs steps
    and changes no bit of the weights and no digit of the history."""
    folder = write_run(root, "killed", runtime=DENSE)

    # In the middle of an epoch, with checkpoints all along. Stopped first, so that the point can be looked at, and a
    # second process can be refused meanwhile.
    first = start(folder)
    wait_for(first, lambda: newest_step(folder) > STEPS_PER_EPOCH and newest_step(folder) % STEPS_PER_EPOCH)
    first.send_signal(signal.SIGSTOP)
    with pytest.raises(TrainingError, match=rf"killed/state is in use: process {first.pid} trains this run"):
        train_here(folder)
    first.kill()
    state = assert_killed(first, folder)
    assert state["batch"] > 0 and state["step"] > STEPS_PER_EPOCH

    # Some steps after a checkpoint within the epoch.
    reached = state["step"]
    write_run(root, "killed", runtime={"checkpoint_every_s": 0.02})
    condition = f"newest > {reached} and newest % total and (epoch - 1) * total + batch > newest + 1"
    second = start(folder, driver=KILLING.replace("CONDITION", condition))
    state = assert_killed(second, folder)
    assert state["batch"] > 0 and state["step"] > reached

    # Without one: in the middle of the last epoch.
    write_run(root, "killed", runtime=SPARSE)
    third = start(folder, driver=KILLING.replace("CONDITION", f"epoch == {sum(EPOCHS)} and batch == 9"))
    state = assert_killed(third, folder)
    assert (state["epoch"], state["batch"]) == (sum(EPOCHS) - 1, 0)

    last = start(folder)
    output, _ = last.communicate(timeout=PATIENCE_S)
    assert last.returncode == 0, output
    assert f"resuming at epoch {sum(EPOCHS)}, step {STEPS - STEPS_PER_EPOCH}" in output
    assert_finished_as(folder, alone)
    assert json.loads((folder / "record.json").read_text(encoding="utf-8"))["weights_sha256"] == weights_digest(alone)


@pytest.mark.slow
def test_sigterm_writes_a_checkpoint_and_other_cores_resume_with_the_same_bits(root, alone):
    folder = write_run(root, "terminated", runtime=SPARSE)

    first = start(folder, omp_threads=4)
    wait_for(first, lambda: newest_step(folder) >= STEPS_PER_EPOCH)
    first.terminate()
    output, _ = first.communicate(timeout=PATIENCE_S)
    assert first.returncode == 143, output
    assert "stopped by SIGTERM; a checkpoint was written, the same command resumes" in output
    assert not (folder / "record.json").exists()
    assert STEPS_PER_EPOCH <= newest_step(folder) < STEPS

    # torch_threads is the configuration's, whatever the cores and OpenMP's own variable say.
    second = start(folder, cores={min(os.sched_getaffinity(0))}, omp_threads=2)
    output, _ = second.communicate(timeout=PATIENCE_S)
    assert second.returncode == 0, output
    assert "resuming at epoch" in output
    assert_finished_as(folder, alone)


def test_the_record_says_what_was_made_from_what(root, alone):
    record = json.loads((alone / "record.json").read_text(encoding="utf-8"))
    manifest = json.loads((root / "data" / "pictures" / "manifest.json").read_text(encoding="utf-8"))
    run = read_run(alone / "config.yaml")

    assert record["provenance"]["commit"] == COMMIT
    assert record["provenance"]["torch_threads"] == 1
    assert (record["schema"], record["seed"]) == (SCHEMA, 1)
    assert record["dataset"] == {
        "name": "pictures",
        "kind": "imagefolder",
        "part": "",
        "digest": manifest["digest"],
        "counts": manifest["counts"],
    }
    assert record["identity"] == {"code": fingerprint("train"), "config": run.hash8, "data": manifest["digest"]}
    assert record["weights_sha256"] == file_digest(alone / "model.safetensors")
    assert (record["epochs"], record["steps"], record["classes"], record["recipe"]) == (7, STEPS, 3, "paper")


def test_the_record_says_that_the_net_learned_and_what_chance_is(alone):
    """Three classes of one size."""
    record = json.loads((alone / "record.json").read_text(encoding="utf-8"))

    assert record["learned"] is True
    assert record["chance"] == {"train_loss": pytest.approx(math.log(3)), "val_error": pytest.approx(2 / 3)}


# So small a net with tanh passes hardly any gradient to its first layers.
STUCK = {
    "net": {"activation": "tanh", "dropout": 0.0},
    "training": {"learning_rate": 0.001, "schedule": {"kind": "fixed", "epochs": [2, 1]}},
}


def test_a_net_that_stays_at_chance_is_told_once_while_it_trains_again_at_its_end_and_in_its_record(root, capsys):
    folder = write_run(root, "stuck", **STUCK)
    train_here(folder)

    lines = capsys.readouterr().out.splitlines()
    warnings = [line for line in lines if line.startswith("warning: cnn seed 1")]
    assert len(warnings) == 2
    assert "of epoch 1 is 1." in warnings[0] and "within 1 % of 1.0986" in warnings[0]
    assert "did not learn" in warnings[1] and "(1.0986 at chance)" in warnings[1]
    assert lines.index(warnings[0]) < next(k for k, line in enumerate(lines) if "epoch 2/3" in line)
    assert json.loads((folder / "record.json").read_text(encoding="utf-8"))["learned"] is False


def test_an_interrupted_training_at_chance_is_told_of_it_once_in_all(root, monkeypatch, capsys):
    folder = write_run(root, "stuck-twice", **STUCK, runtime=SPARSE)
    with monkeypatch.context() as patch, pytest.raises(Died):
        die_at(patch, lambda epoch, batch: (epoch, batch) == (2, 2))
        train_here(folder)
    assert "within 1 %" in capsys.readouterr().out

    train_here(folder)

    output = capsys.readouterr().out
    assert "resuming at epoch 2" in output
    assert "within 1 %" not in output and "did not learn" in output


def test_a_short_run_that_tries_a_learning_rate_may_stay_at_chance(root, capsys):
    folder = write_run(root, "tried", **STUCK, variant="cnn-rate-0.001")
    train_here(folder)

    output = capsys.readouterr().out
    assert "epoch 3/3" in output and "within 1 %" not in output and "did not learn" not in output
    assert json.loads((folder / "record.json").read_text(encoding="utf-8"))["learned"] is None


def test_the_history_has_a_row_per_epoch(alone):
    history = pd.read_parquet(alone / "history.parquet")

    assert history["epoch"].tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert history["learning_rate"].tolist() == [0.01] * 5 + [0.001] * 2
    assert list(history.columns) == [
        "epoch",
        "learning_rate",
        "train_loss",
        "train_top1_error_as_seen",
        "train_top1_error",
        "train_loss_evaluation_mode",
        "val_loss",
        "val_top1_error",
        "val_top5_error",
        "schedule_top1_error",
        *TIMINGS,
    ]
    assert history.notna().all(axis=None)


def test_a_finished_run_leaves_no_checkpoint_and_forced_again_trains_anew_to_the_same_bits(root, alone, capsys):
    folder = write_run(root, "forced")
    train_here(folder)
    assert list_checkpoints(folder / "state") == []
    capsys.readouterr()

    train_here(folder)

    assert "epoch 1/7" in capsys.readouterr().out
    assert len(list((folder / "state").glob("superseded-*"))) == 1
    assert_finished_as(folder, alone)


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


def test_an_interrupted_run_of_other_code_is_not_resumed(root, alone, monkeypatch, capsys):
    folder = write_run(root, "other-code", runtime=SPARSE)
    with monkeypatch.context() as patch, pytest.raises(Died):
        die_at(patch, lambda epoch, batch: (epoch, batch) == (3, 2))
        train_here(folder, codes=["f" * 16])

    train_here(folder)

    output = capsys.readouterr().out
    assert f"(code ffffffff is now {fingerprint('train')[:8]})" in output
    assert "resuming at" not in output
    (aside,) = (folder / "state").glob("superseded-*")
    assert [path.name for path in list_checkpoints(aside)] == ["checkpoint-000000015.pt", "checkpoint-000000030.pt"]
    assert_finished_as(folder, alone)


def test_an_edit_of_towers_concerns_runs_that_ask_for_two_devices_and_no_others(root, alone, monkeypatch, capsys):
    """Such a run trained by one process, because it was granted one GPU, has the code for two all the same."""
    for placement, outcome in (("one-device", "resuming at"), ("two-devices", "(code ffffffff is now")):
        folder = write_run(root, f"of-{placement}", runtime=SPARSE | {"placement": placement})
        with monkeypatch.context() as patch, pytest.raises(Died):
            edited = {"train": fingerprint("train"), "train-towers": "f" * 16}
            patch.setattr("alexnet2012.fingerprint.fingerprint", edited.__getitem__)
            die_at(patch, lambda epoch, batch: (epoch, batch) == (3, 2))
            train_by_the_verb(folder)
        capsys.readouterr()

        train_by_the_verb(folder)

        assert outcome in capsys.readouterr().out
        assert_finished_as(folder, alone)
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    assert record["identity"]["code"] == fingerprint("train-towers")
    assert record["processes"] == 1


def train_by_the_verb(folder) -> None:
    """In one process, whatever the placement."""
    given = ["train", str(folder), "--data", f"{folder.parent}/data", "--tracking", f"{folder.parent}/tracking.json"]
    train_in_process(parse(given), read_run(folder / "config.yaml"))


def test_a_run_goes_on_with_what_it_began_under_the_other_placement(root, alone, monkeypatch, capsys):
    folder = write_run(root, "moved", runtime=SPARSE)
    with monkeypatch.context() as patch, pytest.raises(Died):
        die_at(patch, lambda epoch, batch: (epoch, batch) == (3, 2))
        train_by_the_verb(folder)
    capsys.readouterr()

    write_run(root, "moved", runtime=SPARSE | {"placement": "two-devices"})
    train_by_the_verb(folder)

    assert "resuming at epoch 3, step 30" in capsys.readouterr().out
    assert_finished_as(folder, alone)
    identity = json.loads((folder / "record.json").read_text(encoding="utf-8"))["identity"]
    assert identity["code"] == fingerprint("train-towers")
    assert identity["began_with_code"] == fingerprint("train")


def test_accept_code_goes_on_with_the_state_of_other_code(root, alone, monkeypatch, capsys):
    folder = write_run(root, "accepted", runtime=SPARSE)
    with monkeypatch.context() as patch, pytest.raises(Died):
        die_at(patch, lambda epoch, batch: (epoch, batch) == (3, 2))
        train_here(folder, codes=["f" * 16])
    capsys.readouterr()

    write_run(root, "accepted", runtime={**SPARSE, "accept_code": "f" * 16})
    train_here(folder)

    output = capsys.readouterr().out
    assert "resuming at epoch 3, step 30" in output
    assert "cannot be resumed" not in output
    assert_finished_as(folder, alone)


def test_a_changed_setting_is_not_resumed_but_a_changed_runtime_is(root, monkeypatch, capsys):
    folder = write_run(root, "changed", runtime=SPARSE)
    with monkeypatch.context() as patch, pytest.raises(Died):
        die_at(patch, lambda epoch, batch: (epoch, batch) == (2, 2))
        train_here(folder)
    before = read_run(folder / "config.yaml").hash8

    write_run(root, "changed", runtime=DENSE)
    with monkeypatch.context() as patch, pytest.raises(Died):
        die_at(patch, lambda epoch, batch: (epoch, batch) == (2, 2))
        train_here(folder)
    assert "resuming at epoch 2" in capsys.readouterr().out

    write_run(root, "changed", training={"momentum": 0.8})
    train_here(folder)
    after = read_run(folder / "config.yaml").hash8
    output = capsys.readouterr().out
    assert f"(config {before} is now {after})" in output
    assert "resuming at" not in output


def test_other_data_is_not_resumed(tmp_path, monkeypatch, capsys):
    first = pack(tmp_path)
    write_tracking(tmp_path)
    folder = write_run(tmp_path, "run", runtime=SPARSE)
    with monkeypatch.context() as patch, pytest.raises(Died):
        die_at(patch, lambda epoch, batch: (epoch, batch) == (2, 2))
        train_here(folder)

    (tmp_path / "pictures").rename(tmp_path / "before")
    second = pack(tmp_path, seed=5)
    with monkeypatch.context() as patch, pytest.raises(Died):
        die_at(patch, lambda epoch, batch: (epoch, batch) == (1, 1))
        train_here(folder)

    output = capsys.readouterr().out
    assert f"(data {first.digest[:8]} is now {second.digest[:8]})" in output
    assert "resuming at" not in output


def test_a_truncated_newest_checkpoint_costs_one_more_epoch(root, alone, monkeypatch, capsys):
    folder = write_run(root, "truncated", runtime=SPARSE)
    with monkeypatch.context() as patch, pytest.raises(Died):
        die_at(patch, lambda epoch, batch: (epoch, batch) == (5, 3))
        train_here(folder)
    newest = list_checkpoints(folder / "state")[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    capsys.readouterr()

    train_here(folder)

    output = capsys.readouterr().out
    assert f"warning: {newest} cannot be read" in output
    assert "resuming at epoch 4, step 45" in output
    assert_finished_as(folder, alone)


def test_a_run_that_diverges_leaves_no_result(root):
    folder = write_run(root, "diverging", training={"learning_rate": 1e6})

    with pytest.raises(TrainingError, match=r"the loss of step \d+ \(epoch 1\)"):
        train_here(folder)

    assert sorted(path.name for path in folder.iterdir()) == ["config.yaml", "state"]


def test_fewer_images_than_a_batch_are_refused_before_a_checkpoint_is_written(root):
    folder = write_run(root, "large-batch", training={"batch_size": 500})

    with pytest.raises(ConfigError, match="126 training images are fewer than one batch of 500"):
        train_here(folder)

    assert newest_step(folder) == -1


def test_a_dataset_that_is_not_there_is_refused(root):
    folder = write_run(root, "dataless", dataset_name="absent")

    with pytest.raises(DataError, match="absent"):
        train_here(folder)


def test_whoever_may_read_the_record_may_read_the_weights(alone):
    modes = {name: (alone / name).stat().st_mode & 0o777 for name in ("record.json", "model.safetensors")}

    assert modes["model.safetensors"] == modes["record.json"]
