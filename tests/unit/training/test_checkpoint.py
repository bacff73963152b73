import os
import signal
import struct
import subprocess
import sys

import pytest
import torch

from alexnet2012.errors import TrainingError
from alexnet2012.training.checkpoint import State, discard, list_checkpoints, load_latest, lock, resume, save

IDENTITY = {"code": "c" * 16, "config": "1234abcd", "data": "d" * 64}

# Holds the lock until its stdin ends.
HOLDER = """
import sys
from pathlib import Path
from alexnet2012.training.checkpoint import lock
with lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


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


def flip_a_bit(content: bytes) -> bytes:
    """The checkpoint with its second weight, step 10's 11.0, changed in one bit."""
    place = content.index(struct.pack("<2f", 10.0, 11.0)) + 4
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


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


def test_what_a_kill_leaves_of_an_unfinished_write_is_no_checkpoint(tmp_path):
    save(tmp_path, make_state(9))
    (tmp_path / ".checkpoint-000000010.pt.partial").write_bytes(b"PK half of it")

    assert load_latest(tmp_path).step == 9


def test_a_checkpoint_holds_plain_data_alone(tmp_path):
    """Loading it runs no code: torch's weights_only takes it."""
    path = save(tmp_path, make_state(9))

    assert torch.load(path, weights_only=True)["step"] == 9


def test_a_checkpoint_that_would_run_code_does_not(tmp_path, capsys):
    class Payload:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "made by the payload"),))

    save(tmp_path, make_state(9))
    torch.save({"identity": Payload()}, tmp_path / "checkpoint-000000010.pt")

    assert load_latest(tmp_path).step == 9
    assert "checkpoint-000000010.pt cannot be read" in capsys.readouterr().out
    assert not (tmp_path / "made by the payload").exists()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: content[: len(content) // 2], id="half of it"),
        pytest.param(lambda content: b"", id="empty"),
        pytest.param(lambda content: bytes(len(content)), id="zeros, as a power cut may leave"),
        pytest.param(lambda content: b"<html>" + content[6:], id="another kind of file"),
        pytest.param(flip_a_bit, id="one bit of the weights"),
    ],
)
def test_a_damaged_newest_checkpoint_sends_back_one_with_a_warning(tmp_path, capsys, damage):
    save(tmp_path, make_state(9))
    newest = save(tmp_path, make_state(10))
    newest.write_bytes(damage(newest.read_bytes()))

    found = resume(tmp_path, IDENTITY, accepted=())

    assert found.step == 9
    assert f"warning: {newest} cannot be read" in capsys.readouterr().out


def test_without_a_readable_checkpoint_training_begins_anew_and_the_damaged_ones_are_kept(tmp_path, capsys):
    for step in (9, 10):
        save(tmp_path, make_state(step)).write_bytes(b"damaged")

    assert resume(tmp_path, IDENTITY, accepted=()) is None

    assert capsys.readouterr().out.count("cannot be read") == 2
    assert list_checkpoints(tmp_path) == []
    assert len(list(tmp_path.glob("superseded-*/checkpoint-*.pt"))) == 2


def test_an_empty_folder_holds_nothing_to_resume(tmp_path):
    with lock(tmp_path):
        assert resume(tmp_path, IDENTITY, accepted=()) is None

    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_a_state_of_the_same_identity_is_resumed(tmp_path, capsys):
    save(tmp_path, make_state(9))

    assert resume(tmp_path, IDENTITY, accepted=()).step == 9
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("key", ["code", "config", "data"])
def test_a_state_of_another_identity_is_set_aside_with_a_warning(tmp_path, capsys, key):
    save(tmp_path, make_state(9))
    (tmp_path / "run.json").write_text("{}", encoding="utf-8")
    before = IDENTITY[key]
    now = {**IDENTITY, key: "e" * len(before)}

    with lock(tmp_path):
        assert resume(tmp_path, now, accepted=()) is None

    warning = capsys.readouterr().out
    assert warning.startswith(
        f"warning: the state in {tmp_path} cannot be resumed ({key} {before[:8]} is now eeeeeeee)"
    )
    (aside,) = tmp_path.glob("superseded-*")
    assert str(aside) in warning
    assert sorted(path.name for path in aside.iterdir()) == ["checkpoint-000000009.pt", "run.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", aside.name]
    assert load_latest(aside).step == 9


