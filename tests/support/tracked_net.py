"""Fake result files of a net, as tracking reads them."""

import json
from pathlib import Path

import pandas as pd
import yaml

from alexnet2012.tracking.store import TrackingIds

SETTINGS = {
    "variant": "cnn",
    "dataset_name": "cifar10",
    "dataset": {"kind": "cifar10", "size_px": 32},
    "net": {},
    "training": {},
}
MADE_BY = {
    "dataset": {"name": "cifar10", "digest": "d" * 64, "counts": {"train": 90, "val": 10, "test": 20}},
    "provenance": {"commit": "c" * 40, "dirty": False, "hardware": "a processor"},
}
METRICS = ("train_loss", "val_top1_error", "learning_rate", "train_top1_error")


def begin_net(ids: TrackingIds, seed: int = 0) -> Path:
    """A run's folder in the results of the configuration, with its config.yaml."""
    folder = Path(ids.results, ids.name, "runs/cifar10/cnn-0123abcd", f"seed{seed}")
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump({**SETTINGS, "name": ids.name, "seed": seed}), encoding="utf-8")
    return folder


def make_history(epochs: int, seed: int = 0) -> list[dict]:
    """Rows of values that no other epoch and no other seed has."""
    return [
        {"epoch": epoch, "seconds": 60.0 + epoch}
        | {name: seed + place / 10 + epoch / 1000 for place, name in enumerate(METRICS)}
        for epoch in range(1, epochs + 1)
    ]


def finish_net(folder: Path, history: list[dict], learning_rate: float = 0.01) -> None:
    """What a training writes at its end."""
    pd.DataFrame(history).to_parquet(folder / "history.parquet", index=False)
    record = {"kind": "training", "final": history[-1], "learning_rate": learning_rate, **MADE_BY}
    (folder / "record.json").write_text(json.dumps(record), encoding="utf-8")


def predict(ids: TrackingIds, folder: Path, split: str, error: float) -> None:
    """A prediction's record beside the run in `folder`."""
    runs = Path(ids.results, ids.name, "runs")
    write_errors(runs.parent / "predictions" / folder.relative_to(runs) / f"{split}.json", split, error)


def write_errors(path: Path, split: str, error: float, **more: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    errors = {"ten_crop": {"top1": error, "top5": error / 2}, "centre": {"top1": error, "top5": error / 2}}
    path.write_text(json.dumps({"split": split, "errors": errors, **MADE_BY, **more}), encoding="utf-8")
