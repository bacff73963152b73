"""Publishing: one idempotent step makes a run of the store equal to its result files."""

import json
import math
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import starmap
from pathlib import Path
from typing import Any
from zlib import crc32

from alexnet2012.errors import AlexNet2012Error
from alexnet2012.files import LockTaken, file_digest, locked, read_json, write_json
from alexnet2012.tracking.contents import (
    Content,
    Row,
    Summaries,
    compose_benchmarks,
    compose_configuration,
    compose_ensemble,
    compose_net,
    compose_training,
    list_predictions,
    name_metric,
    read_note,
)
from alexnet2012.tracking.machine import measure_use
from alexnet2012.tracking.models import MODEL_TAG, keep_model
from alexnet2012.tracking.store import PARENT_TAG, Store, TrackingIds, insert, outage, tolerated, warn

BENCHMARKS = "benchmarks/metrics.json"
FILES_TAG = "alexnet2012.files"  # digests of the uploaded files
MAX_BATCH = 100  # MLflow's limits of params and of tags per call
MAX_DIGEST = 36  # MLflow's limit of characters
MAX_METRICS = 800  # MLflow's limit is 1000 per call, with params and tags
COLOUR_TAG = "mlflow.runColor"  # MLflow's own choice often gives two of five runs the same colour
COLOURS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#222222"),
    *("#56B4E9", "#E69F00", "#7A3E9D", "#8C564B", "#6B8E23"),
)
NO_SUMMARIES = Summaries()
EVERY_EPOCH = "training/seconds"  # a metric that every epoch has


class LiveRun:
    """Live publishing of the training in `folder`: best effort; an unreachable store does not disturb the training.

    With `on` False, nothing is sent and MLflow is not imported. `run_id`: None until a store has the run.
    """

    def __init__(self, folder: Path, ids: TrackingIds, on: bool = True) -> None:
        self.folder, self.ids, self.on = folder, ids, on
        self.run_id: str | None = None
        self.store: Store | None = None

    def update(self, history: Sequence[Row]) -> None:
        """Send the settings, and the epochs of `history` that the store lacks; the last with the machine's use."""
        self._send(lambda: compose_training(self.folder, self.ids, self._with_use(history)))

    @staticmethod
    def _with_use(history: Sequence[Row]) -> Sequence[Row]:
        return [*history[:-1], {**history[-1], **measure_use()}] if history else []

    def finish(self) -> None:
        """Publish the result once its record is written; its model is left to `publish`, after the training."""
        self._send(lambda: replace(compose_net(self.folder, self.ids), net=None))
        with tolerated():
            write_json(self.folder / "state" / "run.json", read_note(self.folder) | {"finished": True})

    def _send(self, compose: Callable[[], Content]) -> None:
        with tolerated():
            self.run_id = read_note(self.folder)["run_id"]
            if self.on and time.monotonic() >= outage.retry_at:
                self.store = self.store or Store(self.ids)
                with refusals_dropped(self.folder):
                    self.run_id = send_net(self.store, self.folder, compose())
            return
        self.store = None


def publish(ids: TrackingIds, tables: list[Path], summaries: Summaries = NO_SUMMARIES) -> bool:
    """Publish everything that a configuration has finished; its parent run gets `tables`, figures and report.

    Runs of killed trainings are closed. Returns False if the store could not be reached.
    """
    root = Path(ids.results, ids.name)
    with tolerated():
        store = Store(ids)
        ids = replace(ids, experiment_id=store.experiment_id)
        for folder in sorted(path.parent for path in root.glob("runs/**/record.json")):
            # A run that is being trained again is locked; it is published at the end of that training.
            with refusals_dropped(folder), locked(folder / "state/lock", 0.0):
                send_net(store, folder, compose_net(folder, ids))
        averages = filter(list_predictions, sorted(root.glob("predictions/*/*/average")))
        others = [partial(compose_ensemble, folder) for folder in averages]
        others += [partial(compose_benchmarks, path) for path in root.glob(BENCHMARKS)]
        for compose in others:
            with refusals_dropped(compose.args[0]):
                send(store, compose(ids))
        for variant in summaries.variants:
            with refusals_dropped(root):
                send(store, variant(ids))
        close_killed(store, root)
        send(store, compose_configuration(ids, tables, summaries))
        return True
    return False


