"""The MLflow store: where it is, how it is made, and what happens when it cannot be reached."""

import fcntl
import math
import os
import re
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from alexnet2012.errors import RecordError
from alexnet2012.files import locked, read_json, write_json

EXPERIMENT = "alexnet2012"
KEY_TAG, HOST_TAG, FOLDER_TAG = "alexnet2012.key", "alexnet2012.host", "alexnet2012.state_folder"
PARENT_TAG, NOTE_TAG = "mlflow.parentRunId", "mlflow.note.content"
PAUSE_AFTER_FAILURE_S = 60.0
SETTLE_S = 1.0  # longer than a request takes, and than the clocks of two machines differ

# A dead server costs seconds, nothing is reported to anyone, and stderr is left to the workflow.
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
    """A configuration's place in the store; experiment and parent are None while no store could be reached.

    Only `name` and `results` are relied upon. The rest is for the reader: a results folder may be moved, and
    MLFLOW_TRACKING_URI may name another store tomorrow, in which these ids would belong to somebody else.
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
        try:
            return cls(**read_json(path))
        except TypeError as error:
            raise RecordError(f"{path} is not what `track` wrote ({error}); remove it and run snakemake") from None


def tracking_uri(results: Path = Path("results")) -> str:
    """MLFLOW_TRACKING_URI where it is set, else the SQLite store inside `results`."""
    return os.environ.get("MLFLOW_TRACKING_URI") or embedded_uri(results)


def initialise(name: str, results: Path = Path("results")) -> TrackingIds:
    """Ids of the experiment and of the run that is parent to all of configuration `name`; both are made if absent.

    Runs that were killed are closed. Without a store it warns and returns ids of None: nothing is lost, see RunLog.
    """
    ids = TrackingIds(without_password(tracking_uri(results)), None, None, name, str(results))
    with tolerated():
        ids = open_store(ids)[1]
    close_stale(ids)
    return ids


def close_stale(ids: TrackingIds) -> list[str]:
    """Ids of the runs of this host that still stood as RUNNING although nobody trains them; they are KILLED now.

    A training holds an exclusive flock on `<state folder>/lock` as long as it lives. On a server, runs of another
    checkout on this host are left alone: folders are called alike there, so the run's key must be the folder's.
    """
    closed = []
    if time.monotonic() < outage.retry_at:
        return closed
    with tolerated():
        client, ids = open_store(ids)
        query = f"tags.`{PARENT_TAG}` = '{ids.parent_run_id}' and attributes.status = 'RUNNING'"
        own_store = tracking_uri(Path(ids.results)) == embedded_uri(Path(ids.results))
        for run in client.search_runs([ids.experiment_id], query):
            folder = Path(ids.results).resolve().parent / run.data.tags.get(FOLDER_TAG, "")
            ours = run.data.tags.get(HOST_TAG) == socket.gethostname() and (
                own_store or key_of(folder) == run.data.tags.get(KEY_TAG)
            )
            if ours and not is_held(folder / "lock"):
                client.set_terminated(run.info.run_id, "KILLED")
                closed.append(run.info.run_id)
    return closed


def open_store(ids: TrackingIds) -> tuple[Any, TrackingIds]:
    """A client and the ids that hold in the store of today. One process at a time: a fresh SQLite database that
    several initialise at once stays broken, and experiments or parents could be made twice."""
    set_environment()
    from mlflow.tracking import MlflowClient

    results = Path(ids.results)
    uri = tracking_uri(results)
    # A dead server is noticed here, before anyone queues for the lock; on a dead database MLflow insists for 100 s.
    if uri.startswith("http"):
        MlflowClient(tracking_uri=uri).get_experiment_by_name(EXPERIMENT)
    else:
        probe(uri)
    with locked(results / ".mlflow.lock", math.inf):
        if uri == embedded_uri(results) and not database(results).exists():
            # Made aside and renamed, so that a kill half-way leaves no half-made database.
            draft = database(results).with_suffix(".draft")
            draft.unlink(missing_ok=True)
            MlflowClient(tracking_uri=f"sqlite:///{draft}").search_experiments()
            draft.rename(database(results))
        client = MlflowClient(tracking_uri=uri)
        artifacts = None if uri.startswith("http") else (results.resolve() / "mlartifacts").as_uri()
        experiment_id = find_or_create_experiment(client, artifacts)
        settle_s = 0.0 if uri == embedded_uri(results) else SETTLE_S
        parent = find_or_create_run(client, experiment_id, f"configuration:{ids.name}", ids.name, {}, settle_s=settle_s)
    return client, replace(ids, uri=without_password(uri), experiment_id=experiment_id, parent_run_id=parent)


def find_experiment(uri: str) -> str | None:
    """Id of the experiment in the store at `uri`; None if the store has no experiment yet or cannot be reached."""
    set_environment()
    from mlflow.tracking import MlflowClient

    with suppress(*failures()):
        probe(uri)
        experiment = MlflowClient(tracking_uri=uri).get_experiment_by_name(EXPERIMENT)
        return None if experiment is None else experiment.experiment_id
    return None


def set_environment() -> None:
    """MLflow reads these variables when it is imported, so this comes first."""
    for variable, value in ENVIRONMENT.items():
        os.environ.setdefault(variable, value)


def probe(uri: str) -> None:
    parts = urlsplit(uri)
    try:
        given = parts.port
    except ValueError as error:
        raise OSError(f"{without_password(uri)} is no address: {error}") from None
    port = given or {"postgresql": 5432, "mysql": 3306}.get(parts.scheme.partition("+")[0])
    if parts.hostname and port:
        socket.create_connection((parts.hostname, port), timeout=5).close()


def find_or_create_experiment(client: Any, artifacts: str | None) -> str:
    """Names are unique in a store, so that of several machines one makes it and the others use it."""
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        try:
            return client.create_experiment(EXPERIMENT, artifacts)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        experiment = client.get_experiment_by_name(EXPERIMENT)
    return experiment.experiment_id


def find_or_create_run(
    client: Any,
    experiment_id: str,
    key: str,
    name: str,
    tags: Mapping[str, str],
    began_ms: int | None = None,
    settle_s: float = 0.0,
) -> str:
    """Id of the run with this key, the oldest where there are several.

    MLflow asks again when an answer is lost, and two machines may both have found none, as they see after `settle_s`:
    the oldest stays, and of the others those that nobody used are deleted.
    """
    found = find_runs(client, experiment_id, KEY_TAG, key)
    if not found:
        made = client.create_run(experiment_id, began_ms, {KEY_TAG: key, **tags}, name)
        time.sleep(settle_s)
        found = find_runs(client, experiment_id, KEY_TAG, key) or [made]
    oldest, *twins = found
    for twin in twins:
        used = twin.data.params or twin.data.metrics
        if not used and not find_runs(client, experiment_id, PARENT_TAG, twin.info.run_id):
            client.delete_run(twin.info.run_id)
    return oldest.info.run_id


def find_runs(client: Any, experiment_id: str, tag: str, value: str) -> list[Any]:
    """Runs with this value of a tag, the oldest first."""
    return client.search_runs([experiment_id], f"tags.`{tag}` = '{value}'", order_by=["attributes.start_time ASC"])


def exists(client: Any, run_id: str) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return False
    return True


@dataclass
class Outage:
    """What this process knows of an unreachable store: whether it said so, and when to try again."""

    warned: bool = False
    retry_at: float = 0.0


outage = Outage()


@contextmanager
def tolerated() -> Iterator[None]:
    """Tracking's failures end here: one line on stderr per process, and a pause before the store is tried again."""
    try:
        yield
    except failures() as error:
        if not outage.warned:
            reason = without_password(" ".join(str(error).split()))[:300]
            warn(f"cannot reach the store now ({reason}); what is logged is kept beside each run and sent later")
        outage.warned, outage.retry_at = True, time.monotonic() + PAUSE_AFTER_FAILURE_S


