"""A part of the check, what it runs on, and the synthetic images and nets that parts use."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from alexnet2012.config.nets import NetConfig
from alexnet2012.config.schema import RunConfig
from alexnet2012.cpu import count_usable_cores
from alexnet2012.data.augment import draw_dropout_masks, draw_views
from alexnet2012.data.packed import MANIFEST_VERSION, PackedDataset, open_packed
from alexnet2012.devices import CUBLAS_WORKSPACE, FIXED_WORKSPACE, open_device
from alexnet2012.files import write_arrays
from alexnet2012.gpu_check import NUMBA_ABSENT
from alexnet2012.model import lrn
from alexnet2012.training.loader import Batch
from alexnet2012.training.loop import Training

Figures = dict[str, Any]
Size = TypeVar("Size")

# Sizes of `config/config.yaml`, and a toy that takes a CPU milliseconds.
SCALED_KERNELS = {"conv1": 16, "conv2": 48, "conv3": 64, "conv4": 64, "conv5": 48}
TOY_CONV = {"kernels": 8, "kernel_px": 3, "stride": 1, "pad": 1}
STILL = {"learning_rate": 1e-6}  # keeps the loss of noise finite; its value costs nothing


class CannotRunError(Exception):
    """A part cannot run on this machine and is skipped; the text says why."""


@dataclass(frozen=True)
class Target:
    """What a part runs on: `device` "cuda" or "cpu", toy sizes if `tiny`. `out`: folder of what is kept; `scratch`:
    folder of what is not."""

    device: str
    tiny: bool
    out: Path
    scratch: Path

    def pick(self, full: Size, tiny: Size) -> Size:
        """`full`, or `tiny` for toy sizes."""
        return tiny if self.tiny else full

    def open(self, deterministic: bool = False, threads: int | None = None) -> torch.device:
        """The device as a training opens it (TF32 off), with as many `threads` of the CPU as there are cores by
        default; it may be made deterministic later too. Raises ConfigError if it is a GPU and none is usable."""
        os.environ.setdefault(CUBLAS_WORKSPACE, FIXED_WORKSPACE)
        if NUMBA_ABSENT:
            lrn._LoopNorm = lrn._TensorNorm  # type: ignore[misc, assignment]
        threads = threads or self.pick(count_usable_cores(), 1)
        return open_device(self.device, threads, deterministic)


@dataclass(frozen=True)
class CheckPart:
    """A part: `function` makes its figures, within `seconds` on a data-centre card.

    `needs`: modules or programs without which it is skipped. It has failed if a figure exceeds its entry in `limits`;
    `goals`: what figures should reach at least on an H200, which fails nothing.
    """

    name: str
    function: Callable[[Target], Figures]
    seconds: float
    needs: tuple[str, ...] = ()
    limits: Mapping[str, float] = field(default_factory=dict)
    goals: Mapping[str, float] = field(default_factory=dict)


def make_settings(
    target: Target, scaled: bool = False, deterministic: bool = False, **training: Any
) -> tuple[RunConfig, int]:
    """The settings of a training, and its classes: the paper's net, the rehearsal's if `scaled`, or a toy."""
    net = NetConfig().model_dump()
    classes, size_px, batch = (10, 32, 128) if scaled else (1000, 256, 128)
    if target.tiny:
        classes, size_px, batch = 10, 16, 8
        net |= {"crop_px": 12, "fc_neurons": 16, **{name: net[name] | TOY_CONV for name in SCALED_KERNELS}}
    elif scaled:
        net |= {name: net[name] | {"kernels": count} for name, count in SCALED_KERNELS.items()}
        net |= {"crop_px": 28, "fc_neurons": 384, "conv1": net["conv1"] | {"kernel_px": 5, "stride": 1, "pad": 0}}
    values = {
        "name": "gpu-check",
        "variant": "cnn",
        "seed": 1,
        "dataset_name": "synthetic",
        "dataset": {"kind": "imagefolder", "folder": "none", "size_px": size_px},
        "net": net,
        "training": {"batch_size": batch, "torch_threads": target.pick(4, 1), **STILL, **training},
        "runtime": {"device": target.device, "deterministic": deterministic},
    }
    return RunConfig.model_validate(values), classes


def write_packed(folder: Path, size_px: int, classes: int, counts: Mapping[str, int]) -> PackedDataset:
    """A packed dataset in `folder` of noise in a colour for each class: size_px^2 * 3 bytes an image."""
    random = np.random.default_rng(0)
    colours, digest = random.integers(0, 156, (classes, 1, 1, 3), dtype=np.uint8), hashlib.sha256()
    for name, count in counts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        labels = np.arange(count) % classes
        images = random.integers(0, 100, (count, size_px, size_px, 3), dtype=np.uint8) + colours[labels]
        np.save(folder / name / "images.npy", images)
        np.save(folder / name / "labels.npy", labels)
        digest.update(images.data)
    mean = random.uniform(100, 150, (size_px, size_px, 3)).astype(np.float32)
    colours_of_noise = {"colour_vectors": np.eye(3), "colour_deviations": np.array([90.0, 20.0, 8.0])}
    write_arrays(folder / "statistics.npz", {"mean_image": mean, **colours_of_noise})
    described: Figures = {
        "name": "synthetic",
        "kind": "imagefolder",
        "part": "",
        "official_ids": None,
        "storage": "raw",
    }
    described |= {"version": MANIFEST_VERSION, "digest": digest.hexdigest(), "counts": dict(counts)}
    described |= {"size_px": size_px, "classes": [f"class{k}" for k in range(classes)]}
    (folder / "manifest.json").write_text(json.dumps(described), encoding="utf-8")
    return open_packed(folder)


def write_images(target: Target) -> PackedDataset:
    """200 images of 256 pixels, 39 MB; or 40 toys."""
    size_px, classes = target.pick((256, 1000), (16, 10))
    counts = target.pick({"train": 176, "val": 24}, {"train": 32, "val": 8})
    return write_packed(target.scratch / "images", size_px, classes, counts)


def begin_training(target: Target, deterministic: bool = False, **training: Any) -> Training:
    """A training of the paper's net on those images, before its first step."""
    run, _ = make_settings(target, deterministic=deterministic, **training)
    device = target.open(deterministic, run.training.torch_threads)
    return Training(run, write_images(target), {}, device, None)