def close_killed(store: Store, root: Path) -> None:
    """Set the status of runs in `root` to KILLED if it is RUNNING but this host no longer trains them."""
    children = store.find_runs(PARENT_TAG, store.parent_id, " and attributes.status = 'RUNNING'")
    running = {run.info.run_id for run in children}
    for path in root.glob("runs/**/run.json"):
        with refusals_dropped(path):
            note = read_json(path)
            if note["run_id"] in running and note.get("host") == socket.gethostname():
                with locked(path.with_name("lock"), 0.0):
                    store.client.set_terminated(note["run_id"], "KILLED")


def send_net(store: Store, folder: Path, content: Content) -> str:
    """Send the content of the run in `folder`; returns its id in the store, which is also noted in the folder."""
    run_id, note = send(store, content), read_note(folder)
    if note["run_id"] != run_id:
        write_json(folder / "state" / "run.json", note | {"run_id": run_id})
    return run_id


def send(store: Store, content: Content) -> str:
    """Make one run of the store equal to `content`; returns its id.

    Idempotent. Params cannot be changed in MLflow, and metrics of an epoch that the store has are kept.
    """
    client, tags = store.client, {PARENT_TAG: store.parent_id, **content.tags}
    run = store.find_or_create_run(content.key, content.name, tags, content.began_ms)
    run_id, known = str(run.info.run_id), run.data
    if content.ended_ms is None and run.info.status != "RUNNING":
        client.update_run(run_id, status="RUNNING")
    params = {key: value for key, value in content.params.items() if key not in known.params}
    changed = {key: value for key, value in content.tags.items() if known.tags.get(key) != value}
    if COLOUR_TAG not in known.tags:  # users may choose another one
        changed |= choose_colour(content.tags)
    metrics = list_epochs(store, run_id, EVERY_EPOCH in known.metrics, content)
    if content.ended_ms is not None:
        metrics.append(log_inputs_and_list_results(store, run, content, content.ended_ms))
    log(client, run_id, params, changed, metrics)
    if content.ended_ms is not None and run.info.status != "FINISHED":
        client.set_terminated(run_id, "FINISHED", content.ended_ms)
    upload(store, run_id, known.tags, content.files)
    return run_id


def choose_colour(tags: Mapping[str, str]) -> dict[str, str]:
    """A tag with the colour of a net's run in MLflow's charts, another one for each of ten seeds of a variant."""
    if not tags.get("seed", "").isdigit():
        return {}
    return {COLOUR_TAG: COLOURS[(crc32(tags["variant"].encode()) + int(tags["seed"])) % len(COLOURS)]}


def log(client: Any, run_id: str, params: Mapping[str, str], tags: Mapping[str, str], metrics: list[list[Any]]) -> None:
    """Log all in as few calls as MLflow's limits allow; metrics that stand in one list, in one call."""
    from mlflow.entities import Param, RunTag

    calls: list[list[Any]] = [[]]
    for together in metrics:
        if len(calls[-1]) + len(together) > MAX_METRICS:
            calls.append([])
        calls[-1] += together
    params_left, tags_left = list(starmap(Param, params.items())), list(starmap(RunTag, tags.items()))
    while params_left or tags_left or any(calls):
        call = (calls.pop(0) if calls else (), params_left[:MAX_BATCH], tags_left[:MAX_BATCH])
        insert(partial(client.log_batch, run_id, *call))
        params_left, tags_left = params_left[MAX_BATCH:], tags_left[MAX_BATCH:]


