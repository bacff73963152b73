"""The images of a packed dataset in four orientations, each with classes of its own: more classes to pre-train on."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.listing import Arrays, Listing
from alexnet2012.data.packed import JpegImages, open_packed
from alexnet2012.data.sources.source import Source

if TYPE_CHECKING:
    import pyarrow as pa

ORIENTATIONS = 4  # quarter turns, counter-clockwise


def find_rotations(dataset: DatasetConfig, data_folder: Path) -> Source:
    """Every image of `dataset.of`, split by split: row 4k + r is image k after r quarter turns, of class 4c + r.

    Raises DataError where that dataset is not packed.
    """
    packed = open_packed(data_folder / str(dataset.of))
    classes = tuple(
        f"{name}, turned by {90 * turns:03} degrees" for name in packed.classes for turns in range(ORIENTATIONS)
    )
    splits: dict[str, Listing | Arrays] = {}
    for name in packed.counts:
        split = packed.split(name)
        known = np.repeat(split.labels, ORIENTATIONS)
        turns = np.tile(np.arange(ORIENTATIONS), len(split))
        labels = np.where(known < 0, known, ORIENTATIONS * known + turns)
        splits[name] = Arrays(_name_images(name, len(split)), labels, Rotations(split.images))
    return Source(
        f"{dataset.of}, digest {packed.digest}, in {ORIENTATIONS} orientations", packed.folder, classes, splits
    )


@dataclass(frozen=True, eq=False)
class Rotations:
    """Each of `images`, uint8 (s, s, 3), then the same after one, two and three quarter turns, made when asked for."""

    images: np.ndarray | JpegImages

    def __iter__(self) -> Iterator[np.ndarray]:
        for k in range(len(self.images)):
            image = self.images[k]
            for turns in range(ORIENTATIONS):
                yield np.rot90(image, turns)


def _name_images(split: str, images: int) -> "pa.Array":
    """`<split>/<row of the image, seven digits>-<degrees>` of each orientation of each image."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = pc.utf8_lpad(pa.array(np.repeat(np.arange(images), ORIENTATIONS)).cast(pa.string()), 7, "0")
    degrees = pa.array([f"{90 * turns:03}" for turns in range(ORIENTATIONS)] * images, pa.string())
    return pc.binary_join_element_wise(pc.binary_join_element_wise(split, rows, "/"), degrees, "-")
