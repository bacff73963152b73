"""The MLflow store: its address, opening it, and tolerating that it cannot be reached."""

import math
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from alexnet2012.errors import RecordError
from alexnet2012.files import locked, read_json, write_json
from alexnet2012.tracking.views import VIEW_TAG, describe_view

EXPERIMENT = "alexnet2012"
KEY_TAG, PARENT_TAG = "alexnet2012.key", "mlflow.parentRunId"
PAUSE_AFTER_FAILURE_S = 60.0
SETTLE_S = 1.0  # longer than a request takes, and than the difference between two machines' clocks
PORTS = {"postgresql": 5432, "mysql": 3306, "http": 80, "https": 443}

# An unreachable server costs only seconds, telemetry is off, and MLflow does not write to stderr.
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # the server's address may hold a password
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}


@dataclass(frozen=True)
class TrackingIds:
    """A configuration's place in the store; the ids are None if no store could be reached.

    The code uses only `name` and `results`. The rest is information for readers: results may be moved, and
    MLFLOW_TRACKING_URI may later name another store, in which these ids belong to something else.
    """

    uri: str
    experiment_id: str | None
    parent_run_id: str | None
    name: str
    results: str = "results"

    def save(self, path: Path) -> None:
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> "TrackingIds":
        """Read what `save` wrote; raises RecordError for any other file."""
        try:
            return cls(**read_json(path))
        except TypeError as error:
            raise RecordError(f"{path} is not what `track` wrote ({error}); remove it and run snakemake") from None


def tracking_uri(results: Path = Path("results")) -> str:
    """The store's URI: MLFLOW_TRACKING_URI if it is set, else that of the SQLite store in `results`."""
    return os.environ.get("MLFLOW_TRACKING_URI") or embedded_uri(results)


def embedded_uri(results: Path) -> str:
    return sqlite_uri(database(results))


def sqlite_uri(path: Path) -> str:
    """SQLAlchemy's address of a SQLite database, in whose path it takes ? for the end and SQLite % for a code."""
    return f"sqlite:///file:{quote(str(path))}?uri=true" if re.search("[?#%]", str(path)) else f"sqlite:///{path}"


def database(results: Path) -> Path:
    return results.resolve() / "mlflow.db"


def begin_tracking(name: str, results: Path = Path("results")) -> TrackingIds:
    """Create the experiment and the parent run of configuration `name`, unless they exist; returns their ids.

    If no store can be reached, warns and returns ids of None.
    """
    ids = TrackingIds(without_password(tracking_uri(results)), None, None, name, str(results))
    with tolerated():
        store = Store(ids)
        return replace(ids, experiment_id=store.experiment_id, parent_run_id=store.parent_id)
    return ids


class Store:
    """The current store, opened for a configuration: a `client`, the experiment's id, and the parent run's id.

    Raises one of `failures()` if it cannot be reached.
    """

    def __init__(self, ids: TrackingIds) -> None:
        results = Path(ids.results)
        uri, embedded = tracking_uri(results), embedded_uri(results)
        artifacts = (results.resolve() / "mlartifacts").as_uri()
        probe(uri)
        if uri.startswith("http"):  # find out whether the server hangs before taking the lock
            connect(uri).get_experiment_by_name(EXPERIMENT)
        # One process at a time: a new SQLite database that several processes open at once stays broken.
        with locked(results / ".mlflow.lock", math.inf):
            if uri == embedded and not database(results).exists():
                # Made under another name and renamed, so that a kill leaves no incomplete database.
                draft = database(results).with_suffix(".draft")
                draft.unlink(missing_ok=True)
                make_database(draft, artifacts)
                draft.rename(database(results))
            self.client = connect(uri)
            self.experiment_id = self.find_or_create_experiment(None if uri.startswith("http") else artifacts)
            settle_s = 0.0 if uri == embedded else SETTLE_S
            parent = self.find_or_create_run(f"configuration:{ids.name}", ids.name, {}, None, settle_s)
            self.parent_id: str = parent.info.run_id

    def find_or_create_experiment(self, artifacts: str | None) -> str:
        """The experiment's id. Names are unique in a store: one machine creates it, and the others find it."""
        from mlflow.exceptions import MlflowException

        if self.client.get_experiment_by_name(EXPERIMENT) is None:
            try:
                self.client.create_experiment(EXPERIMENT, artifacts)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
        experiment = self.client.get_experiment_by_name(EXPERIMENT)
        keep_view(self.client, experiment)
        return str(experiment.experiment_id)

    def find_or_create_run(
        self, key: str, name: str, tags: Mapping[str, str], began_ms: int | None, settle_s: float = 0.0
    ) -> Any:
        """The run with this key; the oldest if there are several.

        Duplicates arise when MLflow repeats a request whose answer was lost, or when two machines find none at the same
        time, which they notice after `settle_s` seconds. The oldest is kept, and duplicates without content are
        deleted.
        """
        found = self.find_runs(KEY_TAG, key)
        if not found:
            made = self.client.create_run(self.experiment_id, began_ms, {KEY_TAG: key, **tags}, name)
            time.sleep(settle_s)
            found = self.find_runs(KEY_TAG, key) or [made]
        oldest, *twins = found
        for twin in twins:
            if not (twin.data.params or twin.data.metrics or self.find_runs(PARENT_TAG, twin.info.run_id)):
                self.client.delete_run(twin.info.run_id)
        return oldest

    def find_runs(self, tag: str, value: str, more: str = "") -> list[Any]:
        """Runs with this value of a tag, the oldest first; `more`: further conditions of the query."""
        query, oldest_first = f"tags.`{tag}` = '{value}'{more}", ["attributes.start_time ASC"]
        return list(self.client.search_runs([self.experiment_id], query, order_by=oldest_first))