def list_epochs(store: Store, run_id: str, has_some: bool, content: Content) -> list[list[Any]]:
    """The metrics of each epoch that the store lacks; `has_some`: whether it has any."""
    from mlflow.entities import Metric

    there = store.client.get_metric_history(run_id, EVERY_EPOCH) if has_some else []
    steps, when, epochs = {metric.step for metric in there}, float(content.began_ms), []
    for row in content.history:
        # The timestamp depends only on the history, so that the store drops a metric that is sent twice.
        when += 1000 * row["seconds"]
        if row["epoch"] not in steps:
            values = finite({name_metric(key): value for key, value in row.items() if key != "epoch"})
            epochs.append([Metric(key, value, int(when), int(row["epoch"])) for key, value in values.items()])
    return epochs


def log_inputs_and_list_results(store: Store, run: Any, content: Content, ended_ms: int) -> list[Any]:
    """The metrics of a finished run that the store lacks; its datasets and its model are logged before."""
    from mlflow.entities import Metric

    client, known, run_id = store.client, run.data, str(run.info.run_id)
    if content.data and not run.inputs.dataset_inputs:
        inputs = list_inputs(content.data)
        insert(lambda: client.log_inputs(run_id, inputs))
    tags = known.tags | content.tags
    model_id = keep_model(store, run_id, content.name, tags, content.net) if content.net else None
    results = {key: value for key, value in finite(content.results).items() if known.metrics.get(key) != value}
    if model_id and not known.tags.get(MODEL_TAG, "").startswith(model_id):
        results = finite(content.results)  # the store drops what the run has, and the model has none yet
    return [
        Metric(key, value, ended_ms, 0, model_id, *name_split(content.data, key), run_id)
        for key, value in results.items()
    ]


def name_split(data: Mapping[str, Any] | None, metric: str) -> tuple[str | None, str | None]:
    """Name and digest, see `list_inputs`, of the split that a metric such as test/centre/top1_error was measured on."""
    split = metric.partition("/")[0]
    return (
        (f"{data['name']}/{split}", data["digest"][:MAX_DIGEST]) if data and split in data["counts"] else (None, None)
    )


def list_inputs(data: Mapping[str, Any]) -> list[Any]:
    """The splits of a packed dataset as MLflow's inputs of a run."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    return [
        DatasetInput(
            Dataset(
                name=f"{data['name']}/{split}",
                digest=data["digest"][:MAX_DIGEST],
                source_type="local",
                source=json.dumps({"uri": f"data/{data['name']}"}),
                profile=json.dumps({"images": images}),
            ),
            [InputTag("mlflow.data.context", "training" if split == "train" else "evaluation")],
        )
        for split, images in data["counts"].items()
    ]


def upload(store: Store, run_id: str, tags: Mapping[str, str], files: Mapping[str, Path]) -> None:
    """Upload the files that the store lacks or has with other contents; `files`: by path among the artifacts."""
    digests = {place: file_digest(path)[:8] for place, path in files.items()}
    there = json.loads(tags.get(FILES_TAG, "{}"))
    changed = [place for place, digest in digests.items() if there.get(place) != digest]
    for place in changed:
        store.client.log_artifact(run_id, str(files[place]), place.rpartition("/")[0] or None)
    if changed:  # the tag is set last, so that an interrupted upload is repeated
        insert(lambda: store.client.set_tag(run_id, FILES_TAG, json.dumps(there | digests)))


def finite(values: Mapping[str, float]) -> dict[str, float]:
    return {key: float(value) for key, value in values.items() if math.isfinite(value)}


@contextmanager
def refusals_dropped(what: Path) -> Iterator[None]:
    """Skip a result that is damaged or that the store refuses, with a warning, and one in use; others go on."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except LockTaken:
        pass
    except (AlexNet2012Error, FileNotFoundError, PermissionError, KeyError) as error:
        warn(f"{what} is left out: {error}")
    except MlflowException as error:
        if error.error_code != "INVALID_PARAMETER_VALUE":
            raise
        warn(f"{what} is left out: {error}")
