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
    withheld is left out. Raises DataError when there are fewer classes.
    """
    total = len(source.classes)
    wanted = total if subset.classes is None else subset.classes
    if wanted > total:
        raise DataError(f"subset.classes is {wanted:,}, but {source.description} has {total:,} classes; ask for fewer.")
    chosen = np.sort(np.random.default_rng(subset.seed).permutation(total)[:wanted])
    labelled = {name: listing for name, listing in source.splits.items() if not (listing.labels == WITHHELD).all()}
    part = keep_classes(replace(source, splits=labelled), chosen)
    if subset.per_class is not None:
        splits = {
            # A generator for each split: whether there is a test split changes nothing in the others.
            name: _take_per_class(listing, subset.per_class, np.random.default_rng([subset.seed, SPLITS.index(name)]))
            for name, listing in part.splits.items()
        }
        part = replace(part, splits=splits)
    return replace(part, part="; ".join(filter(None, [source.part, _describe(subset, wanted, total)])))


def _take_per_class(listing: Listing, per_class: int, generator: np.random.Generator) -> Listing:
    by_class = np.argsort(listing.labels, kind="stable")
    bounds = np.flatnonzero(np.diff(listing.labels[by_class])) + 1
    drawn = [generator.permutation(rows)[:per_class] for rows in np.split(by_class, bounds)]
    return listing.take(np.sort(np.concatenate(drawn)))


def _describe(subset: SubsetConfig, wanted: int, total: int) -> str:
    images = "" if subset.per_class is None else f", at most {subset.per_class} images of each per split"
    return f"subset: {wanted} of {total} classes{images}, seed {subset.seed}"
