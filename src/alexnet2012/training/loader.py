"""Selection of a training's images, and its batches on the net's device."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from alexnet2012.config.nets import NetConfig
from alexnet2012.config.schema import RunConfig
from alexnet2012.cpu import count_usable_cores
from alexnet2012.data.augment import (
    Views,
    centre_on_device,
    crop_bytes,
    draw_dropout_masks,
    finish_crops,
    make_batch,
    split_mean,
    stream,
)
from alexnet2012.data.packed import PackedDataset
from alexnet2012.errors import ConfigError

AHEAD = 6  # batches prepared in advance, 19 MB each at the paper's sizes
MAKERS = 3  # threads that prepare batches; each takes about 5 ms at the paper's sizes, mostly for dropout masks


@dataclass(frozen=True)
class Rows:
    """Row numbers in split train, int64 (n,): of images to train on, to measure after each epoch, and held out for the
    schedule."""

    train: np.ndarray
    measured: np.ndarray
    minival: np.ndarray


def choose_rows(run: RunConfig, labels: np.ndarray) -> Rows:
    """Choose the images to train on, to measure, and to hold out (if `schedule_split` is minival).

    `labels`: those of train, int64 (images,); the held-out images are a random part of each class. The choice does not
    depend on the run's seed, so that all runs of a dataset use the same images. Raises ConfigError if fewer images than
    one batch remain.
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


@dataclass(frozen=True)
class Batch:
    """A batch on one device: images float32 (n, 3, crop_px, crop_px), labels int64 (n,), and the dropout masks of fc6
    and fc7, float32 (n, fc_neurons), or None."""

    images: Tensor
    labels: Tensor
    masks: tuple[Tensor, Tensor] | None


class BatchLoader:
    """Makes the batches of one training; their content depends only on the run's settings and seed.

    For a GPU, threads crop uint8 images into pinned memory and draw the masks while earlier steps run. A separate CUDA
    stream copies them at the same time; mean, colour and reflection are applied on the device.
    """

    def __init__(self, run: RunConfig, dataset: PackedDataset, device: torch.device) -> None:
        self.run, self.net, self.device = run, run.architecture, device
        train = dataset.split("train")
        self.images, self.labels = train.images, train.labels
        self.mean_image = dataset.mean_image
        self.makes_ahead = device.type == "cuda"
        self.copies = torch.cuda.Stream(device) if self.makes_ahead else None  # type: ignore[no-untyped-call]

    def batches(self, order: np.ndarray, views: Views, first_batch: int, first_step: int) -> Iterator[Batch]:
        """The batches of an epoch, beginning with number `first_batch`; the last partial one is dropped.

        `order`: the epoch's row numbers, int64; `first_step`: the training's step number at the first batch.
        """
        size = self.run.training.batch_size
        rows = [order[start : start + size] for start in range(first_batch * size, len(order) - size + 1, size)]
        if self.makes_ahead:
            return self.make_ahead(rows, views, first_step)
        return (self.make_in_line(each, views, first_step + k) for k, each in enumerate(rows))

    def make_in_line(self, rows: np.ndarray, views: Views, step: int) -> Batch:
        """A batch made on the CPU by this thread, of the images `rows`; `step` determines its dropout masks."""
        net = self.net
        images = make_batch(self.images, self.mean_image, rows, views, net.crop_px, net.mean_crop)
        return Batch(images, torch.from_numpy(self.labels[rows]), self.draw_masks(step, len(rows)))

    def make_ahead(self, batches: list[np.ndarray], views: Views, first_step: int) -> Iterator[Batch]:
        """The batches of an epoch, made by threads while the device computes; at most AHEAD of them in advance."""
        moving, central = split_mean(self.mean_image, self.net.crop_px, self.net.mean_crop)
        mean_image = torch.from_numpy(moving).to(self.device)
        central_mean = None if central is None else torch.from_numpy(central).to(self.device)
        makers = ThreadPoolExecutor(min(MAKERS, count_usable_cores()), "loader")
        waiting: deque[Future[dict[str, Tensor]]] = deque()
        try:
            for k, rows in enumerate(batches):
                waiting.append(makers.submit(self.make_on_host, rows, views, first_step + k))
                if k >= AHEAD:
                    yield self.bring(waiting.popleft().result(), mean_image, central_mean, views.divisor)
            while waiting:
                yield self.bring(waiting.popleft().result(), mean_image, central_mean, views.divisor)
        finally:
            makers.shutdown(wait=True, cancel_futures=True)

    def make_on_host(self, rows: np.ndarray, views: Views, step: int) -> dict[str, Tensor]:
        """The parts of a batch (in pinned memory for a GPU): uint8 crops, their views, labels and masks."""
        crop_px, pinned = self.net.crop_px, self.copies is not None
        crops = torch.empty((len(rows), crop_px, crop_px, 3), dtype=torch.uint8, pin_memory=pinned)
        top, left = views.top[rows], views.left[rows]
        crop_bytes(self.images, rows, top, left, crops.numpy())
        shown = {"top": top, "left": left, "flipped": views.flipped[rows], "colour": views.colour[rows]}
        small = {name: torch.from_numpy(each) for name, each in {**shown, "labels": self.labels[rows]}.items()}
        masks = self.draw_masks(step, len(rows)) or ()
        small |= {name: mask.to(torch.uint8) for name, mask in zip(("fc6", "fc7"), masks, strict=False)}
        return {"crops": crops, **{name: each.pin_memory() if pinned else each for name, each in small.items()}}

    def bring(
        self, made: dict[str, Tensor], mean_image: Tensor, central_mean: Tensor | None = None, divisor: float = 1.0
    ) -> Batch:
        """The batch made from parts of `make_on_host`, which are copied to the device and finished asynchronously."""
        parts = self.copy(made)
        masks = (parts["fc6"].float(), parts["fc7"].float()) if "fc6" in parts else None
        shown = [parts[name] for name in ("top", "left", "flipped", "colour")]
        images = centre_on_device(parts["crops"], mean_image, *shown)
        finish_crops(images.permute(0, 2, 3, 1), central_mean, divisor)
        return Batch(images, parts["labels"], masks)

    def copy(self, made: dict[str, Tensor]) -> dict[str, Tensor]:
        """The parts, copied to the device; only kernels launched after this call wait for the copies."""
        if self.copies is None:
            return made
        with torch.cuda.stream(self.copies):
            copied = {name: each.to(self.device, non_blocking=True) for name, each in made.items()}
        kernels = torch.cuda.current_stream(self.device)
        kernels.wait_stream(self.copies)
        for each in copied.values():
            each.record_stream(kernels)  # so that its memory is kept until the kernels have finished
        return copied

    def draw_masks(self, step: int, images: int) -> tuple[Tensor, Tensor] | None:
        """The dropout masks of fc6 and fc7 for a step, float32 (images, fc_neurons); None for a net without dropout."""
        net = self.net
        if not isinstance(net, NetConfig) or net.dropout == 0:
            return None
        return draw_dropout_masks(self.run.seed, step, images, net.fc_neurons, net.dropout)