def connect(uri: str) -> Any:
    """An MLflow client for the store at `uri`; raises OSError as `probe` does."""
    probe(uri)
    for variable, value in ENVIRONMENT.items():  # MLflow reads these when it is imported
        os.environ.setdefault(variable, value)
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=uri)


def make_database(path: Path, artifacts: str) -> None:
    """Make a SQLite store that keeps files at `artifacts`. Without it, MLflow would put the path of the working
    directory, with any apostrophe in it, into its SQL."""
    connect(sqlite_uri(path))
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    SqlAlchemyStore(sqlite_uri(path), artifacts)  # type: ignore[no-untyped-call]


def keep_view(client: Any, experiment: Any) -> None:
    """Have the experiment's page know the view that `page_address` opens."""
    view = describe_view()
    if experiment.tags.get(VIEW_TAG) != view:
        insert(lambda: client.set_experiment_tag(experiment.experiment_id, VIEW_TAG, view))


def insert(call: Callable[[], None]) -> None:
    """Make the call, and again if another machine inserted the same row at the same moment, which MLflow refuses."""
    from mlflow.exceptions import MlflowException

    try:
        call()
    except MlflowException as error:
        if error.error_code != "BAD_REQUEST":
            raise
        call()


def probe(uri: str) -> None:
    """Raise OSError if nothing listens at `uri`; for an unreachable database, MLflow itself would retry for 100 s."""
    parts = urlsplit(uri)
    try:
        port = parts.port or PORTS.get(parts.scheme.partition("+")[0])
    except ValueError as error:
        raise OSError(f"{without_password(uri)} is not a valid address: {error}") from None
    if parts.hostname and port:
        socket.create_connection((parts.hostname, port), timeout=5).close()


@dataclass
class Outage:
    """The state of an outage in this process: whether it was reported, and when to try again (monotonic seconds)."""

    warned: bool = False
    retry_at: float = 0.0


outage = Outage()


@contextmanager
def tolerated() -> Iterator[None]:
    """Catch failures of tracking: one line on stderr per process, and a pause before the store is tried again."""
    try:
        yield
    except failures() as error:
        if not outage.warned:
            reason = without_password(" ".join(str(error).split()))[:300]
            warn(f"cannot reach the store now ({reason}); results are kept in their files and published later")
        outage.warned, outage.retry_at = True, time.monotonic() + PAUSE_AFTER_FAILURE_S


def failures() -> tuple[type[Exception], ...]:
    """The exceptions for an absent, overloaded or outdated store, a missing driver, and a run's damaged notes."""
    found: list[type[Exception]] = [OSError, ImportError, RecordError]
    for module, name in (
        ("mlflow.exceptions", "MlflowException"),
        ("sqlalchemy.exc", "SQLAlchemyError"),
        ("alembic.util", "CommandError"),
    ):
        if module in sys.modules:  # a module that was not imported cannot have raised anything
            found.append(getattr(sys.modules[module], name))
    return tuple(found)


def warn(message: str) -> None:
    print(f"tracking: {message}", file=sys.stderr)


def without_password(text: str) -> str:
    return re.sub(r"//[^/@\s]*@", "//***@", text)
