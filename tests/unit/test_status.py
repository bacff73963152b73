"""How far nets are, from files alone: of committed results, of made-up folders, and beside a process that trains."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest
import tiny_training
import torch

from alexnet2012 import cli
from alexnet2012.errors import RecordError
from alexnet2012.status import list_statuses, read_counters

ROOT = Path(__file__).resolve().parents[2]
EPOCHS = sum(tiny_training.EPOCHS)
# Trains slowly from the third epoch on.
SLOWLY = """
import sys, time
from alexnet2012.training.progress import EpochProgress
EpochProgress.step = lambda self, epoch, *others: time.sleep(0.5 if epoch > 2 else 0)
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Packed images and a training that died in its third epoch."""
    root = tmp_path_factory.mktemp("trained")
    tiny_training.pack(root)
    tiny_training.write_tracking(root)
    folder = tiny_training.write_run(root, "run")
    with pytest.MonkeyPatch.context() as patch:
        tiny_training.stay_offline(patch)
        tiny_training.die_at(patch, lambda epoch, batch: (epoch, batch) == (3, 2))
        with pytest.raises(tiny_training.Died):
            tiny_training.train_here(folder)
    return folder


@pytest.fixture
def results(tmp_path, trained):
    """A results folder whose one net is a copy of the training that died."""
    place = "runs/pictures/cnn-0123abcd/seed1"
    shutil.copytree(trained, tmp_path / place)
    plan = {"name": "tiny", "experiments": [], "trainings": [f"results/elsewhere/{place}"]}
    (tmp_path / "experiments.json").write_text(json.dumps(plan))
    return tmp_path


def folder_of(results: Path) -> Path:
    return results / "runs/pictures/cnn-0123abcd/seed1"


def write_log(results: Path, text: str) -> None:
    log = results / "logs/train/pictures/cnn-0123abcd/seed1.log"
    log.parent.mkdir(parents=True)
    log.write_text(text)


def test_a_training_that_was_killed_stopped_at_its_last_checkpoint(results, trained):
    (found,) = list_statuses(results)

    state = tiny_training.read_state(trained)
    last = state["history"][-1]
    assert (found.dataset, found.variant, found.seed, found.state) == ("pictures", "cnn", 1, "stopped")
    assert (found.epochs_done, found.max_epochs) == (2, EPOCHS)
    assert (found.train_loss, found.val_error) == (last["train_loss"], last["val_top1_error"])
    seconds = [row["seconds"] for row in state["history"]]
    assert found.left_s == pytest.approx((EPOCHS - 2) * sum(seconds) / 2 - state["epoch_seconds"])


@pytest.mark.parametrize(
    ("end", "state", "note"),
    [
        ("cnn seed 1 epoch 2/7  lr 0.01\nstopped by SIGTERM; a checkpoint was written\n", "stopped", ""),
        ("epoch 2/7\nerror: the loss of step 31 is nan\n", "failed", "error: the loss of step 31 is nan"),
        ("error: seed1/state is in use: process 7 trains this run. Wait for it, or stop it.\n", "stopped", ""),
        ("error: lost files:\na\nb\ntorchrun: exit code 1\n", "failed", "error: lost files:"),
        ("Traceback (most recent call last):\n  File\nKeyError: 'a'\n", "failed", "KeyError: 'a'"),
    ],
)
def test_the_log_tells_whether_it_failed(results, end, state, note):
    write_log(results, end)
    (found,) = list_statuses(results)
    assert (found.state, found.epochs_done) == (state, 2)
    assert found.log == str(results / "logs/train/pictures/cnn-0123abcd/seed1.log")
    assert found.note == note


@pytest.mark.parametrize(
    ("end", "state"),
    [("", "planned"), ("waiting for a GPU of 0: 0 is held by 7\n", "waiting"), ("error: x\n", "failed")],
)
def test_a_net_without_a_state_is_planned_waits_or_failed(results, end, state):
    shutil.rmtree(folder_of(results))
    write_log(results, end)
    (found,) = list_statuses(results)
    assert (found.state, found.epochs_done) == (state, None)


def test_damaged_checkpoints_are_passed_over(results):
    *_, older, newest = sorted((folder_of(results) / "state").glob("checkpoint-*.pt"))
    newest.write_bytes(newest.read_bytes()[:500])
    assert [each.epochs_done for each in list_statuses(results)] == [read_counters(older)["epoch"]]

    torch.save({"history": "none"}, older)
    (found,) = list_statuses(results)
    assert (found.state, found.epochs_done) == ("stopped", None) and str(folder_of(results)) in found.note


def test_a_process_that_trains_is_seen_at_work_and_left_alone(results, trained, monkeypatch):
    folder = trained.parent / "live"
    shutil.copytree(folder_of(results), folder)
    shutil.rmtree(folder_of(results))
    folder_of(results).symlink_to(folder)
    with tiny_training.start(folder, driver=SLOWLY) as process:
        try:
            deadline = time.monotonic() + 60
            while (found := list_statuses(results)[0]).state != "training":
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.05)
            assert (found.epochs_done, found.max_epochs) == (2, EPOCHS) and found.left_s >= 0
            assert (folder / "state" / "lock").read_text() == f"{process.pid}\n"
        finally:
            process.kill()
    assert [each.state for each in list_statuses(results)] == ["stopped"]


def test_finished_nets_of_committed_results_have_their_error():
    found = {(each.variant, each.seed): each for each in list_statuses(ROOT / "results/reference/cifar10")}
    record = json.loads(next(ROOT.glob("results/reference/cifar10/runs/cifar10/cnn-*/seed0/record.json")).read_text())
    net, baseline = found["cnn", 0], found["sift-fv", 0]
    assert (net.state, net.epochs_done, net.val_error) == ("finished", 20, record["final"]["val_top1_error"])
    assert (baseline.state, baseline.epochs_done, baseline.val_error) == ("finished", None, None)


def test_the_verb_prints_a_line_for_each_net_and_json(results, capsys):
    assert cli.main(["status", str(results)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:8] == ["pictures", "cnn", "seed", "1", "stopped", "2", "of", str(EPOCHS)]
    assert lines[-1] == "1 net: 1 stopped"

    write_log(results, "error: no images\n")
    assert cli.main(["status", str(results)]) == 0
    log = results / "logs/train/pictures/cnn-0123abcd/seed1.log"
    words = capsys.readouterr().out.split()
    assert " ".join(words).endswith(f"cnn seed 1 on pictures: error: no images; see {log} 1 net: 1 failed")

    assert cli.main(["status", str(results), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["state"] == "failed"


def test_what_is_no_results_folder_ends_in_a_sentence(tmp_path, capsys):
    assert cli.main(["status", str(tmp_path)]) == 1
    (tmp_path / "experiments.json").write_text('{"experiments": [1]}')
    with pytest.raises(RecordError, match="experiments.json"):
        list_statuses(tmp_path)
    assert cli.main(["status", str(ROOT / "config/cifar10.yaml")]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: ")


def test_a_checkpoint_can_make_no_objects(tmp_path):
    class Harmful:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "made"),)

    torch.save({"epoch": 1, "epoch_seconds": 0.0, "history": [], "harm": Harmful()}, tmp_path / "a.pt")
    assert read_counters(tmp_path / "a.pt") is None
    assert not (tmp_path / "made").exists()
