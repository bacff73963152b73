import pytest


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    """Every test plans in a folder of its own, where nothing was run."""
    monkeypatch.chdir(tmp_path)
