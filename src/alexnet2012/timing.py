"""Nets and baselines timed on random images, in processes that `estimate` starts."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.config.nets import BaselineConfig, FisherConfig
from alexnet2012.config.schema import RunConfig
from alexnet2012.data.packed import PackedDataset
from alexnet2012.data.storage import encode
from alexnet2012.devices import open_device
from alexnet2012.evaluation.crops import predict_crops, ten_crops
from alexnet2012.training.loop import Training

WINDOW_S = 0.8
CUDA_CHUNK = 25  # steps between two looks at the clock on a GPU, which is waited for each time
EPOCH_STEPS = 1000
SAMPLE_BYTES = 2**26  # of random images: more than caches hold
BASELINE_IMAGES = 4


def get_ready() -> None:
    """Answered when this module and all that it imports are there."""


def time_net(run: dict[str, Any], classes: int) -> dict[str, Any]:
    """`images_per_s` in training and `ten_crop_images_per_s`, by the real code at the real sizes of `run`, the values
    of a RunConfig; `device`: the GPU's name, or cpu."""
    config = RunConfig.model_validate(run)
    runtime, batch, crop_px = config.runtime, config.training.batch_size, config.architecture.crop_px
    device = open_device(runtime.device, config.training.torch_threads, runtime.deterministic)
    # A rate so small keeps the loss on random labels finite; few images leave none for minival.
    settings = config.training.model_copy(update={"learning_rate": 1e-6, "schedule_split": "val"})
    with random_dataset(config.dataset, classes, max(batch, runtime.evaluation_batch)) as dataset:
        training = Training(config.model_copy(update={"training": settings}), dataset, {}, device, None)
        step_s, images = time_steps(training), dataset.split("train").images
        # Ten crops of an image take three to four times as long as its step, and are taken three times at least.
        rows = np.arange(min(runtime.evaluation_batch, max(1, int(WINDOW_S / 6 * batch / step_s))))
        crops = ten_crops(dataset.size_px, crop_px)
        parts = (dataset.mean_image, crops, crop_px, len(rows))
        ten_crop_s = median_time(lambda: list(predict_crops(training.net, images, rows, *parts))) / len(rows)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    return {"images_per_s": batch / step_s, "ten_crop_images_per_s": 1 / ten_crop_s, "device": name}


class EnoughError(Exception):
    """Ends an epoch that is being timed."""


def time_steps(training: Training) -> float:
    """Median seconds of two steps at least, after a first one, by the epoch loop of a real training."""
    lengthen_epochs(training, EPOCH_STEPS)
    cuda = training.device.type == "cuda"
    chunk, marks = CUDA_CHUNK if cuda else 1, []

    def after_step() -> None:
        if training.state.batch % chunk:
            return
        if cuda:
            torch.cuda.synchronize()
        marks.append(time.perf_counter())
        if len(marks) > 2 and marks[-1] - marks[0] > WINDOW_S:
            raise EnoughError

    with suppress(EnoughError):
        training.train_epoch(after_step)
    return float(np.median(np.diff(marks))) / chunk


def lengthen_epochs(training: Training, steps: int) -> None:
    """Show the images again until an epoch has at least so many steps: batches are made ahead within an epoch alone."""
    repeats = -(-steps // training.steps_per_epoch)
    training.rows = replace(training.rows, train=np.tile(training.rows.train, repeats))


@contextmanager
def random_dataset(config: DatasetConfig, classes: int, images: int) -> Iterator[PackedDataset]:
    """A packed dataset in a temporary folder, with a split train of at least so many images: random pixels, or one JPEG
    many times, as `config` stores them; statistics such as photographs have. What is mapped outlives the folder."""
    size_px = config.size_px
    count = max(images, SAMPLE_BYTES // (size_px**2 * 3))
    with TemporaryDirectory(prefix="alexnet2012-plan-") as name:
        folder = Path(name, "train")
        folder.mkdir()
        if config.storage == "jpeg":
            small = np.random.default_rng(0).integers(0, 256, (size_px // 8 + 1, size_px // 8 + 1, 3), dtype=np.uint8)
            photograph = encode(small.repeat(8, 0).repeat(8, 1)[:size_px, :size_px], config.jpeg_quality)
            (folder / "images.bin").write_bytes(photograph)
            np.save(folder / "offsets.npy", np.full((count, 2), (0, len(photograph)), dtype=np.int64))
        else:
            pixels = np.random.default_rng(0).integers(0, 256, (count, size_px, size_px, 3), dtype=np.uint8)
            np.save(folder / "images.npy", pixels)
        np.save(folder / "labels.npy", np.arange(count, dtype=np.int64) % classes)
        yield PackedDataset(
            folder=folder.parent,
            name="random",
            digest="",
            classes=tuple(map(str, range(classes))),
            counts={"train": count},
            size_px=size_px,
            storage=config.storage,
            mean_image=np.full((size_px, size_px, 3), 120, dtype=np.float32),
            colour_vectors=np.eye(3),
            colour_deviations=np.array([90.0, 20.0, 8.0]),
        )


def time_baseline(run: dict[str, Any]) -> dict[str, float]:
    """Seconds of one core for coding an image, `encode_s`, and one of its descriptors, `descriptor_s`, all models
    together, with codebooks of random numbers; `run`: the values of a RunConfig."""
    from alexnet2012.baselines.codebook import Codebook
    from alexnet2012.baselines.descriptors import describe
    from alexnet2012.baselines.encoding import Encoder

    baseline = RunConfig.model_validate(run)
    config, size_px, random = baseline.net, baseline.dataset.size_px, np.random.default_rng(0)
    assert isinstance(config, BaselineConfig)
    images = random.integers(0, 256, (BASELINE_IMAGES, size_px, size_px, 3), dtype=np.uint8)
    found = {"encode_s": 0.0, "descriptor_s": 0.0}
    for model in config.models:
        patches, numbers = describe(images[0], model).shape
        directions = min(config.dimensions, numbers)
        shapes = {"mean": (numbers,), "axes": (numbers, directions)}
        if isinstance(config, FisherConfig):
            shapes |= {"weights": (config.gaussians,), "means": (config.gaussians, directions)}
            shapes |= {"variances": (config.gaussians, directions)}
        else:
            shapes |= {"atoms": (config.atoms, directions)}
        arrays = {name: random.random(shape, dtype=np.float32) for name, shape in shapes.items()}
        encoder = Encoder.make(model, config, Codebook.from_arrays(arrays), size_px)
        encode_s = median_time(partial(encoder.encode, images)) / len(images)
        found["encode_s"] += encode_s
        found["descriptor_s"] += encode_s / patches
    return found


def median_time(work: Callable[[], object]) -> float:
    """Median seconds of two calls at least, for WINDOW_S / 2, after a first one."""
    work()
    taken: list[float] = []
    while len(taken) < 2 or sum(taken) < WINDOW_S / 2:
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return float(np.median(taken))
