"""Writers of a small fake downsampled ImageNet in each of its published forms."""

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.listing import Source
from alexnet2012.data.sources.find import find_source
from alexnet2012.data.sources.small_layouts import TRAIN, VAL
from alexnet2012.data.sources.verify import Expected

CLASSES, EACH, LAST, TEST = 5, 9, 12, 4  # EACH, LAST: images in batches 1 to 9, and in 10; TEST: per class in val_data
WNIDS = ("n02119789", "n02100735", "n02110185", "n01440764", "n02096294")  # of classes 1 to 5, not sorted
SIDE = 32
EXPECTED = Expected(
    title="downsampled ImageNet",
    edition="",
    counts={"train": 9 * EACH + LAST, "val": CLASSES * TEST},
    per_class={"val": TEST},
    train_per_class=(18, 19),
    optional=("test",),
    classes=CLASSES,
)


@dataclass(frozen=True)
class Batch:
    """A batch: `labels` (n,) from 1; `images` uint8 (n, s, s, 3); `mean`: the mean image, only in training batches."""

    labels: np.ndarray
    images: np.ndarray
    mean: np.ndarray | None = None

    @property
    def values(self) -> dict:
        """The contents of its pickle."""
        planes = self.images.transpose(0, 3, 1, 2).reshape(len(self.images), -1)
        values = {"data": planes, "labels": self.labels.tolist()}
        return values if self.mean is None else values | {"mean": self.mean}


def draw_batches(side: int = SIDE, seed: int = 0) -> dict[str, Batch]:
    """All eleven batches by name; the classes of train have nearly equal sizes and are shuffled."""
    generator = np.random.default_rng(seed)
    total = EXPECTED.counts["train"]
    labels = generator.permutation(np.arange(total) % CLASSES) + 1
    cuts = np.split(np.arange(total), [EACH * k for k in range(1, 10)])
    images = generator.integers(0, 256, (total, side, side, 3), dtype=np.uint8)
    mean = images.mean(axis=0).transpose(2, 0, 1).ravel()
    batches = {name: Batch(labels[rows], images[rows], mean) for name, rows in zip(TRAIN, cuts, strict=True)}
    labels = generator.permutation(np.arange(CLASSES * TEST) % CLASSES) + 1
    return batches | {VAL: Batch(labels, generator.integers(0, 256, (len(labels), side, side, 3), dtype=np.uint8))}


def write_pickle(path: Path, values: object) -> None:
    """Write a pickle like the release's script: protocol 3, and the module names of numpy at that time."""
    path.write_bytes(pickle.dumps(values, protocol=3).replace(b"cnumpy._core.", b"cnumpy.core."))


def write_pickles(folder: Path, batches: dict[str, Batch]) -> None:
    """Write batches as pickles, as in the unpacked archives."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, batch in batches.items():
        write_pickle(folder / name, batch.values)


def write_npz(folder: Path, batches: dict[str, Batch], compressed: bool = True) -> None:
    """Write batches as .npz, as in the unpacked archives: the parts of train and val in separate folders."""
    save = np.savez_compressed if compressed else np.savez
    for name, batch in batches.items():
        part = "val" if name == VAL else f"train_part{1 if TRAIN.index(name) < 5 else 2}"
        place = folder / f"Imagenet64_{part}_npz"
        place.mkdir(parents=True, exist_ok=True)
        save(place / f"{name}.npz", **{key: np.asarray(value) for key, value in batch.values.items()})


def write_class_map(path: Path, wnids: Sequence[str] = WNIDS) -> None:
    """Write map_clsloc.txt as in the development kit."""
    path.write_text("".join(f"{wnid} {k} a_word\n" for k, wnid in enumerate(wnids, 1)), encoding="utf-8")


def find(folder: Path, **settings) -> Source:
    """The source found in `folder`."""
    dataset = DatasetConfig(kind="downsampled_imagenet", folder=str(folder), **{"size_px": SIDE, **settings})
    return find_source(dataset, folder / "data")


def relabelled(batch: Batch, row: int, label: int) -> Batch:
    """The batch with another label in one row."""
    labels = batch.labels.copy()
    labels[row] = label
    return replace(batch, labels=labels)
