"""Downsampled ImageNet (Chrabaszcz, Loshchilov and Hutter 2017): ILSVRC-2012's images in 32 x 32 or 64 x 64 pixels."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.listing import Arrays
from alexnet2012.data.sources import layouts
from alexnet2012.data.sources.class_list import read_class_numbers
from alexnet2012.data.sources.downsampled_batches import Batch, read_batch, read_images
from alexnet2012.data.sources.downsampled_layouts import CLASS_MAP, TRAIN, VAL, find_batches, find_class_map
from alexnet2012.data.sources.draw import draw_per_class, refuse_few
from alexnet2012.data.sources.source import Source
from alexnet2012.data.sources.verify import ILSVRC2012, Expected, Inventory, verify
from alexnet2012.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

EXPECTED = Expected(
    title="downsampled ImageNet",
    edition="",
    counts={split: ILSVRC2012.counts[split] for split in ("train", "val")},
    per_class=ILSVRC2012.per_class,
    train_per_class=ILSVRC2012.train_per_class,
    optional=("test",),
)
VAL_PER_CLASS = 50
REMEDY = "only one of them can be right. Fetch both again."


def find_downsampled_imagenet(dataset: DatasetConfig) -> Source:
    """All images in the order of the batches; test is the published val, val a part of each class of train.

    Classes are in the order of their WordNet ids where map_clsloc.txt tells them, else in that of the release's
    numbers, which are `official_ids`. Raises DataError for batches that are damaged or contradict each other, and when
    images are missing (unless `complete` is false).
    """
    folder = layouts.source_folder(dataset)
    train, val = _read_all(folder, dataset.size_px)
    own = np.concatenate([batch.labels for batch in train])
    wnids = _read_wnids(folder)
    names = wnids or tuple(f"class-{number:04d}" for number in range(1, EXPECTED.classes + 1))
    order = np.argsort(names)
    rank = np.argsort(order)
    found = Inventory(
        description=f"downsampled ImageNet, {dataset.size_px} pixels, from {folder}",
        folder=folder,
        classes=tuple(names[number] for number in order.tolist()),
        splits={"train": _as_arrays(train, rank), "val": _as_arrays([val], rank)},
        differences=_compare_counts(train, val),
        official_ids=tuple((order + 1).tolist()),
    )
    source = verify(found, EXPECTED, dataset.complete)
    whole = source.splits["train"]
    refuse_few(whole.labels, source.classes, VAL_PER_CLASS, "set complete: true to have what is missing listed")
    # By the release's numbers: the same images whether their names are known or not.
    kept, drawn = draw_per_class(own, VAL_PER_CLASS, dataset.split_seed)
    splits = {"train": whole.take(kept), "val": whole.take(drawn), "test": source.splits["val"]}
    return replace(source, splits=splits, part=_describe(dataset, source, named=wnids is not None))


def count_downsampled_imagenet() -> dict[str, int]:
    """The number of images in each split, by the published numbers."""
    drawn = VAL_PER_CLASS * EXPECTED.classes
    return {"train": EXPECTED.counts["train"] - drawn, "val": drawn, "test": EXPECTED.counts["val"]}


@dataclass(frozen=True)
class BatchImages:
    """The images of batches, uint8 (s, s, 3), one after another, read anew each time."""

    paths: tuple[Path, ...]

    def __iter__(self) -> Iterator[np.ndarray]:
        for path in self.paths:
            print(f"reading the images of {path}", flush=True)
            yield from read_images(path)


def _read_all(folder: Path, size_px: int) -> tuple[list[Batch], Batch]:
    """The training batches that are there, in order, and val_data; each is read, and none contradicts another."""
    found, batches = find_batches(folder), {}
    first_of: dict[str, Batch] = {}
    for name in (name for name in (*TRAIN, VAL) if name in found):
        print(f"checking {found[name][0]}", flush=True)
        batch = batches[name] = read_batch(found[name][0])
        _refuse_other_images(batch, size_px)
        if (first := first_of.setdefault(batch.digest, batch)) is not batch:
            raise DataError(f"{first.path} and {batch.path} hold the same images; {REMEDY}")
    if VAL not in batches or len(batches) == 1:  # removed since check_source
        raise DataError(f"{folder} holds no downsampled ImageNet any more; put it back, or name another folder.")
    val = batches.pop(VAL)
    without = [batch for batch in batches.values() if not batch.has_mean]
    if val.has_mean and without:
        raise DataError(
            f"{val.path} has a mean image, as training batches have, and {without[0].path} has none: they bear each "
            "other's names. Rename them, or fetch both again."
        )
    return list(batches.values()), val


def _refuse_other_images(batch: Batch, size_px: int) -> None:
    if batch.size_px != size_px:
        raise DataError(
            f"{batch.path} holds images of {batch.size_px} pixels, but size_px is {size_px}; write size_px: "
            f"{batch.size_px}, or put the batches of {size_px} pixels there."
        )
    if len(odd := np.flatnonzero((batch.labels < 1) | (batch.labels > EXPECTED.classes))):
        raise DataError(
            f"{batch.path}: the label of image {odd[0]:,} is {batch.labels[odd[0]]}, but classes are numbered 1 to "
            f"{EXPECTED.classes:,}. Fetch it again."
        )


def _compare_counts(train: list[Batch], val: Batch) -> tuple[str, ...]:
    """A sentence for each batch of another size: nine training batches are equally large, the last has the rest."""
    total, each = EXPECTED.counts["train"], EXPECTED.counts["train"] // len(TRAIN)
    expected = dict.fromkeys(TRAIN, each) | {TRAIN[-1]: total - each * (len(TRAIN) - 1), VAL: EXPECTED.counts["val"]}
    return tuple(
        f"{batch.path} has {len(batch.labels):,} of {expected[batch.path.stem]:,} images"
        for batch in (*train, val)
        if len(batch.labels) != expected[batch.path.stem]
    )


def _as_arrays(batches: list[Batch], rank: np.ndarray) -> Arrays:
    """Named <batch>/<number of the image, six digits>; `rank`: the label of class 1, of class 2, ..."""
    import pyarrow as pa

    return Arrays(
        names=pa.concat_arrays([_name_images(batch) for batch in batches]),
        labels=np.concatenate([rank[batch.labels - 1] for batch in batches]),
        images=BatchImages(tuple(batch.path for batch in batches)),
    )


def _name_images(batch: Batch) -> "pa.Array":
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers = pc.utf8_lpad(pa.array(np.arange(len(batch.labels))).cast(pa.string()), 6, "0")
    return pc.binary_join_element_wise(batch.path.stem, numbers, "/")


def _read_wnids(folder: Path) -> tuple[str, ...] | None:
    """The WordNet ids of classes 1, 2, ..., where map_clsloc.txt is there."""
    path = find_class_map(folder)
    return None if path is None else read_class_numbers(path, EXPECTED.classes)


def _describe(dataset: DatasetConfig, source: Source, named: bool) -> str:
    splits = f"test is the published val, val {VAL_PER_CLASS} of each class of train, seed {dataset.split_seed}"
    return "; ".join(filter(None, [splits, source.part, "" if named else f"classes by number, without {CLASS_MAP}"]))
