"""Contents of runs in the store (tags, params, metrics, files), composed from result files."""

import getpass
import os
import socket
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from alexnet2012.config.schema import RunConfig, read_run
from alexnet2012.costs import read_history, time_to_target
from alexnet2012.files import NET_FIGURES, read_json, write_json
from alexnet2012.provenance import PACKAGE, NoCheckout, ask_git, read_checkout
from alexnet2012.tracking.store import TrackingIds, without_password

NOTE_TAG = "mlflow.note.content"
MAX_PARAM, MAX_NOTE = 6000, 8000  # MLflow's limits in characters
FILES = ("config.yaml", "history.parquet", "record.json", "model_card.md", *NET_FIGURES)
SPLITS = ("train", "val", "test")
Row = Mapping[Any, Any]  # a row of history.parquet


@dataclass(frozen=True)
class Content:
    """The content of one run, identified by `key`. Times are ms since 1970; `ended_ms` is None during a training.

    `history`: rows by epoch, whose number is "epoch" among them, see `name_metric`. `results`: metrics of the whole
    run. `files`: those that it shows, by their places among its artifacts, which end with their names. `data`: the
    "name", "digest" and "counts" of the splits that it was made of. `net`: the folder of a net to be served.
    """

    key: str
    name: str
    began_ms: int
    ended_ms: int | None
    tags: dict[str, str]
    params: dict[str, str] = field(default_factory=dict)
    history: Sequence[Row] = ()
    results: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    data: Mapping[str, Any] | None = None
    net: Path | None = None


@dataclass(frozen=True)
class Summaries:
    """The findings of a configuration: a `sentence`, `metrics`, and for each variant a run over all seeds."""

    sentence: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    variants: Sequence[Callable[[TrackingIds], Content]] = ()


def compose_configuration(ids: TrackingIds, tables: list[Path], summaries: Summaries) -> Content:
    """The content of a configuration's parent run: sentence and tables as its note; tables, figures and report as its
    files."""
    root = Path(ids.results, ids.name)
    note = f"{summaries.sentence}\n\n{join_tables(tables, MAX_NOTE - len(summaries.sentence) - 2)}".strip()
    tags = {"kind": "configuration", "configuration": ids.name} | ({NOTE_TAG: note} if note else {})
    others = [
        root / "report.html",
        *root.glob("tables/*.csv"),
        *root.glob("tables/*.json"),
        *root.glob("figures/*.png"),
    ]
    files = {f"tables/{path.name}": path for path in tables}
    files |= {str(path.relative_to(root)): path for path in others if path.exists()}
    now = int(1000 * time.time())
    return Content(f"configuration:{ids.name}", ids.name, now, now, tags, results=summaries.metrics, files=files)


def join_tables(paths: list[Path], limit: int) -> str:
    """The Markdown tables, joined, as many as fit into `limit` characters."""
    hint = "\n\nFurther tables are among the artifacts, in `tables/`."
    note = ""
    for text in (path.read_text(encoding="utf-8").strip() for path in paths if path.suffix == ".md"):
        if len(note) + len(text) + len(hint) + 2 > limit:
            return (note.strip() + hint).strip()
        note += text + "\n\n"
    return note.strip()


def compose_training(folder: Path, ids: TrackingIds, history: Sequence[Row]) -> Content:
    """The content of a net or baseline during its training in `folder`; `history`: its epochs so far."""
    run, note = read_run_settings(folder), read_note(folder)
    tags = {
        "kind": "baseline" if run.is_baseline else "net",
        "configuration": ids.name,
        "dataset": run.dataset_name,
        "variant": run.variant,
        "seed": str(run.seed),
        "recipe": run.training.recipe_in_words,
        "hash8": run.hash8,
        "mlflow.source.name": "alexnet2012 train-baseline" if run.is_baseline else "alexnet2012 train",
        "mlflow.source.type": "LOCAL",
        **note["made_by"],
    }
    state = os.path.relpath((folder / "state").resolve(), Path(ids.results).resolve().parent)
    tags |= {"alexnet2012.host": note["host"], "alexnet2012.state_folder": state}
    params = flatten(run)
    if run.training.learning_rate_search is not None:
        del params["training.learning_rate"]  # not known yet; `compose_net` takes it from the record
    return Content(note["key"], f"{run.variant}-seed{run.seed}", note["began_ms"], None, tags, params, history)


