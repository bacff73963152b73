"""What torch is told of the device that a job runs on."""

import os
import subprocess
import sys

import pytest
import torch

from alexnet2012.devices import CUBLAS_WORKSPACE, open_device
from alexnet2012.errors import ConfigError

UNTOUCHED = (False, True, False, False, None)  # as torch comes
ENFORCED = (True, False, True, False, ":4096:8")


def read_determinism() -> tuple[bool, bool, bool, bool, str | None]:
    """All that torch is told about it."""
    cudnn = torch.backends.cudnn
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,
        cudnn.deterministic,
        cudnn.benchmark,
        os.environ.get(CUBLAS_WORKSPACE),
    )


@pytest.fixture
def cuda(monkeypatch):
    """cuda(available) decides whether torch finds a GPU; what it is told is taken back in the end."""
    monkeypatch.setenv(CUBLAS_WORKSPACE, "")  # so that it is restored, whatever a test sets
    monkeypatch.delenv(CUBLAS_WORKSPACE)
    for name in ("allow_tf32", "deterministic", "benchmark"):
        monkeypatch.setattr(torch.backends.cudnn, name, getattr(torch.backends.cudnn, name))
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    yield lambda available: monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(precision)
    torch.use_deterministic_algorithms(False)


def test_a_gpu_that_is_demanded_and_missing_is_refused(cuda):
    cuda(False)
    with pytest.raises(ConfigError, match=r"runtime\.device"):
        open_device("cuda", 1, True)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_those_of_the_configuration_and_float32_means_float32(cuda, threads):
    cuda(False)
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    open_device("auto", threads, True)
    assert torch.get_num_threads() == threads
    assert torch.get_float32_matmul_precision() == "highest"
    assert torch.backends.cudnn.allow_tf32 is False


@pytest.mark.parametrize(
    ("wanted", "available", "deterministic", "device", "expected"),
    [
        ("auto", True, True, "cuda", ENFORCED),
        ("cuda", True, True, "cuda", ENFORCED),
        ("auto", True, False, "cuda", UNTOUCHED),
        ("cpu", True, True, "cpu", UNTOUCHED),
        ("cpu", False, False, "cpu", UNTOUCHED),
        # The workspace is set before anyone can know that there is no GPU.
        ("auto", False, True, "cpu", (*UNTOUCHED[:-1], ":4096:8")),
    ],
)
def test_the_device_is_the_wanted_one_and_a_gpu_is_deterministic_where_the_configuration_says_so(
    cuda, wanted, available, deterministic, device, expected
):
    cuda(available)
    assert read_determinism() == UNTOUCHED
    assert open_device(wanted, 1, deterministic).type == device
    assert read_determinism() == expected


def test_what_is_fastest_is_not_measured_and_a_workspace_of_the_users_own_stays(cuda, monkeypatch):
    cuda(True)
    torch.backends.cudnn.benchmark = True
    monkeypatch.setenv(CUBLAS_WORKSPACE, ":16:8")
    open_device("auto", 1, True)
    assert read_determinism() == (*ENFORCED[:-1], ":16:8")


def test_the_workspace_is_set_before_torch_is_imported():
    """cuBLAS reads it once, when CUDA is initialised."""
    code = f"""
import builtins, os
real = builtins.__import__
def watched(name, *more):
    if name == "torch":
        raise SystemExit(os.environ.get("{CUBLAS_WORKSPACE}", "not set"))
    return real(name, *more)
builtins.__import__ = watched
from alexnet2012.devices import open_device
open_device("auto", 1, True)
"""
    own = {key: value for key, value in os.environ.items() if key != CUBLAS_WORKSPACE}
    found = subprocess.run([sys.executable, "-c", code], env=own, capture_output=True, encoding="utf-8", check=False)
    assert found.stderr.strip() == ":4096:8"
