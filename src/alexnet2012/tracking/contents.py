"""Contents of runs in the store (tags, params, metrics, files), composed from result files."""

import os
import socket
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from alexnet2012.config.schema import RunConfig, read_run
from alexnet2012.errors import RecordError
from alexnet2012.files import read_json, write_json
from alexnet2012.tracking.store import TrackingIds

MAX_PARAM = 6000  # MLflow's limit in characters
Row = Mapping[Any, Any]  # a row of history.parquet


@dataclass(frozen=True)
class Content:
    """The content of one run, identified in the store by `key`. Times are ms since 1970; `ended_ms` is None while it
    trains.

    `history`: metrics of each epoch, with its number under "epoch". `results`: metrics of the whole run.
    """

    key: str
    name: str
    began_ms: int
    ended_ms: int | None
    tags: dict[str, str]
    params: dict[str, str] = field(default_factory=dict)
    history: Sequence[Row] = ()
    results: Mapping[str, float] = field(default_factory=dict)
    files: Sequence[Path] = ()


def compose_training(folder: Path, ids: TrackingIds, history: Sequence[Row]) -> Content:
    """The content of a net or baseline during its training in `folder`; `history`: its epochs so far."""
    run, note = read_run(folder / "config.yaml"), read_note(folder)
    tags = {"variant": run.variant, "seed": str(run.seed), "dataset": run.dataset_name}
    state = os.path.relpath((folder / "state").resolve(), Path(ids.results).resolve().parent)
    tags |= {"alexnet2012.host": note["host"], "alexnet2012.state_folder": state}
    params = flatten(run)
    if run.training.learning_rate_search is not None:
        del params["training.learning_rate"]  # not known yet; `compose_net` takes it from the record
    return Content(note["key"], f"{run.variant}-seed{run.seed}", note["began_ms"], None, tags, params, history)


def compose_net(folder: Path, ids: TrackingIds) -> Content:
    """The content of a net or baseline trained in `folder`, with the errors of its predictions; raises RecordError."""
    record, files = read_json(folder / "record.json"), [folder / "config.yaml", folder / "history.parquet"]
    training = compose_training(folder, ids, read_history(files[1]))
    params = dict(training.params)
    if "learning_rate" in record:
        params["training.learning_rate"] = str(record["learning_rate"])
    runs = Path(ids.results, ids.name, "runs").resolve()
    predicted = list_predictions(runs.parent / "predictions" / os.path.relpath(folder.resolve(), runs))
    results = read_errors(predicted)
    if record["final"]:
        results["final_val_top1_error_centre"] = record["final"]["val_top1_error"]
    files, ended_ms = [path for path in files if path.exists()], written_ms(folder / "record.json", *predicted)
    return replace(training, ended_ms=ended_ms, params=params, results=results, files=files)


def compose_ensemble(folder: Path, ids: TrackingIds) -> Content:
    """The content of an ensemble with predictions in `folder`; tags have the run ids of its members."""
    records = list_predictions(folder)
    name, members = (read_json(records[0])[key] for key in ("variant", "members"))
    tags = {f"member.{member}": run_id for member, run_id in members.items() if run_id}
    params, key, when = {"members": ", ".join(members)}, f"ensemble:{ids.name}:{name}", written_ms(*records)
    return Content(key, name, when, when, tags, params, results=read_errors(records))


def compose_benchmarks(path: Path, ids: TrackingIds) -> Content:
    """The content of benchmarks, from "provenance" and "values" in the JSON file `path`."""
    found, when = read_json(path), written_ms(path)
    tags = {f"benchmarks.{key}": str(value) for key, value in found["provenance"].items()}
    return Content(f"benchmarks:{ids.name}", "benchmarks", when, when, tags, results=found["values"])


def read_note(folder: Path) -> dict[str, Any]:
    """`folder`/state/run.json, written if missing: key, host and start time of a run, and its id in the store (None
    until it has one)."""
    path = folder / "state" / "run.json"
    note = {"key": uuid.uuid4().hex, "began_ms": int(1000 * time.time()), "host": socket.gethostname(), "run_id": None}
    if path.exists():
        return {**note, **read_json(path)}
    write_json(path, note)
    return note


def flatten(run: RunConfig) -> dict[str, str]:
    """The settings of net and training as MLflow's params, by dotted name: {"net.conv1.kernels": "96", ...}."""
    nested = {"net": run.net.model_dump(), "training": run.training.model_dump(), "hash8": run.hash8}
    return {str(key): str(value)[:MAX_PARAM] for key, value in pd.json_normalize(nested).iloc[0].items()}


def read_history(path: Path) -> Sequence[Row]:
    """The rows of history.parquet; empty if there is no such file. Raises RecordError if it is damaged."""
    try:
        return [dict(row) for row in pd.read_parquet(path).to_dict("records")] if path.exists() else []
    except (OSError, ValueError) as error:
        raise RecordError(f"{path} cannot be read ({error}); train this net again") from None


def list_predictions(folder: Path) -> list[Path]:
    """The paths of the records of predictions in `folder`."""
    return [path for split in ("val", "test") if (path := folder / f"{split}.json").exists()]


def read_errors(records: list[Path]) -> dict[str, float]:
    """The errors of predictions as metrics: {"test_ten_crop_top1_error": 0.25, ...}."""
    return {
        f"{record['split']}_{crops}_{k}_error": error
        for record in map(read_json, records)
        for crops, errors in record["errors"].items()
        for k, error in errors.items()
    }


def written_ms(*paths: Path) -> int:
    """The time at which the newest of the files was written, in ms since 1970."""
    return max(path.stat().st_mtime_ns // 10**6 for path in paths)
