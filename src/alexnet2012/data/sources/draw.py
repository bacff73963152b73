"""Splits drawn class by class, by the numbers of the images alone."""

from collections.abc import Sequence

import numpy as np

from alexnet2012.errors import DataError


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


def draw_per_class(labels: np.ndarray, per_class: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers (kept, drawn), each ascending: `per_class` rows of every class are drawn by PCG64(seed)."""
    generator = np.random.default_rng(seed)
    classes = np.unique(labels)
    drawn = np.sort(np.concatenate([generator.permutation(np.flatnonzero(labels == c))[:per_class] for c in classes]))
    return np.setdiff1d(np.arange(len(labels)), drawn), drawn


def refuse_few(labels: np.ndarray, classes: Sequence[str], per_class: int, otherwise: str) -> None:
    """Raises DataError for a class of which drawing `per_class` training images for val would leave none.

    `otherwise`: what can be done besides fetching the images again.
    """
    counts = np.bincount(labels, minlength=len(classes))
    if len(few := np.flatnonzero(counts <= per_class)):
        raise DataError(
            f"Class {classes[few[0]]} has only {counts[few[0]]} training images: with {per_class} for val none would "
            f"be left. Fetch the images again, or {otherwise}."
        )


def draw_fractions(
    labels: np.ndarray, classes: Sequence[str], fractions: dict[str, float], seed: int
) -> dict[str, np.ndarray]:
    """Row numbers of the splits of `fractions`, and of train without them; at least one of each class in each.

    `labels` (n,), ascending, number `classes`. Raises DataError for a class that would leave none for train.
    """
    generator = np.random.default_rng(seed)
    parts: dict[str, list[np.ndarray]] = {name: [] for name in ("train", *fractions)}
    counts = np.bincount(labels, minlength=len(classes))
    for class_name, count, end in zip(classes, counts.tolist(), np.cumsum(counts).tolist(), strict=True):
        taken = count_splits(count, fractions)
        if taken is None:
            wanted = ", ".join(f"{share_of(count, fraction)} for {name}" for name, fraction in fractions.items())
            raise DataError(
                f"Class {class_name} has only {count} images: with {wanted} none would be left for train. Add "
                "images to it, remove it, or lower val_fraction and test_fraction."
            )
        for name, rows in draw_splits(count, taken, generator).items():
            parts[name].append(end - count + rows)
    return {name: np.concatenate(rows) for name, rows in parts.items()}
