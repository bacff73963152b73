"""A training that takes a second: 126 images of 16x16 in three classes, a small net, and ways to interrupt it."""

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from PIL import Image

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.config.nets import NetConfig
from alexnet2012.config.resolve import merge
from alexnet2012.config.schema import RunConfig, TrainingConfig
from alexnet2012.data.packed import PackedDataset, open_packed
from alexnet2012.data.prepare import prepare
from alexnet2012.files import file_digest
from alexnet2012.fingerprint import fingerprint
from alexnet2012.tracking import store as tracking_store
from alexnet2012.tracking.publish import LiveRun
from alexnet2012.tracking.store import TrackingIds
from alexnet2012.training.checkpoint import list_checkpoints
from alexnet2012.training.record import Recorder
from alexnet2012.training.train import train

COMMIT = "0123456789abcdef0123456789abcdef01234567"
STEPS_PER_EPOCH = 15  # (3 x 60 - 12 x 3 test - 6 x 3 val) / 8 = 15.75
EPOCHS = (5, 2)
TIMINGS = ["images_per_second", "seconds"]
DEAD_STORE = "http://127.0.0.1:9"  # nothing listens on the discard port, so a process that asks goes on at once


class Died(BaseException):
    """Ends a training like a kill, because no code catches it."""


def pack(folder: Path, seed: int = 0) -> PackedDataset:
    """Write pictures into folder/pictures/class{0,1,2} and pack them into folder/data/pictures."""
    random = np.random.default_rng(seed)
    for name in ("class0", "class1", "class2"):
        (folder / "pictures" / name).mkdir(parents=True)
        colour = random.integers(30, 225, 3)
        for k in range(60):
            pixels = np.clip(colour + random.normal(0, 25, (16, 16, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "pictures" / name / f"{k:03d}.png")
    prepare("pictures", describe_dataset(folder), folder / "data")
    return open_packed(folder / "data" / "pictures")


def describe_dataset(folder: Path) -> DatasetConfig:
    return DatasetConfig(kind="imagefolder", folder=str(folder / "pictures"), size_px=16)


def make_run(folder: Path, **changes: Any) -> RunConfig:
    """The tiny run on the dataset that `pack` made in `folder`; `changes` override settings."""
    small = {"kernels": 8, "kernel_px": 3, "stride": 1, "pad": 1}
    net = {"crop_px": 12, **{f"conv{k}": small for k in range(1, 6)}, "fc_neurons": 16, "dropout": 0.2}
    training = {"batch_size": 8, "schedule": {"kind": "fixed", "epochs": list(EPOCHS)}, "measured_train_images": 50}
    values = {
        "name": "tiny",
        "variant": "cnn",
        "seed": 1,
        "dataset_name": "pictures",
        "dataset": describe_dataset(folder).model_dump(),
        "net": merge(NetConfig().model_dump(), net),
        "training": merge(TrainingConfig().model_dump(), training),
    }
    return RunConfig.model_validate(merge(values, changes))


def write_run(root: Path, name: str, **changes: Any) -> Path:
    """Write root/<name>/config.yaml, keeping other files there; returns the run's folder."""
    folder = root / name
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(make_run(root, **changes).model_dump()), encoding="utf-8")
    return folder


def write_tracking(root: Path) -> Path:
    TrackingIds(DEAD_STORE, None, None, "tiny", str(root / "results")).save(root / "tracking.json")
    return root / "tracking.json"


def stay_offline(patch) -> None:
    """Make trainings in this process use a fixed commit and send nothing, while `patch` is active."""
    patch.setenv("ALEXNET2012_COMMIT", COMMIT)
    patch.setattr(tracking_store.outage, "retry_at", math.inf)


def train_here(folder: Path, codes: list[str] | None = None, **how) -> None:
    """Run `alexnet2012 train` in this process; the data are beside `folder`; `how`: other arguments of `train`."""
    live = LiveRun(folder, TrackingIds.load(folder.parent / "tracking.json"))
    with Recorder(folder, live) as recorder:
        train(folder, folder.parent / "data", recorder, codes or [fingerprint("train")], **how)


def die_at(patch, when: Callable[[int, int], bool]) -> None:
    """Make trainings in this process die after the update for which when(epoch, batch) is true; both count from 1."""

    def step(self, epoch: int, done: int, total: int, loss: float | None) -> None:
        if when(epoch, done):
            raise Died

    patch.setattr("alexnet2012.training.progress.EpochProgress.step", step)


def start(
    folder: Path,
    *more: str,
    cores: set[int] | None = None,
    omp_threads: int = 1,
    driver: str = "",
    store: str = DEAD_STORE,
) -> subprocess.Popen:
    """Start `alexnet2012 train` as a separate process, with `more` arguments; `driver`: Python code to run in it first;
    `store`: the tracking store."""
    arguments = ["train", str(folder), "--tracking", str(folder.parent / "tracking.json")]
    arguments += ["--data", str(folder.parent / "data"), *more]
    command = [str(Path(sys.executable).with_name("alexnet2012")), *arguments]
    if driver:
        command = [sys.executable, "-c", f"{driver}\nfrom alexnet2012.cli import main\nsys.exit(main())", *arguments]
    return subprocess.Popen(
        command,
        env={
            **os.environ,
            "ALEXNET2012_COMMIT": COMMIT,
            "MLFLOW_TRACKING_URI": store,
            "OMP_NUM_THREADS": str(omp_threads),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        preexec_fn=(lambda: os.sched_setaffinity(0, cores)) if cores else None,
    )


def newest_step(folder: Path) -> int:
    """The step of a run's newest checkpoint; -1 if there is none."""
    steps = [int(path.stem.split("-")[1]) for path in list_checkpoints(folder / "state")]
    return max(steps, default=-1)


def read_state(folder: Path) -> dict:
    return torch.load(list_checkpoints(folder / "state")[-1], weights_only=True)


def read_history(folder: Path) -> pd.DataFrame:
    """history.parquet without its timings, which must be equal to the last bit."""
    return pd.read_parquet(folder / "history.parquet").drop(columns=TIMINGS)


def weights_digest(folder: Path) -> str:
    return file_digest(folder / "model.safetensors")
