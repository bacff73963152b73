import os
import subprocess
import sys
from dataclasses import asdict, dataclass

import pytest
import torch

from alexnet2012.config.schema import RuntimeConfig
from alexnet2012.devices import CUBLAS_WORKSPACE, open_device
from alexnet2012.errors import ConfigError


@dataclass(frozen=True)
class Determinism:
    """All that torch is told about it."""

    algorithms: bool
    fills_memory: bool
    cudnn: bool
    cudnn_benchmark: bool
    workspace: str | None


def read_determinism() -> Determinism:
    return Determinism(
        torch.are_deterministic_algorithms_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.benchmark,
        os.environ.get(CUBLAS_WORKSPACE),
    )


UNTOUCHED = Determinism(False, True, False, False, None)  # as torch comes
ENFORCED = Determinism(True, False, True, False, ":4096:8")


@pytest.fixture(autouse=True)
def settings_restored(monkeypatch):
    monkeypatch.setenv(CUBLAS_WORKSPACE, "")  # so that it is restored, whatever a test sets
    monkeypatch.delenv(CUBLAS_WORKSPACE)
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    tf32 = torch.backends.cudnn.allow_tf32
    yield
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(precision)
    torch.backends.cudnn.allow_tf32 = tf32
    torch.use_deterministic_algorithms(UNTOUCHED.algorithms)
    torch.utils.deterministic.fill_uninitialized_memory = UNTOUCHED.fills_memory
    torch.backends.cudnn.deterministic = UNTOUCHED.cudnn
    torch.backends.cudnn.benchmark = UNTOUCHED.cudnn_benchmark


@pytest.fixture
def gpus(monkeypatch):
    def see(available: bool) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: available)

    return see


@pytest.mark.parametrize(
    ("wanted", "available", "expected"),
    [
        ("auto", False, "cpu"),
        ("auto", True, "cuda"),
        ("cpu", True, "cpu"),
        ("cpu", False, "cpu"),
        ("cuda", True, "cuda"),
    ],
)
def test_the_device_is_the_wanted_one(gpus, wanted, available, expected):
    gpus(available)
    assert open_device(wanted, 1, True).type == expected


def test_a_gpu_that_is_demanded_and_missing_is_refused(gpus):
    gpus(False)
    with pytest.raises(ConfigError, match=r"runtime\.device is cuda, but this process sees no usable GPU; use auto"):
        open_device("cuda", 1, True)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_those_of_the_configuration(gpus, threads):
    gpus(False)
    open_device("auto", threads, True)
    assert torch.get_num_threads() == threads


def test_float32_means_float32(gpus):
    gpus(False)
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    open_device("auto", 1, True)
    assert torch.get_float32_matmul_precision() == "highest"
    assert torch.backends.cudnn.allow_tf32 is False


def test_a_reproduction_is_deterministic_unless_told_otherwise():
    assert RuntimeConfig().deterministic


@pytest.mark.parametrize(
    ("wanted", "deterministic", "expected"),
    [
        ("auto", True, ENFORCED),
        ("cuda", True, ENFORCED),
        ("auto", False, UNTOUCHED),
        ("cpu", True, UNTOUCHED),
        ("cpu", False, UNTOUCHED),
    ],
)
def test_a_gpu_is_deterministic_where_the_configuration_says_so(gpus, wanted, deterministic, expected):
    gpus(True)
    assert read_determinism() == UNTOUCHED
    open_device(wanted, 1, deterministic)
    assert read_determinism() == expected


def test_measuring_what_is_fastest_is_switched_off(gpus):
    gpus(True)
    torch.backends.cudnn.benchmark = True
    open_device("auto", 1, True)
    assert torch.backends.cudnn.benchmark is False


def test_on_a_cpu_torch_is_told_nothing(gpus):
    gpus(False)
    open_device("auto", 1, True)
    told, untouched = asdict(read_determinism()), asdict(UNTOUCHED)
    del told["workspace"], untouched["workspace"]  # set before anyone can know that there is no GPU
    assert told == untouched


def test_a_workspace_of_the_users_own_stays(gpus, monkeypatch):
    gpus(True)
    monkeypatch.setenv(CUBLAS_WORKSPACE, ":16:8")
    open_device("auto", 1, True)
    assert os.environ[CUBLAS_WORKSPACE] == ":16:8"


def test_the_workspace_is_set_before_torch_is_imported():
    """cuBLAS reads it once, when CUDA is initialised."""
    code = f"""
import builtins, os
real = builtins.__import__
def watched(name, *more):
    if name == "torch" and "{CUBLAS_WORKSPACE}" in os.environ:
        raise SystemExit(os.environ["{CUBLAS_WORKSPACE}"])
    return real(name, *more)
builtins.__import__ = watched
from alexnet2012.devices import open_device
open_device("auto", 1, True)
"""
    environment = {key: value for key, value in os.environ.items() if key != CUBLAS_WORKSPACE}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert found.stderr.strip() == ":4096:8"