def compose_net(folder: Path, ids: TrackingIds) -> Content:
    """The content of a net or baseline trained in `folder`, with the errors of its predictions; raises RecordError."""
    record = read_json(folder / "record.json")
    training = compose_training(folder, ids, read_epochs(folder / "history.parquet"))
    params, tags = dict(training.params), training.tags | describe_record(record)
    if "learning_rate" in record:
        params["training.learning_rate"] = str(record["learning_rate"])
    runs = Path(ids.results, ids.name, "runs").resolve()
    place = os.path.relpath(folder.resolve(), runs)
    predicted = list_predictions(runs.parent / "predictions" / place)
    results = read_errors(predicted)
    if (target := time_to_target(record, training.history))["epochs"]:
        results |= {f"training/{each}_to_target": target[each] for each in ("epochs", "seconds")}
        params["training.target_error"] = str(target["train_error"])
    results |= {f"training/{each}": used for each, used in record.get("energy", {}).items()}
    ended_ms = written_ms(folder / "record.json", *predicted)
    log = runs.parent / "logs" / training.tags["mlflow.source.name"].split()[1] / f"{place}.log"
    files = {name: folder / name for name in FILES} | {f"log/{log.name}": log}
    files = {name: path for name, path in files.items() if path.exists()}
    is_served = record["kind"] == "training" and not read_run_settings(folder).is_trial
    net = folder if is_served else None
    data = record["dataset"]
    return replace(
        training, ended_ms=ended_ms, tags=tags, params=params, results=results, files=files, data=data, net=net
    )


def compose_ensemble(folder: Path, ids: TrackingIds) -> Content:
    """The content of an ensemble with predictions in `folder`; tags have the run ids of its members."""
    records = list_predictions(folder)
    record = read_json(records[0])
    name, members = record["variant"], record["members"]
    tags = {"kind": "ensemble", "configuration": ids.name, "dataset": record["dataset"]["name"], "variant": name}
    tags |= describe_record(record) | {f"member.{member}": run_id for member, run_id in members.items() if run_id}
    params, key, when = {"members": ", ".join(members)}, f"ensemble:{ids.name}:{name}", written_ms(*records)
    evaluated = {
        each: record["dataset"]["counts"][each] for each in ("val", "test") if (folder / f"{each}.json").exists()
    }
    data = record["dataset"] | {"counts": evaluated}
    return Content(key, name, when, when, tags, params, results=read_errors(records), data=data)


def compose_benchmarks(path: Path, ids: TrackingIds) -> Content:
    """The content of benchmarks, from "provenance" and "values" in the JSON file `path`."""
    found, when = read_json(path), written_ms(path)
    tags = {"kind": "benchmarks", "configuration": ids.name}
    tags |= {f"benchmarks.{key}": str(value) for key, value in found["provenance"].items()}
    return Content(f"benchmarks:{ids.name}", "benchmarks", when, when, tags, results=found["values"])


def read_run_settings(folder: Path) -> RunConfig:
    """The settings of the run in `folder`."""
    path = folder / "config.yaml"
    return parse_settings(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=1)  # parsing takes longer than sending an epoch
def parse_settings(path: Path, changed_ns: int) -> RunConfig:
    return read_run(path)


