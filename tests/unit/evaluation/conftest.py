import pytest
import torch


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def commit(monkeypatch) -> str:
    """The commit that records of this test name."""
    monkeypatch.setenv("ALEXNET2012_COMMIT", "0123456789abcdef0123456789abcdef01234567")
    return "0123456789abcdef0123456789abcdef01234567"
