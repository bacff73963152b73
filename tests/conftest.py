from pathlib import Path

import pytest

WORKFLOW = Path(__file__).parent / "workflow"


@pytest.hookimpl(tryfirst=True)  # before xdist reads it
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What `make test` runs in one of its processes: a file, or all of tests/workflow, which share a finished run."""
    for item in items:
        group = WORKFLOW if WORKFLOW in item.path.parents else item.path
        item.add_marker(pytest.mark.xdist_group(str(group)))