def read_note(folder: Path) -> dict[str, Any]:
    """`folder`/state/run.json, written if missing: key, host, start time and user of a run, its id in the store (None
    until it has one), and whether it is finished.

    A training that was killed before its first checkpoint begins again as the same run.
    """
    path = folder / "state" / "run.json"
    note = {"key": uuid.uuid4().hex, "began_ms": int(1000 * time.time()), "host": socket.gethostname(), "run_id": None}
    note |= {"made_by": {}, "finished": False}
    if path.exists() or take_back_note(path):
        return {**note, **read_json(path)}
    if (trained := folder / "record.json").exists():  # perhaps by another user elsewhere
        note["began_ms"] = written_ms(trained) - int(1000 * read_json(trained).get("wall_time_s", 0))
    else:
        note["made_by"] = describe_maker()
    write_json(path, note)
    return note


def take_back_note(path: Path) -> bool:
    """Whether the note `path` was among what `training.checkpoint.resume` had set aside of a training that was killed
    before its first checkpoint; it is moved back."""
    aside = max(path.parent.glob("superseded-*"), default=path.parent)
    if any(aside.glob("checkpoint-*")) or not (aside / path.name).exists():
        return False
    if read_json(aside / path.name).get("finished", True):
        return False
    (aside / path.name).rename(path)
    return True


def describe_maker() -> dict[str, str]:
    """MLflow's tags for the user, and for commit, branch and repository of this package's checkout."""
    tags = {}
    with suppress(OSError, KeyError):  # a user without a name
        tags["mlflow.user"] = getpass.getuser()
    with suppress(NoCheckout):
        tags["mlflow.source.git.commit"], dirty = read_checkout(PACKAGE)
        tags["mlflow.source.git.dirty"] = str(dirty)
        tags["mlflow.source.git.branch"] = ask_git(PACKAGE, "branch", "--show-current").strip()
        tags["mlflow.source.git.repoURL"] = without_password(ask_git(PACKAGE, "remote", "get-url", "origin").strip())
    return tags


def describe_record(record: Mapping[str, Any]) -> dict[str, str]:
    """Tags for the data, commit and machine of a record."""
    made_by = record["provenance"]
    return {
        "data_digest": record["dataset"]["digest"][:16],
        "hardware": made_by["hardware"],
        "mlflow.source.git.commit": made_by["commit"],
        "mlflow.source.git.dirty": str(made_by["dirty"]),
    }


def flatten(run: RunConfig) -> dict[str, str]:
    """The settings of net and training as MLflow's params, by dotted name: {"net.conv1.kernels": "96", ...}."""
    nested = {"net": run.net.model_dump(), "training": run.training.model_dump(), "hash8": run.hash8}
    return {str(key): str(value)[:MAX_PARAM] for key, value in pd.json_normalize(nested).iloc[0].items()}


def read_epochs(path: Path) -> Sequence[Row]:
    """The rows of history.parquet; empty if there is no such file. Raises RecordError if it is damaged."""
    return [dict(row) for row in read_history(path).to_dict("records")] if path.exists() else []


def list_predictions(folder: Path) -> list[Path]:
    """The paths of the records of predictions in `folder`."""
    return [path for split in ("val", "test") if (path := folder / f"{split}.json").exists()]


def read_errors(records: list[Path]) -> dict[str, float]:
    """The errors of predictions as metrics: {"test/ten_crop/top1_error": 0.25, ...}."""
    return {
        f"{record['split']}/{crops}/{k}_error": error
        for record in map(read_json, records)
        for crops, errors in record["errors"].items()
        for k, error in errors.items()
    }


def name_metric(column: str) -> str:
    """The metric of a column of history.parquet: "train/loss" for train_loss, "training/seconds" for seconds."""
    if "/" in column:  # a metric of tracking.machine, not a column
        return column
    split, _, rest = column.partition("_")
    return f"{split}/{rest}" if split in SPLITS else f"training/{column}"


def written_ms(*paths: Path) -> int:
    """The time at which the newest of the files was written, in ms since 1970."""
    return max(path.stat().st_mtime_ns // 10**6 for path in paths)
