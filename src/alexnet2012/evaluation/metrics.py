"""Ranks of the true classes from stored probabilities: exact, ties included, in bounded memory."""

import numpy as np

from alexnet2012.errors import RecordError

CROPS = ("ten_crop", "centre")  # the stored predictions: the mean over ten crops, and the centre crop alone
CHUNK_VALUES = 2**18  # a megabyte of float32, which fits the cache
KEPT_VALUES = 2**31  # 8 GiB: ILSVRC-2010's test set has 1.5e8 probabilities, half of Fall 2009 4.5e10


def are_kept(images: int, classes: int) -> bool:
    """Whether there are few enough probabilities to be stored beside the ranks."""
    return images * classes <= KEPT_VALUES


def rank_truth(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The rank of each true class, int64 (n,): how many other classes are as probable or more probable.

    A class is among the k most probable if its rank is less than k. Ties count against the net, so that one which makes
    all classes equally probable is always wrong. `probabilities`: (n, classes), may be memory-mapped; `labels`: int
    (n,). Raises RecordError when there are no images, their numbers differ, a label is no class, or a probability is
    not finite.
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
