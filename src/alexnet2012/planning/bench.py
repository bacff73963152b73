"""A training and an evaluation on random images, by the code that does the real ones."""

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from alexnet2012 import devices
from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.config.schema import RunConfig
from alexnet2012.data.augment import draw_order, draw_views
from alexnet2012.data.packed import PackedDataset, PackedSplit, open_images
from alexnet2012.evaluation.crops import Crop, centre_crop, predict_crops, ten_crops
from alexnet2012.planning.probe import ProbeRequest
from alexnet2012.training.checkpoint import save
from alexnet2012.training.loop import Training

CUDA_CHUNK = 25  # steps between two looks at the clock on a GPU, which is waited for each time
CUDA_EPOCH_STEPS = 500
MINIMUM_CHUNKS = 2
DRAWN_IMAGES = 1_300_000  # views of more images are measured on so many


class RandomImages(PackedDataset):
    """A packed dataset all of whose splits are the images of one folder."""

    def split(self, name: str) -> PackedSplit:
        images = open_images(self.folder, self.size_px, self.storage)
        return PackedSplit(name, images, np.arange(len(images)) % len(self.classes))


class EnoughError(Exception):
    """Ends an epoch that is being measured."""


class Bench:
    """One training as it stands on its device; each method returns seconds."""

    def __init__(self, request: ProbeRequest) -> None:
        self.request = request
        self.run = RunConfig.model_validate(request.run)
        runtime = self.run.runtime
        self.device = devices.open_device(runtime.device, self.run.training.torch_threads, runtime.deterministic)
        self.dataset = open_random_images(Path(request.images_folder), self.run.dataset, request.classes)
        self.images = self.dataset.split("train").images
        self.training = Training(self.run, self.dataset, {}, self.device, None)
        if self.device.type == "cuda":
            lengthen_epochs(self.training, CUDA_EPOCH_STEPS)
        size_px, crop_px = self.dataset.size_px, self.run.net.crop_px
        self.crops, self.centre = ten_crops(size_px, crop_px), (centre_crop(size_px, crop_px),)

    @property
    def device_name(self) -> str:
        return torch.cuda.get_device_name() if self.device.type == "cuda" else "cpu"

    def train(self, window_s: float, chunks: int = MINIMUM_CHUNKS) -> list[float]:
        """Of each step, for `window_s` and at least so many chunks, by the epoch loop of a real training.

        Epochs over the few random images are short; what a real one costs beside its steps is `start_epoch`.
        """
        chunk = CUDA_CHUNK if self.device.type == "cuda" else 1
        taken: list[float] = []
        started = before = time.perf_counter()
        steps = 0

        def after_step() -> None:
            nonlocal before, steps
            steps += 1
            if steps % chunk:
                return
            if self.device.type == "cuda":
                torch.cuda.synchronize()
            now = time.perf_counter()
            taken.append((now - before) / chunk)
            before = now
            if len(taken) >= chunks and now - started >= window_s:
                raise EnoughError

        try:
            while True:
                self.training.state.batch = 0
                self.training.train_epoch(after_step)
                self.training.state.epoch += 1
        except EnoughError:
            return taken

    def evaluate(self, crops: tuple[Crop, ...], window_s: float, chunks: int = MINIMUM_CHUNKS) -> list[float]:
        """Of each evaluation batch, for `window_s` and at least so many batches."""
        batch, crop_px = self.run.runtime.evaluation_batch, self.run.net.crop_px
        rows = np.arange(batch) % len(self.images)
        taken: list[float] = []
        started = time.perf_counter()
        while len(taken) < chunks or time.perf_counter() - started < window_s:
            before = time.perf_counter()
            for _ in predict_crops(
                self.training.net, self.images, rows, self.dataset.mean_image, crops, crop_px, batch
            ):
                pass
            taken.append(time.perf_counter() - before)
        return taken

    def start_epoch(self) -> float:
        """Drawing the order and the views of a whole epoch."""
        images = max(1, min(self.request.epoch_images, DRAWN_IMAGES))
        started = time.perf_counter()
        draw_order(self.run.seed, 0, images)
        draw_views(self.run.seed, 0, self.dataset, images, self.run.net.crop_px, self.run.training.augmentation)
        return (time.perf_counter() - started) * max(1.0, self.request.epoch_images / images)

    def save_checkpoint(self) -> float:
        """Beside the images."""
        with tempfile.TemporaryDirectory(dir=self.dataset.folder) as folder:
            started = time.perf_counter()
            save(Path(folder), self.training.capture())
            return time.perf_counter() - started


def lengthen_epochs(training: Training, steps: int) -> None:
    """Show the images again until an epoch has at least so many steps: batches are made ahead within an epoch alone."""
    repeats = -(-steps // training.steps_per_epoch)
    training.rows = replace(training.rows, train=np.tile(training.rows.train, repeats))


def open_random_images(folder: Path, dataset: DatasetConfig, classes: int) -> RandomImages:
    """The images of `folder` with labels in turn and statistics such as photographs have."""
    size_px = dataset.size_px
    images = open_images(folder, size_px, dataset.storage)
    return RandomImages(
        folder=folder,
        name="random",
        digest="",
        classes=tuple(map(str, range(classes))),
        counts=dict.fromkeys(("train", "val", "test"), len(images)),
        size_px=size_px,
        storage=dataset.storage,
        mean_image=np.full((size_px, size_px, 3), 120, dtype=np.float32),
        colour_vectors=np.eye(3),
        colour_deviations=np.array([90.0, 20.0, 8.0]),
    )
