"""A training on two devices as its rule starts it: resumed on either placement, stopped, and bereft of a process."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_training import (
    EPOCHS,
    STEPS_PER_EPOCH,
    Died,
    die_at,
    make_run,
    newest_step,
    read_state,
    start,
    train_here,
    write_run,
)

from alexnet2012.fingerprint import fingerprint

pytestmark = pytest.mark.usefixtures("offline", "another_launcher")

PATIENCE_S = 90
ENDS_WITHIN_S = 30
DENSE = {"checkpoint_every_s": 1e-3}  # after nearly every step
STEPS = STEPS_PER_EPOCH * sum(EPOCHS)


@pytest.fixture
def another_launcher(monkeypatch) -> None:
    """The environment of a process that torchrun started as one of four on two machines."""
    for key, value in {
        "PET_NNODES": "2",
        "PET_RDZV_ENDPOINT": "elsewhere.example.org:29400",
        "TORCHELASTIC_RUN_ID": "another",
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "MASTER_ADDR": "elsewhere.example.org",
        "MASTER_PORT": "29400",
        "RANK": "2",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "4",
        "LOCAL_WORLD_SIZE": "2",
    }.items():
        monkeypatch.setenv(key, value)


def place(root: Path, name: str, placement: str) -> Path:
    return write_run(root, name, runtime=DENSE | {"placement": placement})


def wait_for_step(process, folder: Path, step: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while newest_step(folder) < step:
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"ended too early, or never came this far:\n{process.communicate()[0]}")
        time.sleep(0.001)


def children(pid: int) -> list[int]:
    """Its two processes, in the order of their towers."""
    found = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()]
    rank = {each: f"\0RANK={index}\0" for each in found for index in (0, 1) if f"\0RANK={index}\0" in environment(each)}
    return sorted(rank, key=rank.__getitem__)


def environment(pid: int) -> str:
    return f"\0{Path(f'/proc/{pid}/environ').read_text(encoding='utf-8')}"


def assert_same_function(folder: Path, alone: Path) -> None:
    found, expected = (load_file(each / "model.safetensors") for each in (folder, alone))
    assert {name: each.shape for name, each in found.items()} == {name: each.shape for name, each in expected.items()}
    for name, each in expected.items():
        assert float((found[name] - each).abs().max() / each.abs().max()) < 1e-4, name


@pytest.mark.slow
def test_a_stopped_training_goes_on_on_one_device(root, alone):
    folder = place(root, "stopped", "two-devices")
    process = start(folder)
    wait_for_step(process, folder, STEPS_PER_EPOCH + 3)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 143, output
    assert "stopped by SIGTERM; a checkpoint was written, the same command resumes" in output
    state = read_state(folder)
    assert STEPS_PER_EPOCH < state["step"] < STEPS
    assert {name: each.shape for name, each in state["velocity"].items()} == {
        name: each.shape for name, each in state["weights"].items()
    }
    place(root, "stopped", "one-device")
    train_here(folder)
    assert_same_function(folder, alone)


def say_every_step(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Processes that are started within `patch` print a line of progress for each step."""
    (folder / "sitecustomize.py").write_text(
        "from alexnet2012.training import progress\nprogress.INTERVAL_S = 0\n", encoding="utf-8"
    )
    patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))


@pytest.mark.slow
def test_it_takes_over_from_one_device_outlives_no_tower_and_resumes(root, alone, monkeypatch, tmp_path):
    folder = place(root, "taken", "one-device")
    with monkeypatch.context() as patch:
        die_at(patch, lambda epoch, done: (epoch, done) == (2, 5))
        with pytest.raises(Died):
            train_here(folder)
    begun = newest_step(folder)
    assert STEPS_PER_EPOCH < begun <= STEPS_PER_EPOCH + 5
    place(root, "taken", "two-devices")
    first = start(folder)
    wait_for_step(first, folder, begun + 2)
    os.kill(children(first.pid)[1], signal.SIGKILL)
    died = time.monotonic()
    output, _ = first.communicate(timeout=PATIENCE_S)
    assert time.monotonic() - died < ENDS_WITHIN_S
    assert first.returncode == 1, output
    assert f"resuming at epoch 2, step {begun}" in output
    assert "the process of tower 1 ended with exit code -9" in output
    assert "Traceback" not in output
    assert not (folder / "record.json").exists()
    with monkeypatch.context() as patch:
        say_every_step(tmp_path, patch)
        second = start(folder)
    output, _ = second.communicate(timeout=PATIENCE_S)
    assert second.returncode == 0, output
    assert "resuming at epoch" in output
    # One of the two processes prints.
    lines = [line for line in output.splitlines() if line.startswith("cnn seed 1 epoch ")]
    steps = [
        line.split("  ")[1] for line in lines if "  step " in line and line.split()[4] == f"{sum(EPOCHS)}/{sum(EPOCHS)}"
    ]
    assert steps == [f"step {done}/{STEPS_PER_EPOCH}" for done in range(1, STEPS_PER_EPOCH + 1)]
    assert len(lines) == len(set(lines))
    assert_same_function(folder, alone)
    records = [json.loads((each / "record.json").read_text(encoding="utf-8")) for each in (folder, alone)]
    assert [record["processes"] for record in records] == [2, 1]
    assert [record["identity"]["code"] for record in records] == [fingerprint("train-towers"), fingerprint("train")]
    assert records[0]["parameters"] == records[1]["parameters"]
    assert records[0]["steps"] == STEPS


@pytest.mark.slow
def test_both_processes_end_with_their_launcher(root):
    """A launcher killed frees the cards that it holds: nothing may run on them from then on.

    One process is stopped, and the other waits for it.
    """
    folder = place(root, "bereft", "two-devices")
    process = start(folder)
    wait_for_step(process, folder, 1)
    towers = children(process.pid)
    assert len(towers) == 2
    os.kill(towers[1], signal.SIGSTOP)
    time.sleep(0.5)
    process.kill()
    process.wait(PATIENCE_S)
    deadline = time.monotonic() + ENDS_WITHIN_S
    while any(Path(f"/proc/{pid}").exists() for pid in towers):
        assert time.monotonic() < deadline, f"of {towers}, one lives on"
        time.sleep(0.05)


@pytest.mark.slow
def test_two_processes_begin_with_the_same_layers_of_another_net(root, alone):
    """At a learning rate of nothing, what they end with is what they began with."""
    earlier, kept = make_run(root), ["conv1", "conv3", "fc6"]
    still = {"layer_rates": dict.fromkeys(["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"], 0.0)}
    settings = {"training": still, "starts_from": {"run": earlier.model_dump(), "layers": kept}}
    folders = {}
    for placement in ("one-device", "two-devices"):
        runtime = {"placement": placement}
        folders[placement] = write_run(root, f"tuned-on-{placement}", runtime=runtime, variant="tuned", **settings)
        process = start(folders[placement], "--start", str(alone))
        output, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, output
    one, two, before = (load_file(each / "model.safetensors") for each in (*folders.values(), alone))
    for name, each in two.items():
        assert torch.equal(each, one[name]), name
        assert torch.equal(each, before[name]) == (name.partition(".")[0] in kept), name
