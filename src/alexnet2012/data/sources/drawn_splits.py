"""Random splits, drawn from each class, and random subsets of datasets, both reproducible from a seed."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from alexnet2012.config.datasets import SubsetConfig
from alexnet2012.data.listing import WITHHELD, Listing, Source
from alexnet2012.data.packed import SPLITS
from alexnet2012.errors import DataError


def share_of(count: int, fraction: float) -> int:
    """`fraction` of `count` images, rounded to a whole number, at least 1."""
    return max(1, int(fraction * count + 0.5))


def find_small_classes(counts: np.ndarray, fractions: dict[str, float]) -> np.ndarray:
    """The labels of the classes that are too small: splits of `fractions` would leave none of its images for train.

    `counts`: the number of images of each class."""
    taken = [sum(share_of(count, fraction) for fraction in fractions.values()) for count in counts.tolist()]
    return np.flatnonzero(counts <= np.array(taken, np.int64))


def draw_fractions(
    labels: np.ndarray, classes: Sequence[str], fractions: dict[str, float], seed: int | np.random.Generator
) -> dict[str, np.ndarray]:
    """Row numbers of the splits of `fractions` and of train, the rest; each split gets at least one image per class.

    `labels` (n,): indices into `classes`, ascending. Raises DataError for a class that would leave none for train.
    """
    counts = np.bincount(labels, minlength=len(classes))
    for label in find_small_classes(counts, fractions)[:1]:
        wanted = ", ".join(f"{share_of(counts[label], fraction)} for {name}" for name, fraction in fractions.items())
        raise DataError(
            f"Class {classes[label]} has only {counts[label]} images: with {wanted} none would be left for train. Add "
            "images to it, remove it, or lower val_fraction and test_fraction."
        )
    generator = np.random.default_rng(seed)
    parts: dict[str, list[np.ndarray]] = {name: [] for name in ("train", *fractions)}
    for count, end in zip(counts.tolist(), np.cumsum(counts).tolist(), strict=True):
        rows = end - count + generator.permutation(count)
        for name, fraction in fractions.items():
            taken = share_of(count, fraction)
            parts[name].append(np.sort(rows[:taken]))
            rows = rows[taken:]
        parts["train"].append(np.sort(rows))
    return {name: np.concatenate(rows) for name, rows in parts.items()}


def draw_per_class(labels: np.ndarray, per_class: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers (kept, drawn), both ascending: `per_class` rows of every class are drawn by PCG64(seed)."""
    drawn = _draw_of_each(labels, per_class, np.random.default_rng(seed))
    return np.setdiff1d(np.arange(len(labels)), drawn), drawn


def refuse_few(labels: np.ndarray, classes: Sequence[str], per_class: int, otherwise: str) -> None:
    """Raise DataError for a class that has no training image left after drawing `per_class` for val.

    `otherwise`: for the message, what can be done besides fetching the images again.
    """
    counts = np.bincount(labels, minlength=len(classes))
    if len(few := np.flatnonzero(counts <= per_class)):
        raise DataError(
            f"Class {classes[few[0]]} has only {counts[few[0]]} training images: with {per_class} for val none would "
            f"be left. Fetch the images again, or {otherwise}."
        )


def take_subset(source: Source, subset: SubsetConfig) -> Source:
    """The subset of a source: some of the classes and at most `per_class` images of each in each split, in canonical
    order.

    The draw depends only on the canonical order and the seed, so that every layout of an edition gives the same subset.
    Splits with withheld labels are left out. Raises DataError if there are not enough classes, also after
    `classes_not_in`.
    """
    total = len(source.classes)
    chosen = draw_classes(subset, total, source.description)
    labelled = {name: images for name, images in source.splits.items() if not (images.labels == WITHHELD).all()}
    part = keep_classes(replace(source, splits=labelled), chosen)
    if subset.per_class is not None:
        # A generator for each split, so that the others do not depend on whether there is a test split.
        seeds = {name: [subset.seed, SPLITS.index(name)] for name in part.splits}
        splits = {
            name: images.take(_draw_of_each(images.labels, subset.per_class, np.random.default_rng(seeds[name])))
            for name, images in part.splits.items()
        }
        part = replace(part, splits=splits)
    return replace(part, part="; ".join(filter(None, [source.part, _describe(subset, total)])))


def draw_classes(subset: SubsetConfig, total: int, description: str) -> np.ndarray:
    """The labels of the classes in a subset, ascending, out of `total` classes; `description`: the source, for
    messages.

    Raises DataError as `take_subset` does.
    """
    if subset.classes_not_in is not None and subset.left_out is None:
        raise DataError(f"subset.classes_not_in is {subset.classes_not_in}, a dataset that only a configuration knows.")
    free = np.arange(total)
    if subset.left_out is not None:
        free = np.setdiff1d(free, draw_classes(subset.left_out, total, description))
    wanted = len(free) if subset.classes is None else subset.classes
    if wanted > len(free) or not wanted:
        left = "" if subset.left_out is None else f", of which classes_not_in leaves {len(free):,}"
        raise DataError(f"subset.classes is {wanted:,}, but {description} has {total:,} classes{left}; ask for fewer.")
    return np.sort(np.random.default_rng(subset.seed).permutation(free)[:wanted])


def keep_classes(source: Source, kept: np.ndarray) -> Source:
    """The source with only the classes `kept` (ascending labels) and their images; images with withheld labels stay."""
    new_label = np.full(len(source.classes), -2)
    new_label[kept] = np.arange(len(kept))
    splits: dict[str, Listing] = {}
    for name, images in source.splits.items():
        labels = np.where(images.labels == WITHHELD, WITHHELD, new_label[images.labels])
        splits[name] = images.put(label=labels).take(np.flatnonzero(labels != -2))
    ids = source.official_ids
    return replace(
        source,
        classes=tuple(source.classes[c] for c in kept),
        splits=splits,
        official_ids=None if ids is None else tuple(ids[c] for c in kept),
    )


def _draw_of_each(labels: np.ndarray, per_class: int, generator: np.random.Generator) -> np.ndarray:
    """Row numbers of at most `per_class` random images of each class, ascending."""
    by_class = np.argsort(labels, kind="stable")
    bounds = np.flatnonzero(np.diff(labels[by_class])) + 1
    drawn = [generator.permutation(rows)[:per_class] for rows in np.split(by_class, bounds)]
    return np.sort(np.concatenate(drawn))


def _describe(subset: SubsetConfig, total: int) -> str:
    others = "" if subset.left_out is None else f", without those of another ({_describe(subset.left_out, total)})"
    images = "" if subset.per_class is None else f", at most {subset.per_class} images of each per split"
    return f"subset: {subset.count_classes(total)} of {total} classes{images}, seed {subset.seed}{others}"
