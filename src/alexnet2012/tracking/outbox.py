"""The log of one run: written to an outbox beside the run first, and sent to the store as soon as it can be."""

import json
import math
import os
import socket
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from alexnet2012.files import locked, read_json, write_json
from alexnet2012.tracking.store import (
    FOLDER_TAG,
    HOST_TAG,
    PARENT_TAG,
    TrackingIds,
    exists,
    find_or_create_run,
    open_store,
    outage,
    refusals_dropped,
    tolerated,
)

# MLflow's own limits: entries per call, characters per parameter.
MAX_BATCH, MAX_PARAM = 100, 6000


class RunLog:
    """The log of one run, kept in `folder` and sent to the store as soon as it can be.

    `tracking.jsonl` holds every event ever logged, `run.json` the run's key, its id and how many events were sent.
    Several processes may log to one folder, during the training or after it. With `sends` False nothing is sent before
    `flush`: a job of seconds would spend as many on reaching the store, and the tables' job flushes every outbox.
    """

    def __init__(self, folder: Path, ids: TrackingIds, name: str, key: str | None = None, sends: bool = True) -> None:
        self._folder, self._ids, self._name, self._sends = folder, ids, name, sends
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
        tags = {**(tags or {}), **self._place()}
        self._record(kind="start", params=as_text(params), tags=as_text(tags))

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Logs one epoch; what is already there for this step stays, as a resumed training repeats epochs."""
        self._record(kind="metrics", step=step, values=finite(values))

    def results(self, values: Mapping[str, float]) -> None:
        """Logs final values at step 0, under names of their own; a value is logged again only if it changed."""
        self._record(kind="results", values=finite(values))

    def artifact(self, path: Path, into: str | None = None) -> None:
        self._record(kind="artifact", path=str(path), into=into)

    def finish(self, values: Mapping[str, float] | None = None, status: str = "FINISHED") -> None:
        self._record(kind="finish", values=finite(values or {}), status=status)

    def flush(self) -> bool:
        """Sends what is waiting; True if nothing is left."""
        with tolerated(), locked(self._folder / "tracking.lock", math.inf):
            self._send_waiting()
            return True
        self._store = None
        return False

    def _record(self, **event: Any) -> None:
        with tolerated(), locked(self._folder / "tracking.lock", math.inf):
            # The key is on disk before anything is sent: after a crash it finds the run that was made just before.
            self._save(self._progress())
            if event["kind"] == "metrics":
                event["values"] = self._without_repeated(event["step"], event["values"])
            with self._outbox.open("a", encoding="utf-8") as outbox:
                outbox.write(json.dumps({"time_ms": int(time.time() * 1000), **event}) + "\n")
                outbox.flush()
                os.fsync(outbox.fileno())
        if self._sends and time.monotonic() >= outage.retry_at:
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
            self._store = open_store(self._ids)
            if progress.run_id and not exists(self._store[0], progress.run_id):
                progress = replace(progress, run_id=None, sent=0)
        client, ids = self._store
        for event in self._events()[progress.sent :]:
            if progress.run_id is None:
                tags = {PARENT_TAG: ids.parent_run_id, **self._place()}
                began_ms = event["time_ms"]
                run_id = find_or_create_run(client, ids.experiment_id, progress.key, progress.name, tags, began_ms)
                progress = self._save(replace(progress, run_id=run_id))
            with refusals_dropped(f"{event['kind']} of {self._name}"):
                send(client, progress.run_id, event)
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

    def _progress(self) -> "Progress":
        path = self._folder / "run.json"
        return Progress(**read_json(path)) if path.exists() else Progress(self._key, self._name)

    def _save(self, progress: "Progress") -> "Progress":
        write_json(self._folder / "run.json", asdict(progress))
        return progress

    def _place(self) -> dict[str, str]:
        """Where close_stale finds out whether the run is trained, as tags."""
        folder = os.path.relpath(self._folder.resolve(), Path(self._ids.results).resolve().parent)
        return {HOST_TAG: socket.gethostname(), FOLDER_TAG: folder}


@dataclass(frozen=True)
class Progress:
    key: str
    name: str
    run_id: str | None = None
    sent: int = 0


def log_results(folder: Path, ids: TrackingIds, name: str, values: Mapping[str, float]) -> None:
    """Adds final values to the run whose log is in `folder`, after its end, from any process; sent with the tables."""
    RunLog(folder, ids, name, sends=False).results(values)


def log_ensemble(
    ids: TrackingIds, name: str, members: Mapping[str, str | None], values: Mapping[str, float], outbox_folder: Path
) -> None:
    """Logs an ensemble as a run of its own, one per name, tagged with its members' run ids; sent with the tables."""
    log = RunLog(outbox_folder, ids, name, key=f"ensemble:{ids.name}:{name}", sends=False)
    links = {f"member.{member}": run_id for member, run_id in members.items() if run_id}
    log.start({"members": ", ".join(members)}, links)
    log.finish(values)


def log_benchmarks(
    ids: TrackingIds, provenance: Mapping[str, Any], values: Mapping[str, float], outbox_folder: Path
) -> None:
    """Logs the values of a configuration's latest benchmarks on one run, and what made them as its tags."""
    log = RunLog(outbox_folder, ids, "benchmarks", key=f"benchmarks:{ids.name}")
    log.start({}, as_text({f"benchmarks.{key}": value for key, value in provenance.items()}))
    log.finish(values)


def send(client: Any, run_id: str, event: Mapping[str, Any]) -> None:
    """Brings one event into the store; doing so again changes nothing."""
    if event["kind"] == "start":
        client.update_run(run_id, status="RUNNING")
        known = client.get_run(run_id).data.params
        log_texts(client, run_id, {k: v for k, v in event["params"].items() if k not in known}, event["tags"])
    elif event["kind"] == "metrics":
        log_metrics(client, run_id, event["values"], event["time_ms"], event["step"])
    elif event["kind"] == "artifact":
        client.log_artifact(run_id, event["path"], event["into"])
    else:
        known = client.get_run(run_id).data.metrics
        changed = {key: value for key, value in event["values"].items() if known.get(key) != value}
        log_metrics(client, run_id, changed, event["time_ms"], step=0)
        if event["kind"] == "finish":
            client.set_terminated(run_id, event["status"], event["time_ms"])


def log_texts(client: Any, run_id: str, params: Mapping[str, str], tags: Mapping[str, str]) -> None:
    from mlflow.entities import Param, RunTag

    params, tags = [Param(*item) for item in params.items()], [RunTag(*item) for item in tags.items()]
    # 100 entries in all per call, so parameters and tags go separately.
    for first in range(0, len(params), MAX_BATCH):
        client.log_batch(run_id, params=params[first : first + MAX_BATCH])
    for first in range(0, len(tags), MAX_BATCH):
        client.log_batch(run_id, tags=tags[first : first + MAX_BATCH])


def log_metrics(client: Any, run_id: str, values: Mapping[str, float], time_ms: int, step: int) -> None:
    """The time is that of the event: the store drops a metric that equals one it has in key, step, value and time."""
    from mlflow.entities import Metric

    if values:
        client.log_batch(run_id, metrics=[Metric(key, value, time_ms, step) for key, value in values.items()])


def finite(values: Mapping[str, float]) -> dict[str, float]:
    return {key: float(value) for key, value in values.items() if math.isfinite(value)}


def as_text(values: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(value)[:MAX_PARAM] for key, value in values.items()}
