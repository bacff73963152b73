"""Tracking of trainings in MLflow, which is spoken to here and nowhere else.

Every event is written to an outbox beside the run before it is sent, so that a training never waits for a store, never
fails because of one, and reaches it in the end. Sending anything twice changes nothing, which is what makes it safe to
send again after a crash: a run is found by the key that its folder keeps, a metric by its key, step, value and time,
and the store that is in use is asked for its experiment afresh. A store that was lost or exchanged is filled again from
the outboxes.
"""

import fcntl
import json
import math
import os
import re
import socket
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from alexnet2012.errors import ConfigError

EXPERIMENT = "alexnet2012"
KEY_TAG, HOST_TAG, FOLDER_TAG = "alexnet2012.key", "alexnet2012.host", "alexnet2012.state_folder"
PARENT_TAG, NOTE_TAG = "mlflow.parentRunId", "mlflow.note.content"

# MLflow's own limits: entries per call, characters per parameter, characters per tag.
MAX_BATCH, MAX_PARAM, MAX_TAG = 100, 6000, 8000
PAUSE_AFTER_FAILURE_S = 60.0

# A dead server costs seconds, nothing is reported to anyone, and the terminal is left to the workflow.
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
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
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_atomically(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> "TrackingIds":
        return cls(**json.loads(path.read_text()))


def tracking_uri(results: Path = Path("results")) -> str:
    """MLFLOW_TRACKING_URI where it is set, else the SQLite store inside `results`."""
    return os.environ.get("MLFLOW_TRACKING_URI") or _embedded_uri(results)


def initialise(name: str, results: Path = Path("results")) -> TrackingIds:
    """Ids of the experiment and of the run that is parent to all of configuration `name`; both are made if absent.

    Runs that were killed are closed. Without a store it warns and returns ids of None: nothing is lost, see RunLog.
    """
    ids = TrackingIds(_without_password(tracking_uri(results)), None, None, name, str(results))
    with _tolerated():
        ids = _open_store(ids)[1]
    close_stale(ids)
    return ids


class RunLog:
    """The log of one run, kept in `folder` and sent to the store as soon as it can be.

    `tracking.jsonl` holds every event ever logged, `run.json` the run's key, its id and how many events were sent.
    Several processes may log to one folder, during the training or after it.
    """

    def __init__(self, folder: Path, ids: TrackingIds, name: str, key: str | None = None) -> None:
        self._folder, self._ids, self._name = folder, ids, name
        self._key = key or uuid.uuid4().hex
        self._store: tuple[Any, TrackingIds] | None = None

    @property
    def run_id(self) -> str | None:
        """The run's id in the store, None as long as it was not sent."""
        return self._progress().run_id

    def start(self, params: Mapping[str, Any], tags: Mapping[str, str] | None = None) -> None:
        """Opens the run, or opens it again; take the lock on the state folder first, see close_stale.

        A parameter that the run already has keeps its value: MLflow allows no change.
        """
        tags = {**(tags or {}), HOST_TAG: socket.gethostname(), FOLDER_TAG: self._relative_folder()}
        self._record(kind="start", params=_as_text(params), tags=_as_text(tags))

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Logs one epoch; what is already there for this step stays, as a resumed training repeats epochs."""
        self._record(kind="metrics", step=step, values=_finite(values))

    def results(self, values: Mapping[str, float]) -> None:
        """Logs final values at step 0, under names of their own; a value is logged again only if it changed."""
        self._record(kind="results", values=_finite(values))

    def artifact(self, path: Path, into: str | None = None) -> None:
        self._record(kind="artifact", path=str(path), into=into)

    def finish(self, values: Mapping[str, float] | None = None, status: str = "FINISHED") -> None:
        self._record(kind="finish", values=_finite(values or {}), status=status)

    def flush(self) -> bool:
        """Sends what is waiting; True if nothing is left."""
        with _tolerated(), _locked(self._folder / "tracking.lock"):
            self._send_waiting()
            return True
        self._store = None
        return False

    def _record(self, **event: Any) -> None:
        with _tolerated(), _locked(self._folder / "tracking.lock"):
            # The key is on disk before anything is sent: after a crash it finds the run that was made just before.
            self._save(self._progress())
            if event["kind"] == "metrics":
                event["values"] = self._without_repeated(event["step"], event["values"])
            with self._outbox.open("a") as outbox:
                outbox.write(json.dumps({"time_ms": int(time.time() * 1000), **event}) + "\n")
                outbox.flush()
                os.fsync(outbox.fileno())
        if time.monotonic() >= _outage.retry_at:
            self.flush()

    def _without_repeated(self, step: int, values: dict[str, float]) -> dict[str, float]:
        logged = {
            key
            for event in self._events()
            if event["kind"] == "metrics" and event["step"] == step
            for key in event["values"]
        }
        return {key: value for key, value in values.items() if key not in logged}

    def _send_waiting(self) -> None:
        progress = self._progress()
        if self._store is None:
            self._store = _open_store(self._ids)
            if progress.run_id and not _exists(self._store[0], progress.run_id):
                progress = replace(progress, run_id=None, sent=0)
        client, ids = self._store
        for event in self._events()[progress.sent :]:
            if progress.run_id is None:
                tags = {PARENT_TAG: ids.parent_run_id, HOST_TAG: socket.gethostname()}
                began_ms = event["time_ms"]
                run_id = _find_or_create_run(client, ids.experiment_id, progress.key, progress.name, tags, began_ms)
                progress = self._save(replace(progress, run_id=run_id))
            with _refusals_dropped(f"{event['kind']} of {self._name}"):
                _send(client, progress.run_id, event)
            progress = self._save(replace(progress, sent=progress.sent + 1))

    @property
    def _outbox(self) -> Path:
        return self._folder / "tracking.jsonl"

    def _events(self) -> list[dict[str, Any]]:
        """All events; a last line that was cut short, by a crash while writing it, is removed from the file."""
        if not self._outbox.exists():
            return []
        text = self._outbox.read_bytes()
        end = text.rfind(b"\n") + 1
        if end < len(text):
            os.truncate(self._outbox, end)
        return [json.loads(line) for line in text[:end].splitlines()]

    def _progress(self) -> "_Progress":
        path = self._folder / "run.json"
        return _Progress(**json.loads(path.read_text())) if path.exists() else _Progress(self._key, self._name)

    def _save(self, progress: "_Progress") -> "_Progress":
        _write_atomically(self._folder / "run.json", asdict(progress))
        return progress

    def _relative_folder(self) -> str:
        return os.path.relpath(self._folder.resolve(), Path(self._ids.results).resolve().parent)


def log_results(folder: Path, ids: TrackingIds, name: str, values: Mapping[str, float]) -> None:
    """Adds final values to the run whose log is in `folder`, after its end and from any process."""
    RunLog(folder, ids, name).results(values)


def log_ensemble(
    ids: TrackingIds, name: str, members: Mapping[str, str | None], values: Mapping[str, float], outbox_folder: Path
) -> None:
    """Logs an ensemble as a run of its own, one per name, tagged with the run id of each member."""
    log = RunLog(outbox_folder, ids, name, key=f"ensemble:{ids.name}:{name}")
    links = {f"member.{member}": run_id for member, run_id in members.items() if run_id}
    log.start({"members": ", ".join(members)}, links)
    log.finish(values)


def log_tables(ids: TrackingIds, paths: list[Path]) -> bool:
    """Puts the tables on the parent run, as artifacts and as the note that its page shows, and finishes that run.

    Before that it sends whatever still waits in an outbox of this configuration. False if the store was out of reach.
    """
    outboxes = sorted(Path(ids.results, ids.name).rglob("tracking.jsonl"))
    if not all(RunLog(outbox.parent, ids, outbox.parent.name).flush() for outbox in outboxes):
        return False
    close_stale(ids)
    with _tolerated():
        client, ids = _open_store(ids)
        for path in paths:
            client.log_artifact(ids.parent_run_id, str(path), "tables")
        client.set_tag(ids.parent_run_id, NOTE_TAG, _note(paths))
        client.set_terminated(ids.parent_run_id, "FINISHED")
        return True
    return False


def close_stale(ids: TrackingIds) -> list[str]:
    """Ids of the runs of this host that still stood as RUNNING although nobody trains them; they are KILLED now.

    A training holds an exclusive flock on `<state folder>/lock` as long as it lives.
    """
    closed = []
    if time.monotonic() < _outage.retry_at:
        return closed
    with _tolerated():
        client, ids = _open_store(ids)
        query = f"tags.`{PARENT_TAG}` = '{ids.parent_run_id}' and attributes.status = 'RUNNING'"
        for run in client.search_runs([ids.experiment_id], query):
            folder = Path(ids.results).resolve().parent / run.data.tags.get(FOLDER_TAG, "")
            if run.data.tags.get(HOST_TAG) == socket.gethostname() and not _is_held(folder / "lock"):
                client.set_terminated(run.info.run_id, "KILLED")
                closed.append(run.info.run_id)
    return closed


def serve(host: str = "127.0.0.1", port: int = 5000, results: Path = Path("results")) -> None:
    """Becomes MLflow's web server for the store; ConfigError if there is nothing to show or the port is taken."""
    uri = tracking_uri(results)
    if uri.startswith("http"):
        raise ConfigError(f"MLFLOW_TRACKING_URI names a server, {_without_password(uri)}: open that page instead")
    if uri == _embedded_uri(results) and not _database(results).exists():
        raise ConfigError(f"{_database(results)} does not exist yet; run the workflow first, its first step makes it")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(f"{host}:{port} cannot be listened on ({error.strerror}); choose another port") from error
    command = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", uri, "--artifacts-destination", str(results.resolve() / "mlartifacts")]
    # Without the query MLflow opens its pages for language models.
    print(
        f"open http://{host}:{port}/#/experiments?workflowType=machine_learning (Ctrl-C stops the server)", flush=True
    )
    os.execve(command[0], command, {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **ENVIRONMENT, **os.environ})


@dataclass(frozen=True)
class _Progress:
    key: str
    name: str
    run_id: str | None = None
    sent: int = 0


def _open_store(ids: TrackingIds) -> tuple[Any, TrackingIds]:
    """A client and the ids that hold in the store of today. One process at a time: a fresh SQLite database that
    several initialise at once stays broken, and experiments or parents could be made twice."""
    for variable, value in ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    from mlflow.tracking import MlflowClient

    results = Path(ids.results)
    uri = tracking_uri(results)
    # A dead server is noticed here, before anyone queues for the lock; on a dead database MLflow insists for 100 s.
    if uri.startswith("http"):
        MlflowClient(tracking_uri=uri).get_experiment_by_name(EXPERIMENT)
    else:
        _probe(uri)
    with _locked(results / ".mlflow.lock"):
        if uri == _embedded_uri(results) and not _database(results).exists():
            # Made aside and renamed, so that a kill half-way leaves no half-made database.
            draft = _database(results).with_suffix(".draft")
            draft.unlink(missing_ok=True)
            MlflowClient(tracking_uri=f"sqlite:///{draft}").search_experiments()
            draft.rename(_database(results))
        client = MlflowClient(tracking_uri=uri)
        experiment = client.get_experiment_by_name(EXPERIMENT)
        artifacts = None if uri.startswith("http") else (results.resolve() / "mlartifacts").as_uri()
        experiment_id = experiment.experiment_id if experiment else client.create_experiment(EXPERIMENT, artifacts)
        parent = _find_or_create_run(client, experiment_id, f"configuration:{ids.name}", ids.name, {})
    return client, replace(ids, uri=_without_password(uri), experiment_id=experiment_id, parent_run_id=parent)


def _probe(uri: str) -> None:
    parts = urlsplit(uri)
    port = parts.port or {"postgresql": 5432, "mysql": 3306}.get(parts.scheme.partition("+")[0])
    if parts.hostname and port:
        socket.create_connection((parts.hostname, port), timeout=5).close()


def _find_or_create_run(
    client: Any, experiment_id: str, key: str, name: str, tags: Mapping[str, str], began_ms: int | None = None
) -> str:
    query = f"tags.`{KEY_TAG}` = '{key}'"
    found = client.search_runs([experiment_id], query, max_results=1, order_by=["attributes.start_time ASC"])
    if found:
        return found[0].info.run_id
    return client.create_run(experiment_id, began_ms, {KEY_TAG: key, **tags}, name).info.run_id


def _exists(client: Any, run_id: str) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return False
    return True


def _send(client: Any, run_id: str, event: Mapping[str, Any]) -> None:
    """Brings one event into the store; doing so again changes nothing."""
    if event["kind"] == "start":
        client.update_run(run_id, status="RUNNING")
        known = client.get_run(run_id).data.params
        _log_texts(client, run_id, {k: v for k, v in event["params"].items() if k not in known}, event["tags"])
    elif event["kind"] == "metrics":
        _log_metrics(client, run_id, event["values"], event["time_ms"], event["step"])
    elif event["kind"] == "artifact":
        client.log_artifact(run_id, event["path"], event["into"])
    else:
        known = client.get_run(run_id).data.metrics
        changed = {key: value for key, value in event["values"].items() if known.get(key) != value}
        _log_metrics(client, run_id, changed, event["time_ms"], step=0)
        if event["kind"] == "finish":
            client.set_terminated(run_id, event["status"], event["time_ms"])


def _log_texts(client: Any, run_id: str, params: Mapping[str, str], tags: Mapping[str, str]) -> None:
    from mlflow.entities import Param, RunTag

    params, tags = [Param(*item) for item in params.items()], [RunTag(*item) for item in tags.items()]
    # 100 entries in all per call, so parameters and tags go separately.
    for first in range(0, len(params), MAX_BATCH):
        client.log_batch(run_id, params=params[first : first + MAX_BATCH])
    for first in range(0, len(tags), MAX_BATCH):
        client.log_batch(run_id, tags=tags[first : first + MAX_BATCH])


def _log_metrics(client: Any, run_id: str, values: Mapping[str, float], time_ms: int, step: int) -> None:
    """The time is that of the event: the store drops a metric that equals one it has in key, step, value and time."""
    from mlflow.entities import Metric

    if values:
        client.log_batch(run_id, metrics=[Metric(key, value, time_ms, step) for key, value in values.items()])


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    return {key: float(value) for key, value in values.items() if math.isfinite(value)}


def _as_text(values: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(value)[:MAX_PARAM] for key, value in values.items()}


def _note(paths: list[Path]) -> str:
    """The Markdown tables one after the other, as many as a note holds."""
    hint = "\n\nFurther tables are among the artifacts, in `tables/`."
    note = ""
    for text in (path.read_text().strip() for path in paths if path.suffix == ".md"):
        if len(note) + len(text) + len(hint) + 2 > MAX_TAG:
            return note.strip() + hint
        note += text + "\n\n"
    return note.strip()


@dataclass
class _Outage:
    """What this process knows of an unreachable store: whether it said so, and when to try again."""

    warned: bool = False
    retry_at: float = 0.0


_outage = _Outage()


@contextmanager
def _tolerated() -> Iterator[None]:
    """Tracking's failures end here: one line on stderr per process, and a pause before the store is tried again."""
    try:
        yield
    except _failures() as error:
        if not _outage.warned:
            reason = _without_password(" ".join(str(error).split()))[:300]
            _warn(f"cannot reach the store now ({reason}); what is logged is kept beside each run and sent later")
        _outage.warned, _outage.retry_at = True, time.monotonic() + PAUSE_AFTER_FAILURE_S


def _failures() -> tuple[type[Exception], ...]:
    """What an absent, overloaded or outdated store raises, or one without its driver; requests' are OSErrors."""
    from alembic.util import CommandError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return (MlflowException, SQLAlchemyError, CommandError, OSError, ImportError)


@contextmanager
def _refusals_dropped(what: str) -> Iterator[None]:
    """An event that no store will ever take must not hold up those behind it; it stays in the outbox's file."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (FileNotFoundError, PermissionError) as error:
        _warn(f"{what} is left out: {error}")
    except MlflowException as error:
        if error.error_code != "INVALID_PARAMETER_VALUE":
            raise
        _warn(f"{what} is left out: {error}")


def _warn(message: str) -> None:
    print(f"tracking: {message}", file=sys.stderr)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_held(lock: Path) -> bool:
    with suppress(FileNotFoundError), lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _write_atomically(path: Path, content: dict[str, Any]) -> None:
    draft = path.with_name(path.name + ".draft")
    with draft.open("w") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)


def _database(results: Path) -> Path:
    return results.resolve() / "mlflow.db"


def _embedded_uri(results: Path) -> str:
    return f"sqlite:///{_database(results)}"


def _without_password(text: str) -> str:
    return re.sub(r"//[^/@\s]*@", "//***@", text)
