"""Which training images a training sees, measures and holds out."""

from dataclasses import dataclass

import numpy as np

from alexnet2012.config import RunConfig
from alexnet2012.data.batches import stream
from alexnet2012.errors import ConfigError


@dataclass(frozen=True)
class Rows:
    """Image numbers, int64: those trained on and the fixed sample measured each epoch (both of split train), and those
    of the schedule's split."""

    train: np.ndarray
    measured: np.ndarray
    minival: np.ndarray


def choose_rows(run: RunConfig, labels: np.ndarray) -> Rows:
    """Which training images are trained on, measured, and held out when `schedule_split` is minival (per class,
    seeded).

    None depends on the run's seed: every run of a dataset sees the same images. Raises ConfigError when fewer images
    than one batch remain.
    """
    rows = np.arange(len(labels))
    minival = np.empty(0, dtype=np.int64)
    if run.training.schedule_split == "minival":
        shuffled = stream(run.dataset.split_seed, "minival").permutation(len(labels))
        taken = []
        for label in np.unique(labels):
            own = shuffled[labels[shuffled] == label]
            taken.append(own[: max(1, round(run.training.minival_fraction * len(own)))])
        minival = np.sort(np.concatenate(taken))
        rows = np.setdiff1d(rows, minival)
    if len(rows) < run.training.batch_size:
        raise ConfigError(
            f"{run.dataset_name}: {len(rows)} training images are fewer than one batch of {run.training.batch_size}; "
            "lower training.batch_size"
        )
    measured = np.sort(
        stream(run.dataset.split_seed, "measured").permutation(rows)[: run.training.measured_train_images]
    )
    return Rows(rows, measured, minival)
