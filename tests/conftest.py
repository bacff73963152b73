import pytest

SHARED = ("tests/workflow/finished/",)  # folders whose tests share one expensive fixture


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """Distribute whole files, or folders in SHARED, to the processes of `make test`.

    `--dist loadgroup` would do the same, but has no effect with pytest 9.2 (pytest-xdist issue 1386): both processes
    would make the same fixtures.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.split("::", 1)[0]
            return next((folder for folder in SHARED if path.startswith(folder)), path)

    return ByFile(config, log)
