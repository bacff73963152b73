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

pytestmark = [pytest.mark.usefixtures("offline"), pytest.mark.slow]

PATIENCE_S = 90
ENDS_WITHIN_S = 30
DENSE = {"checkpoint_every_s": 1e-3}  # after nearly every step
STEPS = STEPS_PER_EPOCH * sum(EPOCHS)


def place(root: Path, name: str, placement: str, **changes) -> Path:
    return write_run(root, name, runtime=DENSE | {"placement": placement}, **changes)


def wait_for_step(process, folder: Path, step: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while newest_step(folder) < step:
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"ended too early, or never came this far:\n{process.communicate()[0]}")
        time.sleep(0.001)


def output_of(process, code: int) -> str:
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code, output
    return output


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


def test_it_takes_over_from_one_device_outlives_no_tower_and_resumes(root, alone, monkeypatch):
    folder = place(root, "taken", "one-device")
    with monkeypatch.context() as patch, pytest.raises(Died):
        die_at(patch, lambda epoch, done: (epoch, done) == (2, 5))
        train_here(folder)
    begun = newest_step(folder)
    assert STEPS_PER_EPOCH < begun <= STEPS_PER_EPOCH + 5
    place(root, "taken", "two-devices")
    first = start(folder)
    wait_for_step(first, folder, begun + 2)
    os.kill(children(first.pid)[1], signal.SIGKILL)
    died = time.monotonic()
    output = output_of(first, 1)
    assert time.monotonic() - died < ENDS_WITHIN_S
    assert f"resuming at epoch 2, step {begun}" in output
    assert "the process of tower 1 ended with exit code -9" in output
    assert "Traceback" not in output
    assert not (folder / "record.json").exists()

    output = output_of(start(folder), 0)
    epochs = [line for line in output.splitlines() if line.startswith("cnn seed 1 epoch ") and "  lr " in line]
    assert len(epochs) == len(set(epochs)) >= sum(EPOCHS) - 2  # one of the two processes prints
    assert_same_function(folder, alone)
    two, one = (json.loads((each / "record.json").read_text(encoding="utf-8")) for each in (folder, alone))
    assert (two["processes"], one["processes"]) == (2, 1)
    assert two["identity"]["code"] == fingerprint("train-towers")
    assert (two["parameters"], two["steps"]) == (one["parameters"], STEPS)


def test_both_processes_end_with_their_launcher_and_one_device_goes_on(root, alone):
    """A launcher killed frees the cards that it holds: nothing may run on them from then on.

    One process is stopped, and the other waits for it.
    """
    folder = place(root, "bereft", "two-devices")
    process = start(folder)
    wait_for_step(process, folder, STEPS_PER_EPOCH + 3)
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
    assert STEPS_PER_EPOCH < newest_step(folder) < STEPS
    place(root, "bereft", "one-device")
    train_here(folder)
    assert_same_function(folder, alone)


def test_two_processes_begin_with_the_same_layers_of_another_net_and_stop_with_a_checkpoint(root, alone):
    """At a learning rate of nothing, what they end with is what they began with."""
    kept, layers = ["conv1", "conv3", "fc6"], ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"]
    settings = {"variant": "tuned", "training": {"layer_rates": dict.fromkeys(layers, 0.0)}}
    settings["starts_from"] = {"run": make_run(root).model_dump(), "layers": kept}
    folder = place(root, "tuned-on-one", "one-device", **settings)
    train_here(folder, start_folder=alone)
    one, before = (load_file(each / "model.safetensors") for each in (folder, alone))

    folder = place(root, "tuned-on-two", "two-devices", **settings)
    process = start(folder, "--start", str(alone))
    wait_for_step(process, folder, 1)
    process.send_signal(signal.SIGTERM)
    assert "stopped by SIGTERM" in output_of(process, 143)
    state = read_state(folder)
    assert 0 < state["step"] < STEPS
    assert {name: each.shape for name, each in state["velocity"].items()} == {
        name: each.shape for name, each in one.items()
    }
    for name, each in state["weights"].items():
        assert torch.equal(each, one[name]), name
        assert torch.equal(each, before[name]) == (name.partition(".")[0] in kept), name
