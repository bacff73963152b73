import os
import signal
import struct
import subprocess
import sys

import pytest
import torch

from alexnet2012.errors import Interrupted, TrainingError
from alexnet2012.training.checkpoint import (
    State,
    StopRequest,
    list_checkpoints,
    load_latest,
    lock,
    resume,
    save,
)

IDENTITY = {"code": "c" * 16, "config": "1234abcd", "data": "d" * 64}
EDITED = {**IDENTITY, "code": "e" * 16}

# Holds the lock until its stdin ends.
HOLDER = """
import sys
from pathlib import Path
from alexnet2012.training.checkpoint import lock
with lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


class Died(BaseException):
    """A kill."""


def make_state(step: int) -> State:
    return State(
        identity=dict(IDENTITY),
        weights={"conv1.weight": torch.arange(6.0).reshape(2, 3) + step},
        velocity={"conv1.weight": torch.full((2, 3), -0.5)},
        scheduler={"drops_done": 1, "epochs_done": 2, "finished": False},
        history=[{"epoch": 1, "train_loss": 2.25}],
        epoch=1,
        batch=3,
        step=step,
        loss_sum=0.1 + 0.2,
        wrong_sum=7,
        epoch_seconds=1.5,
        seconds=9.25,
    )


@pytest.fixture
def interrupted(tmp_path):
    """The folder of a training that has done nine steps."""
    save(tmp_path, make_state(9))
    return tmp_path


@pytest.fixture
def held(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate(timeout=30)


def test_a_state_comes_back_as_it_was(tmp_path):
    written = make_state(step=18)
    save(tmp_path, written)
    found = load_latest(tmp_path)
    for name in ("weights", "velocity"):
        ours, theirs = getattr(written, name), getattr(found, name)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)
        setattr(found, name, ours)
    assert found == written


def test_the_last_two_are_kept(tmp_path):
    for step in (0, 9, 10, 100_000):
        save(tmp_path, make_state(step))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-000000010.pt", "checkpoint-000100000.pt"]
    assert load_latest(tmp_path).step == 100_000


def test_a_kill_amid_a_write_leaves_no_checkpoint(interrupted, monkeypatch):
    def write_half(values, file):
        file.write(b"PK half of it")
        raise Died

    monkeypatch.setattr(torch, "save", write_half)
    with pytest.raises(Died):
        save(interrupted, make_state(10))
    assert [path.name for path in list_checkpoints(interrupted)] == ["checkpoint-000000009.pt"]


def test_a_checkpoint_that_would_run_code_does_not(interrupted):
    class Payload:
        def __reduce__(self):
            return (os.mkdir, (str(interrupted / "made by the payload"),))

    torch.save({"identity": Payload()}, interrupted / "checkpoint-000000010.pt")
    assert load_latest(interrupted).step == 9
    assert not (interrupted / "made by the payload").exists()


def flip_a_bit(content: bytes) -> bytes:
    """The checkpoint with its second weight, step 10's 11.0, changed in one bit."""
    place = content.index(struct.pack("<2f", 10.0, 11.0)) + 4
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: content[: len(content) // 2], id="half of it"),
        pytest.param(lambda content: bytes(len(content)), id="zeros, as a power cut may leave"),
        pytest.param(flip_a_bit, id="one bit of the weights"),
    ],
)
def test_a_damaged_newest_checkpoint_sends_back_one_with_a_warning(interrupted, capsys, damage):
    newest = save(interrupted, make_state(10))
    newest.write_bytes(damage(newest.read_bytes()))
    assert resume(interrupted, IDENTITY, accepted=()).step == 9
    assert str(newest) in capsys.readouterr().out


def test_without_a_readable_checkpoint_training_begins_anew_and_the_damaged_one_is_kept(interrupted):
    (damaged,) = list_checkpoints(interrupted)
    damaged.write_bytes(b"damaged")
    assert resume(interrupted, IDENTITY, accepted=()) is None
    assert list_checkpoints(interrupted) == []
    assert len(list(interrupted.glob("superseded-*/checkpoint-*.pt"))) == 1


def test_a_state_of_the_same_identity_is_resumed_without_a_word(interrupted, capsys):
    assert resume(interrupted, IDENTITY, accepted=()).step == 9
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("keys", [["code"], ["config"], ["data"], ["code", "config"], ["code", "data"]])
def test_a_state_of_another_identity_is_set_aside_whatever_code_is_accepted(interrupted, capsys, keys):
    older = interrupted / "superseded-20120101T000000000000"
    older.mkdir()
    (interrupted / "run.json").write_text("{}", encoding="utf-8")
    now = IDENTITY | dict.fromkeys(keys, "e" * 64)
    accepted = {"a" * 16} if keys == ["code"] else {IDENTITY["code"]}
    with lock(interrupted):
        assert resume(interrupted, now, accepted) is None
    warning = capsys.readouterr().out
    assert all(f"{key} {IDENTITY[key][:8]} is now eeeeeeee" in warning for key in keys)
    assert f"accept_code: {IDENTITY['code']}" in warning  # which would resume it all the same
    (aside,) = set(interrupted.glob("superseded-*")) - {older}
    assert str(aside) in warning
    assert sorted(path.name for path in aside.iterdir()) == ["checkpoint-000000009.pt", "run.json"]
    assert {path.name for path in interrupted.iterdir()} == {"lock", aside.name, older.name}
    assert load_latest(aside).step == 9


def test_accept_code_resumes_a_state_of_that_code_which_remembers_the_first(interrupted):
    state = resume(interrupted, EDITED, accepted={IDENTITY["code"]})
    assert (state.step, state.identity) == (9, {**EDITED, "began_with_code": IDENTITY["code"]})
    save(interrupted, state)
    again = {**IDENTITY, "code": "f" * 16}
    for identity, accepted in ((EDITED, ()), (again, {EDITED["code"]})):
        assert resume(interrupted, identity, accepted).identity["began_with_code"] == IDENTITY["code"]


def test_the_second_of_two_processes_is_refused_until_kill_9_ends_the_first(tmp_path, held):
    with pytest.raises(TrainingError, match=f"{tmp_path} .*{held.pid}"), lock(tmp_path):
        raise AssertionError("both hold the lock")
    held.send_signal(signal.SIGKILL)
    assert held.wait(timeout=30) == -signal.SIGKILL
    with lock(tmp_path):
        assert (tmp_path / "lock").read_text(encoding="utf-8") == f"{os.getpid()}\n"


BOTH = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


@BOTH
def test_a_signal_waits_until_it_is_asked_for(number):
    with StopRequest() as stop:
        stop.check()
        os.kill(os.getpid(), number)
        finished_its_step = True
        with pytest.raises(Interrupted, match=number.name):
            stop.check()
    assert finished_its_step


@BOTH
def test_within_an_evaluation_the_first_signal_raises_at_once(number):
    """A second one comes while the checkpoint of the first is written, which it must not end."""
    with StopRequest() as stop:
        stop.immediately(True)
        with pytest.raises(Interrupted, match=number.name):
            os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
        assert stop.received == number


@BOTH
def test_the_handlers_before_are_put_back(number):
    before = signal.getsignal(number)
    with pytest.raises(KeyError), StopRequest():
        assert signal.getsignal(number) != before
        raise KeyError
    assert signal.getsignal(number) == before


@pytest.mark.parametrize("at_once", [True, False])
def test_a_signal_that_waits_is_raised_where_an_evaluation_begins_or_ends(at_once):
    with StopRequest() as stop:
        stop.immediately(True)
        stop.immediately(False)
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Interrupted):
            stop.immediately(at_once)
