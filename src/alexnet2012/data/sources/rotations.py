"""The images of a packed dataset in four orientations, each with classes of its own: more classes to pre-train on."""

from pathlib import Path

import numpy as np

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.listing import Arrays
from alexnet2012.data.packed import open_packed
from alexnet2012.data.sources.source import Source
from alexnet2012.data.storage import JpegImages

ORIENTATIONS = 4  # quarter turns, counter-clockwise


def find_rotations(dataset: DatasetConfig, data_folder: Path) -> Source:
    """Every image of `dataset.of`, split by split: row 4k + r is image k after r quarter turns, of class 4c + r.

    Raises DataError where that dataset is not packed.
    """
    packed = open_packed(data_folder / str(dataset.of))
    classes = tuple(
        f"{name}, turned by {90 * turns:03} degrees" for name in packed.classes for turns in range(ORIENTATIONS)
    )
    splits = {}
    for name in packed.counts:
        split = packed.split(name)
        known = np.repeat(split.labels, ORIENTATIONS)
        turns = np.tile(np.arange(ORIENTATIONS), len(split))
        names = tuple(f"{name}/{k // ORIENTATIONS:07}-{90 * (k % ORIENTATIONS):03}" for k in range(len(turns)))
        labels = np.where(known < 0, known, ORIENTATIONS * known + turns)
        splits[name] = Arrays(names, labels, rotate(split.images))
    return Source(
        f"{dataset.of}, digest {packed.digest}, in {ORIENTATIONS} orientations", packed.folder, classes, splits
    )


def rotate(images: np.ndarray | JpegImages) -> np.ndarray:
    """Uint8 (4n, s, s, 3) from (n, s, s, 3): each image, then the same after one, two and three quarter turns."""
    size_px = images[:1].shape[1]
    turned = np.empty((len(images), ORIENTATIONS, size_px, size_px, 3), np.uint8)
    for k in range(len(images)):
        image = images[k]
        for turns in range(ORIENTATIONS):
            turned[k, turns] = np.rot90(image, turns)
    return turned.reshape(-1, size_px, size_px, 3)
