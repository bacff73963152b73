"""Splits drawn from the images of one class, by their numbers alone."""

import numpy as np


def count_splits(count: int, fractions: dict[str, float]) -> dict[str, int] | None:
    """How many of `count` images each split of `fractions` takes, at least one; None if none were left for train."""
    counts = {name: share_of(count, fraction) for name, fraction in fractions.items()}
    return counts if sum(counts.values()) < count else None


def share_of(count: int, fraction: float) -> int:
    """A fraction of `count` images in whole ones, at least one."""
    return max(1, int(fraction * count + 0.5))


def draw_splits(count: int, counts: dict[str, int], generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Row numbers of a class's images, ascending, for each split of `counts` and for train, which takes the rest."""
    order = generator.permutation(count)
    splits = {}
    for name, taken in counts.items():
        splits[name] = np.sort(order[:taken])
        order = order[taken:]
    return splits | {"train": np.sort(order)}
