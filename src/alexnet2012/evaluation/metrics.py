"""Ranks of the true classes, exact and in bounded memory; and the rule for nets that did not learn but stayed at chance
(docs/claims.md)."""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from alexnet2012.config.schema import is_trial
from alexnet2012.errors import RecordError

CROPS = ("ten_crop", "centre")  # the stored predictions: the mean over ten crops, and the centre crop alone
CHUNK_VALUES = 2**18  # a megabyte of float32, which fits into the cache
KEPT_VALUES = 2**31  # 8 GiB: ILSVRC-2010's test set has 1.5e8 probabilities, half of Fall 2009 4.5e10
NEAR = 0.01  # relative distance within which a loss counts as at chance
QUANTILE = NormalDist().inv_cdf(0.975)  # for a 95 % interval


def are_kept(images: int, classes: int) -> bool:
    """Whether the probabilities are few enough to be stored in addition to the ranks."""
    return images * classes <= KEPT_VALUES


def rank_truth(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The rank of each true class, int64 (n,): the number of other classes that are as probable or more probable.

    A class is among the k most probable if its rank is less than k. Ties count against the net, so that a net for which
    all classes are equally probable is always wrong. `probabilities`: (n, classes), may be memory-mapped; `labels`: int
    (n,). Raises RecordError if there are no images, their numbers differ, a label is no class, or a probability is not
    finite.
    """
    if len(labels) == 0:
        raise RecordError("no images to measure an error on; prepare a dataset that has some in this split")
    if len(probabilities) != len(labels):
        raise RecordError(
            f"{len(probabilities)} rows of probabilities for {len(labels)} labels; predict this split again"
        )
    classes = probabilities.shape[1]
    if labels.min() < 0 or labels.max() >= classes:
        raise RecordError(f"labels from {labels.min()} to {labels.max()} do not fit {classes} classes")
    ranks = np.empty(len(labels), dtype=np.int64)
    step = max(1, CHUNK_VALUES // classes)
    for start in range(0, len(labels), step):
        rows = slice(start, start + step)
        values, truth = np.asarray(probabilities[rows]), labels[rows]
        if not np.isfinite(values).all():
            raise RecordError(
                f"rows {start}..{start + len(values) - 1} hold probabilities that are not finite; predict again"
            )
        own = values[np.arange(len(truth)), truth]
        ranks[rows] = np.count_nonzero(values >= own[:, None], axis=1) - 1
    return ranks


@dataclass(frozen=True)
class Chance:
    """The lowest training loss (nats) and top-1 error on val (a fraction) that a constant answer can reach.

    With classes of equal size these are ln(classes) and 1 - 1 / classes.
    """

    train_loss: float
    val_error: float


def measure_chance(train_labels: np.ndarray, val_labels: np.ndarray) -> Chance:
    """Chance for labels, int (n,): the entropy of train's, and the error of always answering val's most frequent
    class."""
    counts = np.unique(train_labels, return_counts=True)[1]
    shares = counts / counts.sum()
    most = np.unique(val_labels, return_counts=True)[1].max()
    return Chance(float(-(shares * np.log(shares)).sum()), float(1 - most / len(val_labels)))


def chance_of(record: dict[str, Any]) -> Chance:
    """Chance from a training's or baseline's record; for older records without it, that of classes of equal size."""
    if "chance" in record:
        return Chance(**record["chance"])
    return Chance(math.log(record["classes"]), 1 - 1 / record["classes"])


def is_chance_loss(loss: float, chance: Chance) -> bool:
    """Whether a training loss (nats) is within 1 % of chance."""
    return abs(loss - chance.train_loss) <= NEAR * chance.train_loss


def is_chance_error(error: float, images: int, chance: Chance) -> bool:
    """Whether the 95 % Wilson interval of an error (a fraction of `images`) contains chance or lies above it.

    Wilson's interval contains c if the error is within z * sqrt(c * (1 - c) / images) of c.
    """
    c = chance.val_error
    return error >= c - QUANTILE * math.sqrt(c * (1 - c) / images)


def has_learned(record: dict[str, Any], val: dict[str, Any] | None = None) -> bool | None:
    """Whether a net learned, from the record of its training and, for a baseline, that of its predictions on val.

    A net did not learn if its training diverged, or if the training loss of its last epoch or its error on val (centre
    crop) is at chance. None if this is unknown, and for trials of a learning-rate search.
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