def first_batch(training: Training) -> Batch:
    """The first batch of an epoch, on the training's device."""
    run, order, images = training.run, training.draw_order(), len(training.loader.labels)
    how, crop_px = run.training.augmentation, run.architecture.crop_px
    views = draw_views(run.seed, 0, training.dataset, images, crop_px, how, order)
    return next(training.loader.batches(order, views, 0, 0))


def draw_masks_for(run: RunConfig, images: int) -> tuple[Tensor, Tensor]:
    """Dropout masks of fc6 and fc7 for so many images, float32 (images, fc_neurons)."""
    assert isinstance(run.net, NetConfig)
    return draw_dropout_masks(run.seed, 0, images, run.net.fc_neurons, run.net.dropout)


def synchronise(device: torch.device) -> None:
    """Wait for the kernels that were launched."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure_rate(target: Target, step: Callable[[], int], full_window_s: float = 5.0) -> float:
    """Images (or whatever `step` returns the number of) per second, over `full_window_s`; for toys, over two steps."""
    device, window_s, at_once = torch.device(target.device), target.pick(full_window_s, 0.0), target.pick(10, 2)
    for _ in range(target.pick(5, 1)):
        step()
    synchronise(device)
    count, began = 0, time.perf_counter()
    while not count or time.perf_counter() - began < window_s:
        count += sum(step() for _ in range(at_once))
        synchronise(device)
    return count / (time.perf_counter() - began)
