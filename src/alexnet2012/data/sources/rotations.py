"""The images of a packed dataset in four orientations with separate classes, to have more classes for pre-training."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.listing import Listing, Source
from alexnet2012.data.packed import JpegImages, open_packed

ORIENTATIONS = 4  # quarter turns, counter-clockwise


def find_rotations(dataset: DatasetConfig, data_folder: Path) -> Source:
    """Every image of `dataset.of` in each split: row 4k + r is image k, of class c, after r quarter turns; its class is
    4c + r, its name `<split>/<k, seven digits>-<degrees>`.

    Raises DataError if that dataset is not packed.
    """
    packed = open_packed(data_folder / str(dataset.of))
    degrees = [f"{90 * turns:03}" for turns in range(ORIENTATIONS)]
    splits = {}
    for name in packed.counts:
        split = packed.split(name)
        known, turns = np.repeat(split.labels, ORIENTATIONS), np.tile(np.arange(ORIENTATIONS), len(split))
        numbers = pa.array(np.repeat(np.arange(len(split)), ORIENTATIONS)).cast(pa.string())
        images = pc.binary_join_element_wise(name, pc.utf8_lpad(numbers, 7, "0"), "/")
        splits[name] = Listing.of(
            pc.binary_join_element_wise(images, pa.array(degrees * len(split), pa.string()), "-"),
            offset=np.arange(len(turns)),
            label=np.where(known < 0, known, ORIENTATIONS * known + turns),
            container="pixels",
            images=Rotations(split.images),
        )
    return Source(
        description=f"{dataset.of}, digest {packed.digest}, in {ORIENTATIONS} orientations",
        folder=packed.folder,
        classes=tuple(f"{name}, turned by {each} degrees" for name in packed.classes for each in degrees),
        splits=splits,
    )


@dataclass(frozen=True, eq=False)
class Rotations:
    """Iterates over `images`, uint8 (s, s, 3), giving each after 0, 1, 2 and 3 quarter turns; made when asked for."""

    images: np.ndarray | JpegImages

    def __iter__(self) -> Iterator[np.ndarray]:
        for k in range(len(self.images)):
            image = self.images[k]
            for turns in range(ORIENTATIONS):
                yield np.rot90(image, turns)