def test_every_difference_is_named(tmp_path, capsys):
    save(tmp_path, make_state(9))

    resume(tmp_path, dict.fromkeys(IDENTITY, "e" * 16), accepted=())

    assert "(code cccccccc is now eeeeeeee, config 1234abcd is now eeeeeeee, data dddddddd is now eeeeeeee)" in (
        capsys.readouterr().out
    )


def test_accept_code_resumes_a_state_of_that_code(tmp_path):
    save(tmp_path, make_state(9))
    edited = {**IDENTITY, "code": "e" * 16}

    state = resume(tmp_path, edited, accepted={IDENTITY["code"]})
    assert state.step == 9
    assert state.identity == {**edited, "began_with_code": IDENTITY["code"]}
    save(tmp_path, state)

    again = {**IDENTITY, "code": "f" * 16}
    assert resume(tmp_path, edited, accepted=()).identity["began_with_code"] == IDENTITY["code"]
    assert resume(tmp_path, again, accepted={edited["code"]}).identity["began_with_code"] == IDENTITY["code"]


@pytest.mark.parametrize(
    ("identity", "accept_code"),
    [
        pytest.param({**IDENTITY, "code": "e" * 16}, "a" * 16, id="another code"),
        pytest.param(
            {**IDENTITY, "code": "e" * 16, "config": "eeeeeeee"}, IDENTITY["code"], id="another configuration"
        ),
        pytest.param({**IDENTITY, "code": "e" * 16, "data": "e" * 64}, IDENTITY["code"], id="other data"),
    ],
)
def test_accept_code_excuses_nothing_else(tmp_path, identity, accept_code):
    save(tmp_path, make_state(9))

    assert resume(tmp_path, identity, {accept_code}) is None


def test_the_warning_says_how_to_resume_all_the_same(tmp_path, capsys):
    save(tmp_path, make_state(9))

    resume(tmp_path, {**IDENTITY, "code": "e" * 16}, accepted=())

    assert f"set runtime: accept_code: {IDENTITY['code']}" in capsys.readouterr().out


def test_an_older_superseded_state_stays_where_it_is(tmp_path):
    old = tmp_path / "superseded-20120101T000000000000"
    old.mkdir()
    save(old, make_state(1))
    save(tmp_path, make_state(9))

    resume(tmp_path, {**IDENTITY, "code": "e" * 16}, accepted=())

    assert load_latest(old).step == 1
    assert len(list(tmp_path.glob("superseded-*"))) == 2


def test_discard_removes_checkpoints_alone(tmp_path):
    save(tmp_path, make_state(9))
    (tmp_path / "run.json").write_text("{}", encoding="utf-8")

    discard(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_the_second_of_two_processes_is_refused_and_told_who_is_first(tmp_path, held):
    with (
        pytest.raises(TrainingError, match=f"{tmp_path} is in use: process {held.pid} trains this run"),
        lock(tmp_path),
    ):
        raise AssertionError("both hold the lock")


def test_kill_9_frees_the_lock(tmp_path, held):
    held.send_signal(signal.SIGKILL)
    assert held.wait(timeout=30) == -signal.SIGKILL

    with lock(tmp_path):
        assert (tmp_path / "lock").read_text(encoding="utf-8") == f"{os.getpid()}\n"


def test_the_lock_is_free_after_an_error(tmp_path):
    with pytest.raises(KeyError), lock(tmp_path):
        raise KeyError
    with lock(tmp_path):
        pass
