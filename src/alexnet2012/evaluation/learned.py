"""Did a net learn anything? The rule (docs/claims.md) by which a net counts as one that stayed at chance."""

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
    """What answering every image alike reaches: the smallest such training loss, in nats, and the smallest such top-1
    error on val, a fraction. With classes of one size these are ln(classes) and 1 - 1 / classes."""

    train_loss: float
    val_error: float


def measure_chance(train_labels: np.ndarray, val_labels: np.ndarray) -> Chance:
    """The entropy of the training labels and the error of naming val's most frequent class; labels are int (n,)."""
    counts = np.unique(train_labels, return_counts=True)[1]
    shares = counts / counts.sum()
    most = np.unique(val_labels, return_counts=True)[1].max()
    return Chance(float(-(shares * np.log(shares)).sum()), float(1 - most / len(val_labels)))


def chance_of(record: dict[str, Any]) -> Chance:
    """The chance level that a training's or baseline's record states; older records state none and are taken to be of
    classes of one size."""
    if "chance" in record:
        return Chance(**record["chance"])
    return Chance(math.log(record["classes"]), 1 - 1 / record["classes"])


def is_chance_loss(loss: float, chance: Chance) -> bool:
    """Whether a training loss is within 1 % of the one at chance."""
    return abs(loss - chance.train_loss) <= NEAR * chance.train_loss


def is_chance_error(error: float, images: int, chance: Chance) -> bool:
    """Whether the error's 95 % Wilson interval over `images` holds the one at chance, or lies above it.

    Wilson's interval holds a value c where the error is within z * sqrt(c * (1 - c) / images) of it.
    """
    c = chance.val_error
    return error >= c - QUANTILE * math.sqrt(c * (1 - c) / images)


def has_learned(record: dict[str, Any], val: dict[str, Any] | None = None) -> bool | None:
    """Whether a net learned anything, from its training's record and, for a baseline, that of its prediction of val.

    It did not where its training diverged, where the training loss of its last epoch is a chance loss, or its error on
    val, centre crop, a chance error. None where it is not known, and for a run that only tries a learning rate.
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
