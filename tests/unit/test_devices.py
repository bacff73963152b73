import pytest
import torch

from alexnet2012.devices import open_device
from alexnet2012.errors import ConfigError


@pytest.fixture(autouse=True)
def settings_restored():
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    tf32 = torch.backends.cudnn.allow_tf32
    yield
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(precision)
    torch.backends.cudnn.allow_tf32 = tf32


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
    assert open_device(wanted, 1).type == expected


def test_a_gpu_that_is_demanded_and_missing_is_refused(gpus):
    gpus(False)
    with pytest.raises(ConfigError, match=r"runtime\.device is cuda, but this process sees no usable GPU; use auto"):
        open_device("cuda", 1)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_those_of_the_configuration(gpus, threads):
    gpus(False)
    open_device("auto", threads)
    assert torch.get_num_threads() == threads


def test_float32_means_float32(gpus):
    gpus(False)
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    open_device("auto", 1)
    assert torch.get_float32_matmul_precision() == "highest"
    assert torch.backends.cudnn.allow_tf32 is False
