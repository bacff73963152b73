"""Downsampled ImageNet (Chrabaszcz, Loshchilov and Hutter 2017): ILSVRC-2012's images in 32 x 32 or 64 x 64 pixels."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.listing import Listing, Source
from alexnet2012.data.sources.classes import read_class_numbers
from alexnet2012.data.sources.downsampled_batches import BatchFile, read_batch, read_batch_images
from alexnet2012.data.sources.drawn_splits import draw_per_class, refuse_few
from alexnet2012.data.sources.layouts import source_folder
from alexnet2012.data.sources.small_layouts import CLASS_MAP, TRAIN, VAL, find_batches, find_class_map
from alexnet2012.data.sources.verify import ILSVRC2012, Expected, verify
from alexnet2012.errors import DataError

EXPECTED = Expected(
    title="downsampled ImageNet",
    edition="",
    counts={split: ILSVRC2012.counts[split] for split in ("train", "val")},
    per_class=ILSVRC2012.per_class,
    train_per_class=ILSVRC2012.train_per_class,
    optional=("test",),
)
VAL_PER_CLASS = 50


def find_downsampled_imagenet(dataset: DatasetConfig) -> Source:
    """All images in the order of the batches; test is the published val, and val is drawn from each class of train.

    Classes are sorted by WordNet id if map_clsloc.txt gives these, else by the release's class numbers, which are
    `official_ids`. Raises DataError for batches that are damaged or contradict each other, and if images are missing
    (unless `complete` is false).
    """
    folder = source_folder(dataset)
    train, val = _read_all(folder, dataset.size_px)
    class_map = find_class_map(folder)
    if class_map is None:
        names = tuple(f"class-{number:04d}" for number in range(1, EXPECTED.classes + 1))
    else:
        names = read_class_numbers(class_map, EXPECTED.classes)
    order = np.argsort(names)
    source = Source(
        description=f"downsampled ImageNet, {dataset.size_px} pixels, from {folder}",
        folder=folder,
        classes=tuple(names[number] for number in order),
        splits={"train": _list_images(train, np.argsort(order)), "val": _list_images([val], np.argsort(order))},
        official_ids=tuple((order + 1).tolist()),
    )
    source = verify(source, EXPECTED, dataset.complete)
    whole = source.splits["train"]
    refuse_few(whole.labels, source.classes, VAL_PER_CLASS, "set complete: true to have what is missing listed")
    # Drawn by the release's class numbers, so that the same images are drawn with and without known WordNet ids.
    own = np.concatenate([batch.labels for batch in train])
    kept, drawn = draw_per_class(own, VAL_PER_CLASS, dataset.split_seed)
    splits = {"train": whole.take(kept), "val": whole.take(drawn), "test": source.splits["val"]}
    how = f"test is the published val, val {VAL_PER_CLASS} of each class of train, seed {dataset.split_seed}"
    unnamed = f"classes by number, without {CLASS_MAP}" if class_map is None else ""
    return replace(source, splits=splits, part="; ".join(filter(None, [how, source.part, unnamed])))


def count_downsampled_imagenet() -> dict[str, int]:
    """The published number of images in each split."""
    drawn = VAL_PER_CLASS * EXPECTED.classes
    return {"train": EXPECTED.counts["train"] - drawn, "val": drawn, "test": EXPECTED.counts["val"]}


@dataclass(frozen=True)
class BatchImages:
    """Iterates over the images of batches, uint8 (s, s, 3), reading the files each time."""

    paths: tuple[Path, ...]

    def __iter__(self) -> Iterator[np.ndarray]:
        for path in self.paths:
            print(f"reading the images of {path}", flush=True)
            yield from read_batch_images(path)


def _read_all(folder: Path, size_px: int) -> tuple[list[BatchFile], BatchFile]:
    """The present training batches in order, and val_data. Reads all of them; raises DataError for contradictions."""
    found, batches = find_batches(folder), {}
    first_of: dict[str, BatchFile] = {}
    for name in (name for name in (*TRAIN, VAL) if name in found):
        print(f"checking {found[name][0]}", flush=True)
        batch = batches[name] = read_batch(found[name][0])
        _refuse_other_images(batch, size_px)
        if (first := first_of.setdefault(batch.digest, batch)) is not batch:
            raise DataError(
                f"{first.path} and {batch.path} hold the same images; only one of them can be right. Fetch both again."
            )
    if VAL not in batches or len(batches) == 1:  # removed since check_source
        raise DataError(f"{folder} no longer contains downsampled ImageNet; restore it, or name another folder.")
    val = batches.pop(VAL)
    without = [batch for batch in batches.values() if not batch.has_mean]
    if val.has_mean and without:
        raise DataError(
            f"{val.path} has a mean image, as training batches have, but {without[0].path} has none: their names are "
            "swapped. Rename them, or download both again."
        )
    return list(batches.values()), val


def _refuse_other_images(batch: BatchFile, size_px: int) -> None:
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


def _compare_counts(batches: list[BatchFile]) -> tuple[str, ...]:
    """A sentence for each batch with an unexpected size; nine training batches are equally large, the last has the
    rest."""
    total, each = EXPECTED.counts["train"], EXPECTED.counts["train"] // len(TRAIN)
    expected = dict.fromkeys(TRAIN, each) | {TRAIN[-1]: total - each * (len(TRAIN) - 1), VAL: EXPECTED.counts["val"]}
    return tuple(
        f"{batch.path} has {len(batch.labels):,} of {expected[batch.path.stem]:,} images"
        for batch in batches
        if len(batch.labels) != expected[batch.path.stem]
    )


def _list_images(batches: list[BatchFile], rank: np.ndarray) -> Listing:
    """The images of `batches`, named <batch>/<index, six digits>; `rank`: the labels of classes 1, 2, ..."""
    numbers = pa.concat_arrays([pa.array(np.arange(len(batch.labels))) for batch in batches])
    names = pa.array(np.repeat([batch.path.stem for batch in batches], [len(batch.labels) for batch in batches]))
    labels = np.concatenate([rank[batch.labels - 1] for batch in batches])
    return Listing.of(
        pc.binary_join_element_wise(names, pc.utf8_lpad(numbers.cast(pa.string()), 6, "0"), "/"),
        offset=np.arange(len(labels)),
        label=labels,
        container="pixels",
        images=BatchImages(tuple(batch.path for batch in batches)),
        differences=_compare_counts(batches),
    )
