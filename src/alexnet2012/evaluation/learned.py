"""The rule by which a net counts as one that did not learn, but stayed at chance (docs/claims.md)."""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from alexnet2012.config.schema import is_trial

NEAR = 0.01  # of the loss at chance
QUANTILE = NormalDist().inv_cdf(0.975)  # of a 95 % interval


@dataclass(frozen=True)
class Chance:
    """The lowest training loss (nats) and the lowest top-1 error on val (a fraction) of one answer for all images.

    With classes of equal size these are ln(classes) and 1 - 1 / classes.
    """

    train_loss: float
    val_error: float


def measure_chance(train_labels: np.ndarray, val_labels: np.ndarray) -> Chance:
    """Chance by labels, int (n,): the entropy of train's, and the error of always naming val's most frequent class."""
    counts = np.unique(train_labels, return_counts=True)[1]
    shares = counts / counts.sum()
    most = np.unique(val_labels, return_counts=True)[1].max()
    return Chance(float(-(shares * np.log(shares)).sum()), float(1 - most / len(val_labels)))


def chance_of(record: dict[str, Any]) -> Chance:
    """Chance as a training's or a baseline's record states it; for older records, that of classes of equal size."""
    if "chance" in record:
        return Chance(**record["chance"])
    return Chance(math.log(record["classes"]), 1 - 1 / record["classes"])


def is_chance_loss(loss: float, chance: Chance) -> bool:
    """Whether a training loss (nats) is within 1 % of chance."""
    return abs(loss - chance.train_loss) <= NEAR * chance.train_loss


def is_chance_error(error: float, images: int, chance: Chance) -> bool:
    """Whether the 95 % Wilson interval of an error (a fraction of `images`) contains chance, or lies above it.

    Wilson's interval contains c if the error is within z * sqrt(c * (1 - c) / images) of c.
    """
    c = chance.val_error
    return error >= c - QUANTILE * math.sqrt(c * (1 - c) / images)


def has_learned(record: dict[str, Any], val: dict[str, Any] | None = None) -> bool | None:
    """Whether a net learned, from the record of its training and, for a baseline, of its prediction of val.

    It did not if its training diverged, or if the training loss of its last epoch or its error on val (centre crop) is
    at chance. None if that is not known, and for the trials of a learning-rate search.
    """
    if is_trial(record["variant"], record.get("learning_rate")):
        return None
    if record.get("diverged"):
        return False
    final, chance = record.get("final"), chance_of(record)
    if final is not None:
        images = record["dataset"]["counts"]["val"]
        at_chance = is_chance_error(final["val_top1_error"], images, chance)
        return not (at_chance or is_chance_loss(final["train_loss"], chance))
    if val is not None:
        return not is_chance_error(val["errors"]["centre"]["top1"], val["images"], chance)
    return None
