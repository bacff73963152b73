"""Whether what was listed is the whole edition; if not, what is missing, before a GPU-day is spent on it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from alexnet2012.data.listing import WITHHELD, Arrays, Listing, Problem
from alexnet2012.data.sources.layouts import EDITION_2010, EDITION_2012
from alexnet2012.data.sources.names import LISTED, list_some, numbers_of
from alexnet2012.data.sources.source import Checksum, Source, as_list
from alexnet2012.errors import DataError


@dataclass(frozen=True)
class Expected:
    """An edition's published numbers. `counts`: images of each split; `per_class`: of each class, where all have one.

    `edition`: what the names of images that are numbered 1..N begin with; empty where they are not.
    `train_per_class`: the range known for a class whose own number is not. `sure_of_train`: False where the total comes
    from secondary sources, so that the devkit's numbers of each class outweigh it.
    """

    title: str
    edition: str
    counts: dict[str, int]
    per_class: dict[str, int]
    train_per_class: tuple[int, int]
    optional: tuple[str, ...] = ()
    classes: int = 1000
    sure_of_train: bool = True


ILSVRC2012 = Expected(
    title="ILSVRC-2012",
    edition=EDITION_2012,
    counts={"train": 1_281_167, "val": 50_000, "test": 100_000},
    per_class={"val": 50},
    train_per_class=(732, 1300),
    optional=("test",),
)
ILSVRC2010 = Expected(
    title="ILSVRC-2010",
    edition=EDITION_2010,
    counts={"train": 1_261_406, "val": 50_000, "test": 150_000},
    per_class={"val": 50, "test": 150},
    train_per_class=(668, 3047),
    sure_of_train=False,
)


@dataclass(frozen=True, eq=False)
class Inventory:
    """All that was listed of an edition. `classes`: those that it defines, sorted, be there images of them or not.

    `train_counts`: the published number of training images of each class, where known. `differences`: sentences on what
    the reader of the layout found missing or did not expect.
    """

    description: str
    folder: Path
    classes: tuple[str, ...]
    splits: dict[str, Listing | Arrays]
    problems: tuple[Problem, ...] = ()
    differences: tuple[str, ...] = ()
    checksums: tuple[Checksum, ...] = ()
    official_ids: tuple[int, ...] | None = None
    train_counts: np.ndarray | None = None


def verify(found: Inventory, expected: Expected, complete: bool) -> Source:
    """The source, which is the whole edition if `complete`; else what there is of it, with `part` saying what.

    Raises DataError that lists every difference if the edition was to be complete, and when a split has no image.
    """
    differences = _compare(found, expected)
    if differences and complete:
        raise DataError(
            f"{found.description} is not the whole of {expected.title}:\n{as_list(differences)}\n"
            "Fetch what is missing again, or set complete: false to accept the images as they are, for trials."
        )
    if differences:
        print(f"{expected.title} is not complete, which complete: false accepts:\n{as_list(differences)}", flush=True)
    source = Source(
        description=found.description,
        folder=found.folder,
        classes=found.classes,
        splits=found.splits,
        problems=found.problems,
        checksums=found.checksums,
        official_ids=found.official_ids,
    )
    source = drop_empty_classes(source)
    for split in ("train", "val"):
        if not len(source.splits[split]):
            raise DataError(f"{found.description}: there is no {split} image that could be taken. Fetch them again.")
    return replace(source, part=_describe_part(source, expected)) if differences else source


def drop_empty_classes(source: Source) -> Source:
    """Without the classes that have no training image and without their val and test images; it prints which."""
    counts = _count_by_class(source.splits["train"], source.classes)
    if counts.all():
        return source
    kept = np.flatnonzero(counts)
    empty = [source.classes[c] for c in np.flatnonzero(counts == 0).tolist()]
    print(f"{len(empty):,} classes have no training image and are left out: {list_some(empty)}", flush=True)
    return keep_classes(source, kept)


def keep_classes(source: Source, kept: np.ndarray) -> Source:
    """With the classes `kept` (ascending labels) and their images alone; images of withheld labels stay."""
    new_label = np.full(len(source.classes), -2)
    new_label[kept] = np.arange(len(kept))
    splits = {}
    for name, listing in source.splits.items():
        labels = np.where(listing.labels == WITHHELD, WITHHELD, new_label[listing.labels])
        rows = np.flatnonzero(labels != -2)
        splits[name] = replace(listing.take(rows), labels=labels[rows])
    ids = source.official_ids
    return replace(
        source,
        classes=tuple(source.classes[c] for c in kept.tolist()),
        splits=splits,
        official_ids=None if ids is None else tuple(ids[c] for c in kept.tolist()),
    )


def _compare(found: Inventory, expected: Expected) -> list[str]:
    differences = list(found.differences)
    if len(found.classes) != expected.classes:
        differences.append(f"{len(found.classes):,} of {expected.classes:,} classes are known")
    differences += _compare_train(found, expected)
    for split in ("val", "test"):
        if split in found.splits:
            differences += _compare_split(found, split, expected)
        elif split not in expected.optional:
            differences.append(f"{split}: none of {expected.counts[split]:,} images")
    return differences


def _compare_train(found: Inventory, expected: Expected) -> list[str]:
    train, total = found.splits["train"], expected.counts["train"]
    low, high = (np.full(len(found.classes), bound) for bound in expected.train_per_class)
    if found.train_counts is not None:
        low = high = found.train_counts
    differing = _compare_classes("train", train, found.classes, low, high)
    differing_total = f"train: {len(train):,} of {total:,} images"
    if len(train) == total:
        return differing
    if found.train_counts is not None and not differing and not expected.sure_of_train:
        print(
            f"{differing_total}; every class has as many as the devkit says, and that total is from secondary sources, "
            "so all of them count as there",
            flush=True,
        )
        return []
    return [differing_total, *differing]


def _compare_split(found: Inventory, split: str, expected: Expected) -> list[str]:
    listing, total = found.splits[split], expected.counts[split]
    differences = [f"{split}: {len(listing):,} of {total:,} images"] if len(listing) != total else []
    if expected.edition:
        differences += _compare_numbers(listing, split, expected)
    if split in expected.per_class and not (listing.labels == WITHHELD).all():
        each = np.full(len(found.classes), expected.per_class[split])
        differences += _compare_classes(split, listing, found.classes, each, each)
    return differences


def _compare_numbers(listing: Listing, split: str, expected: Expected) -> list[str]:
    total, differences = expected.counts[split], []
    there = np.zeros(total + 1, bool)
    numbers = numbers_of(listing.names)
    there[numbers[numbers <= total]] = True
    missing = np.flatnonzero(~there[1:]) + 1
    beyond = numbers[(numbers > total) | (numbers < 1)]
    for what, odd in (("missing", missing), ("not expected", beyond)):
        if len(odd):
            names = [f"{expected.edition}_{split}_{n:08d}" for n in odd[:LISTED].tolist()]
            more = f" and {len(odd) - LISTED:,} more" if len(odd) > LISTED else ""
            differences.append(f"{split}: {what}: {', '.join(names)}{more}")
    return differences


def _compare_classes(
    split: str, listing: Listing | Arrays, classes: Sequence[str], low: np.ndarray, high: np.ndarray
) -> list[str]:
    counts = _count_by_class(listing, classes)
    lines = []
    for c in np.flatnonzero((counts < low) | (counts > high)).tolist():
        at_least = "at least " if low[c] < high[c] else ""
        if counts[c] < low[c]:
            lines.append(f"{classes[c]} lacks {at_least}{low[c] - counts[c]:,} of {low[c]:,}")
        else:
            lines.append(f"{classes[c]} has {at_least}{counts[c] - high[c]:,} too many, {counts[c]:,}")
    return [f"{split}, {len(lines):,} classes: {'; '.join(lines[:LISTED])}{_more(lines)}"] if lines else []


def _more(lines: list[str]) -> str:
    return f"; and {len(lines) - LISTED:,} more classes" if len(lines) > LISTED else ""


def _count_by_class(listing: Listing | Arrays, classes: Sequence[str]) -> np.ndarray:
    return np.bincount(listing.labels[listing.labels >= 0], minlength=len(classes))


def _describe_part(source: Source, expected: Expected) -> str:
    images = [f"{len(listing):,} of {expected.counts[split]:,} {split}" for split, listing in source.splits.items()]
    return f"incomplete: {', '.join(images)} images, {len(source.classes)} of {expected.classes} classes"
