"""Training speed of a net, measured on random images in processes that `estimate` starts."""

import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from alexnet2012.config.schema import RunConfig
from alexnet2012.data.packed import PackedDataset, PackedSplit
from alexnet2012.devices import open_device
from alexnet2012.training.loop import Training

WINDOW_S = 1.0
EPOCH_STEPS = 1000
SAMPLE_BYTES = 2**26  # size of the random images: more than caches hold


def get_ready() -> None:
    """Do nothing; a process answers this call when it has imported this module."""


class EnoughError(Exception):
    """Ends an epoch once it has been timed for long enough."""


def time_training(run: dict[str, Any], classes: int) -> tuple[float, str]:
    """Training images per second of the real training code, and the device ("cpu" or the GPU's name).

    `run`: the values of a RunConfig. At least two steps are timed, after one untimed step; JPEG decoding is not
    included."""
    config = RunConfig.model_validate(run)
    runtime, batch = config.runtime, config.training.batch_size
    device = open_device(runtime.device, config.training.torch_threads, runtime.deterministic)
    # The small rate keeps the loss on random labels finite; these are too few images to hold out a minival.
    settings = config.training.model_copy(update={"learning_rate": 1e-6, "schedule_split": "val"})
    dataset = make_random(config.dataset.size_px, classes, batch)
    training = Training(config.model_copy(update={"training": settings}), dataset, {}, device, None)
    lengthen_epochs(training, EPOCH_STEPS)
    marks: list[float] = []

    def after_step() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize()
        marks.append(time.perf_counter())
        if len(marks) > 2 and marks[-1] - marks[0] > WINDOW_S:
            raise EnoughError

    with suppress(EnoughError):
        training.train_epoch(after_step)
    where = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    return batch * (len(marks) - 1) / (marks[-1] - marks[0]), where


def lengthen_epochs(training: Training, steps: int) -> None:
    """Repeat the images until an epoch has at least `steps` steps, because batches are made ahead only within one."""
    repeats = -(-steps // training.steps_per_epoch)
    training.rows = replace(training.rows, train=np.tile(training.rows.train, repeats))


class RandomImages(PackedDataset):
    """A dataset of random pixels in memory, with statistics like those of photographs."""

    def split(self, name: str) -> PackedSplit:
        count, size_px = self.counts[name], self.size_px
        pixels = np.random.default_rng(0).integers(0, 256, (count, size_px, size_px, 3), dtype=np.uint8)
        return PackedSplit(name, pixels, np.arange(count) % len(self.classes))


def make_random(size_px: int, classes: int, images: int) -> RandomImages:
    """A random dataset whose split train has at least `images` images."""
    return RandomImages(
        folder=Path(),
        name="random",
        digest="",
        classes=tuple(map(str, range(classes))),
        counts={"train": max(images, SAMPLE_BYTES // (size_px**2 * 3))},
        size_px=size_px,
        mean_image=np.full((size_px, size_px, 3), 120, dtype=np.float32),
        colour_vectors=np.eye(3),
        colour_deviations=np.array([90.0, 20.0, 8.0]),
    )