def failures() -> tuple[type[Exception], ...]:
    """What an absent, overloaded or outdated store raises, or one without its driver, and damaged notes of a run."""
    from alembic.util import CommandError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return (MlflowException, SQLAlchemyError, CommandError, OSError, ImportError, RecordError)


@contextmanager
def refusals_dropped(what: str) -> Iterator[None]:
    """An event that no store will ever take must not hold up those behind it; it stays in the outbox's file."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (FileNotFoundError, PermissionError) as error:
        warn(f"{what} is left out: {error}")
    except MlflowException as error:
        if error.error_code != "INVALID_PARAMETER_VALUE":
            raise
        warn(f"{what} is left out: {error}")


def warn(message: str) -> None:
    print(f"tracking: {message}", file=sys.stderr)


def is_held(lock: Path) -> bool:
    with suppress(FileNotFoundError), lock.open(encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def key_of(folder: Path) -> str | None:
    """The key of the run whose log is in `folder`, None where there is no log or it cannot be read."""
    with suppress(RecordError):
        return read_json(folder / "run.json")["key"]
    return None


def database(results: Path) -> Path:
    return results.resolve() / "mlflow.db"


def embedded_uri(results: Path) -> str:
    return f"sqlite:///{database(results)}"


def without_password(text: str) -> str:
    return re.sub(r"//[^/@\s]*@", "//***@", text)
