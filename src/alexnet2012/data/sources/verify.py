"""Check that the listed images are the whole edition; if not, report what is missing before anything is trained."""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from alexnet2012.data.listing import WITHHELD, Source
from alexnet2012.data.sources.drawn_splits import keep_classes
from alexnet2012.data.sources.image_names import LISTED, as_list, list_some, numbers_of
from alexnet2012.data.sources.layouts import EDITION_2010, EDITION_2012
from alexnet2012.errors import DataError


@dataclass(frozen=True)
class Expected:
    """An edition's published numbers. `counts`: images of each split; `per_class`: images of each class in splits where
    all classes have equally many.

    `edition`: the beginning of image names that are numbered 1..N; empty if they are not numbered. `train_per_class`:
    the range of training images per class, for classes whose exact number is unknown. `optional`: splits that may be
    missing. `sure_of_train`: False if the total is from secondary sources, so that the devkit's numbers count more.
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


def verify(source: Source, expected: Expected, complete: bool) -> Source:
    """The source, checked to be the whole edition if `complete`; otherwise `part` says what there is of it.

    `source.classes` are all classes of the edition; those without training images are dropped. The splits' problems
    become the source's. Raises DataError that lists every difference if `complete`, and if train or val has no image.
    """
    problems = [problem for images in source.splits.values() for problem in images.problems]
    differences = _compare(source, expected)
    if differences and complete:
        raise DataError(
            f"{source.description} is not the whole of {expected.title}:\n{as_list(differences)}\n"
            "Fetch what is missing again, or set complete: false to accept the images as they are, for trials."
        )
    if differences:
        print(f"{expected.title} is not complete, which complete: false accepts:\n{as_list(differences)}", flush=True)
    ignored = sum((images.ignored for images in source.splits.values()), Counter[str]())
    source = drop_empty_classes(replace(source, problems=(*problems, *source.problems), ignored=ignored))
    for split in ("train", "val"):
        if not len(source.splits[split]):
            raise DataError(f"{source.description}: there is no {split} image that could be taken. Fetch them again.")
    return replace(source, part=_describe_part(source, expected)) if differences else source


def drop_empty_classes(source: Source) -> Source:
    """The source without classes that have no training image, and without their val and test images; prints them."""
    counts = source.count_images("train")
    if counts.all():
        return source
    empty = [source.classes[label] for label in np.flatnonzero(counts == 0)]
    print(f"{len(empty):,} classes have no training image and are left out: {list_some(empty)}", flush=True)
    return keep_classes(source, np.flatnonzero(counts))


def _compare(source: Source, expected: Expected) -> list[str]:
    differences = [sentence for images in source.splits.values() for sentence in images.differences]
    if len(source.classes) != expected.classes:
        differences.append(f"{len(source.classes):,} of {expected.classes:,} classes are known")
    differences += _compare_train(source, expected)
    for split in ("val", "test"):
        if split in source.splits:
            differences += _compare_split(source, split, expected)
        elif split not in expected.optional:
            differences.append(f"{split}: none of {expected.counts[split]:,} images")
    return differences


def _compare_train(source: Source, expected: Expected) -> list[str]:
    count, total = len(source.splits["train"]), expected.counts["train"]
    low, high = expected.train_per_class if source.train_counts is None else [source.train_counts] * 2
    differing = _compare_classes(source, "train", low, high)
    if count == total:
        return differing
    differing_total = f"train: {count:,} of {total:,} images"
    if source.train_counts is not None and not differing and not expected.sure_of_train:
        print(
            f"{differing_total}; every class has as many as the devkit says, and that total is from secondary sources, "
            "so all of them count as there",
            flush=True,
        )
        return []
    return [differing_total, *differing]


def _compare_split(source: Source, split: str, expected: Expected) -> list[str]:
    images, total = source.splits[split], expected.counts[split]
    differences = [f"{split}: {len(images):,} of {total:,} images"] if len(images) != total else []
    if expected.edition:
        numbers = numbers_of(images.names)
        missing = np.setdiff1d(np.arange(1, total + 1), numbers)
        beyond = numbers[(numbers > total) | (numbers < 1)]
        for what, odd in (("missing", missing), ("not expected", beyond)):
            if len(odd):
                names = [f"{expected.edition}_{split}_{number:08d}" for number in odd]
                differences.append(f"{split}: {what}: {list_some(names, LISTED)}")
    if split in expected.per_class and not (images.labels == WITHHELD).all():
        differences += _compare_classes(source, split, expected.per_class[split], expected.per_class[split])
    return differences


def _compare_classes(source: Source, split: str, low: np.ndarray | int, high: np.ndarray | int) -> list[str]:
    """A sentence on the classes with fewer images than `low` or more than `high`, numbers for each class or for all."""
    counts = source.count_images(split)
    low, high = np.broadcast_to(low, counts.shape), np.broadcast_to(high, counts.shape)
    lines = []
    for label in np.flatnonzero((counts < low) | (counts > high)):
        name, count, least, most = source.classes[label], counts[label], low[label], high[label]
        at_least = "at least " if least < most else ""
        if count < least:
            lines.append(f"{name} lacks {at_least}{least - count:,} of {least:,}")
        else:
            lines.append(f"{name} has {at_least}{count - most:,} too many, {count:,}")
    more = f"; and {len(lines) - LISTED:,} more classes" if len(lines) > LISTED else ""
    return [f"{split}, {len(lines):,} classes: {'; '.join(lines[:LISTED])}{more}"] if lines else []


def _describe_part(source: Source, expected: Expected) -> str:
    images = [f"{len(images):,} of {expected.counts[split]:,} {split}" for split, images in source.splits.items()]
    return f"incomplete: {', '.join(images)} images, {len(source.classes)} of {expected.classes} classes"
