"""Tiny ImageNet (Stanford's CS231n): 200 of ILSVRC's classes, 550 labelled images of 64 x 64 pixels in each."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data import downloads
from alexnet2012.data.listing import Listing, Source, concatenate
from alexnet2012.data.sources.drawn_splits import draw_fractions, draw_per_class, refuse_few, share_of
from alexnet2012.data.sources.layouts import source_folder
from alexnet2012.data.sources.parquet import list_tiny_parquet
from alexnet2012.data.sources.small_layouts import ACCEPTED, ADDRESS, Place, find_tiny_imagenet_in
from alexnet2012.data.sources.tiny_tree import PUBLISHED, list_folder, list_zip
from alexnet2012.data.sources.verify import Expected, verify
from alexnet2012.errors import DataError

EXPECTED = Expected(
    title="Tiny ImageNet",
    edition="",
    counts={"train": 100_000, "val": 10_000},
    per_class={"val": 50},
    train_per_class=(500, 500),
    optional=("test",),  # 10,000 images whose labels are withheld
    classes=200,
)
VAL_PER_CLASS = 50
READERS = {"zip": list_zip, "folder": list_folder, "parquet": list_tiny_parquet}
OFFICIAL = downloads.by_address(ADDRESS, PUBLISHED)


def find_tiny_imagenet(
    dataset: DatasetConfig,
    downloads_folder: Path,
    way: downloads.Way = OFFICIAL,
    stall_s: float = downloads.STALL_S,
) -> Source:
    """The labelled images of Tiny ImageNet, split as `dataset.splits` says, with the names of the official archive.

    Images are ordered by class and name, those of the official train before those of val. Unless the dataset names a
    folder, they are read from `downloads_folder`, or fetched. Raises DataError if images are missing (unless `complete`
    is false) or labels contradict each other.
    """
    place = find_tiny_imagenet_in(source_folder(dataset) if dataset.folder is not None else downloads_folder)
    if place is None and dataset.folder is not None:  # removed since check_source
        raise DataError(f"{dataset.folder} no longer contains Tiny ImageNet; restore it, or name another folder.")
    layout, path = place or Place("zip", _fetch(way, downloads_folder, stall_s))
    source = verify(READERS[layout](path), EXPECTED, dataset.complete)
    splits = split_officially(source, dataset) if dataset.splits == "official" else split_merged(source, dataset)
    return replace(source, splits=splits, part="; ".join(filter(None, [describe_splits(dataset), source.part])))


def count_tiny_imagenet(dataset: DatasetConfig) -> dict[str, int]:
    """The published number of images in each split."""
    test, train = EXPECTED.per_class["val"], EXPECTED.train_per_class[0]
    counts = {"val": VAL_PER_CLASS, "test": test}
    if dataset.splits == "merged":
        counts = {name: share_of(train + test, share) for name, share in _fractions(dataset).items()}
    each = {"train": train + test - sum(counts.values()), **counts}
    return {name: count * EXPECTED.classes for name, count in each.items()}


def describe_splits(dataset: DatasetConfig) -> str:
    """The splits in words, as shown in tables."""
    seed = dataset.split_seed
    if dataset.splits == "official":
        return f"official splits: test is the official val, val {VAL_PER_CLASS} of each class of train, seed {seed}"
    shares = ", ".join(f"{share:g} of each class for {name}" for name, share in _fractions(dataset).items())
    return f"merged splits: all labelled images, {shares}, seed {seed}"


def split_officially(source: Source, dataset: DatasetConfig) -> dict[str, Listing]:
    """Splits in which test is the official val, and val is VAL_PER_CLASS images of each class drawn from train."""
    train = source.splits["train"]
    refuse_few(train.labels, source.classes, VAL_PER_CLASS, "set splits: merged")
    kept, drawn = draw_per_class(train.labels, VAL_PER_CLASS, dataset.split_seed)
    return {"train": train.take(kept), "val": train.take(drawn), "test": source.splits["val"]}


def split_merged(source: Source, dataset: DatasetConfig) -> dict[str, Listing]:
    """Splits of all labelled images: val and test are fractions of each class, drawn with `split_seed`."""
    merged = concatenate([source.splits["train"], source.splits["val"]])
    merged = merged.take(np.argsort(merged.labels, kind="stable"))
    rows = draw_fractions(merged.labels, source.classes, _fractions(dataset), dataset.split_seed)
    return {name: merged.take(rows[name]) for name in ("train", "val", "test")}


def _fractions(dataset: DatasetConfig) -> dict[str, float]:
    return {"val": dataset.val_fraction, "test": dataset.test_fraction}


def _fetch(way: downloads.Way, downloads_folder: Path, stall_s: float) -> Path:
    """Fetch the archive. Raises DataError with the reason if that fails, and with other ways to get the images."""
    print(f"Tiny ImageNet: fetching {way.name} ...", flush=True)
    try:
        return downloads.fetch(way, downloads_folder, stall_s)
    except DataError as error:
        raise DataError(
            f"Tiny ImageNet could not be downloaded from {way.name}: {error}. The next run resumes an interrupted "
            f"download; or put {ACCEPTED} into {downloads_folder}, or name it as the dataset's folder."
        ) from None
