"""A seeded part of a source for trial runs."""

from dataclasses import replace

import numpy as np

from alexnet2012.config.datasets import SubsetConfig
from alexnet2012.data.listing import WITHHELD, Listing
from alexnet2012.data.packed import SPLITS
from alexnet2012.data.sources.source import Source
from alexnet2012.data.sources.verify import keep_classes
from alexnet2012.errors import DataError


def take_subset(source: Source, subset: SubsetConfig) -> Source:
    """`classes` of the classes and at most `per_class` of the images of each in each split, in canonical order.

    The draw knows names and seed only, so every layout of an edition gives the same subset. A split whose labels are
    withheld is left out. Raises DataError when there are fewer classes, or none is left by `classes_not_in`.
    """
    total = len(source.classes)
    chosen = draw_classes(subset, total, source.description)
    labelled = {name: listing for name, listing in source.splits.items() if not (listing.labels == WITHHELD).all()}
    part = keep_classes(replace(source, splits=labelled), chosen)
    if subset.per_class is not None:
        splits = {
            # A generator for each split: whether there is a test split changes nothing in the others.
            name: _take_per_class(listing, subset.per_class, np.random.default_rng([subset.seed, SPLITS.index(name)]))
            for name, listing in part.splits.items()
        }
        part = replace(part, splits=splits)
    return replace(part, part="; ".join(filter(None, [source.part, _describe(subset, total)])))


def draw_classes(subset: SubsetConfig, total: int, description: str) -> np.ndarray:
    """The labels of the classes that a subset of `total` classes has, ascending; `description` is what has them.

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


def _take_per_class(listing: Listing, per_class: int, generator: np.random.Generator) -> Listing:
    by_class = np.argsort(listing.labels, kind="stable")
    bounds = np.flatnonzero(np.diff(listing.labels[by_class])) + 1
    drawn = [generator.permutation(rows)[:per_class] for rows in np.split(by_class, bounds)]
    return listing.take(np.sort(np.concatenate(drawn)))


def _describe(subset: SubsetConfig, total: int) -> str:
    others = "" if subset.left_out is None else f", without those of another ({_describe(subset.left_out, total)})"
    images = "" if subset.per_class is None else f", at most {subset.per_class} images of each per split"
    return f"subset: {subset.count_classes(total)} of {total} classes{images}, seed {subset.seed}{others}"
