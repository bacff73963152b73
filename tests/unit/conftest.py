"""What the tests of tests/support/tiny_training.py's training share; it is imported when one of them needs it."""

from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A folder with the data of the tiny training, and what `alexnet2012 track` writes; its runs go beside them."""
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
    """The run that nobody disturbs."""
    import torch
    from tiny_training import stay_offline, train_here, write_run

    folder = write_run(root, "alone")
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        stay_offline(patch)
        train_here(folder)
    torch.set_num_threads(threads)
    return folder
