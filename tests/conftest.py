import pytest

SHARED = ("tests/workflow/finished/",)  # folders whose tests have one expensive fixture in common


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """What `make test` gives to one of its processes: a whole file, or a folder of SHARED.

    `--dist loadgroup` would do, but does nothing with pytest 9.2 (pytest-xdist issue 1386): the same fixtures were then
    made in both processes.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.split("::", 1)[0]
            return next((folder for folder in SHARED if path.startswith(folder)), path)

    return ByFile(config, log)
