"""Two processes with a tower each compute what one process computes with the grouped net (§3.2, figure 2)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import both_placements
import pytest
import tiny_training

RELATIVE, AFTER_TEN_STEPS = 1e-5, 1e-4


@pytest.fixture(scope="module")
def differences(tmp_path_factory):
    folder = tmp_path_factory.mktemp("both")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    folders = [str(Path(module.__file__).parent) for module in (both_placements, tiny_training)]
    path = os.pathsep.join([*folders, os.environ.get("PYTHONPATH", "")])
    ended = subprocess.run(
        [*torchrun, f"--log-dir={folder}", both_placements.__file__, folder / "found.json", folder],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads((folder / "found.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("net", both_placements.NETS)
def test_outputs_and_gradients_are_those_of_one_device(differences, net):
    found = differences[net]
    assert {"logits", "evaluated", "conv1.weight", "conv5.bias", "fc6.weight", "fc8.bias"} <= set(found)
    assert ("conv3.weight" in found) == (net != "no-conv3")
    assert max(found.values()) < RELATIVE, found


def test_ten_training_steps_are_those_of_one_device(differences):
    found = differences["steps"]
    assert len(found) == 2 * 2 * 8  # weights and velocities, of kernels and biases, of eight layers
    assert max(found.values()) < AFTER_TEN_STEPS, found
