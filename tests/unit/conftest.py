"""Fixtures of tests that use the training in tests/support/tiny_training.py, which is imported only when needed."""

from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A folder with the data of the tiny training and the output of `alexnet2012 track`, in which runs are written."""
    from tiny_training import pack, write_tracking

    root = tmp_path_factory.mktemp("root")
    pack(root)
    write_tracking(root)
    return root


@pytest.fixture
def offline(monkeypatch) -> None:
    from tiny_training import stay_offline

    stay_offline(monkeypatch)


@pytest.fixture(scope="module")
def alone(root) -> Path:
    """The folder of a training that ran without interruption."""
    import torch
    from tiny_training import stay_offline, train_here, write_run

    folder = write_run(root, "alone")
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        stay_offline(patch)
        train_here(folder)
    torch.set_num_threads(threads)
    return folder
