"""Errors from stored probabilities: exact, tie-safe, in bounded memory."""

import numpy as np

from alexnet2012.errors import RecordError

CHUNK_ROWS = 4096


def top_k_wrong(probabilities: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """Bool (n,): whether the true label is not among the k most probable.

    Ties count against the net: another class exactly as probable as the true one is taken to stand before it, so that
    a net which says nothing is not credited. `probabilities`: (n, classes), may be memory-mapped. Raises RecordError
    when there are no images, their numbers differ, a label is no class, or a probability is not finite.
    """
    if len(labels) == 0:
        raise RecordError("there are no images to measure an error on")
    if len(probabilities) != len(labels):
        raise RecordError(
            f"{len(probabilities)} rows of probabilities for {len(labels)} labels; predict this split again"
        )
    classes = probabilities.shape[1]
    if labels.min() < 0 or labels.max() >= classes:
        raise RecordError(f"labels from {labels.min()} to {labels.max()} do not fit {classes} classes")
    wrong = np.empty(len(labels), dtype=bool)
    for start in range(0, len(labels), CHUNK_ROWS):
        rows = slice(start, start + CHUNK_ROWS)
        values, truth = np.asarray(probabilities[rows]), labels[rows]
        if not np.isfinite(values).all():
            raise RecordError(
                f"rows {start}..{start + len(values) - 1} hold probabilities that are not finite; predict again"
            )
        own = values[np.arange(len(truth)), truth]
        before = (values >= own[:, None]).sum(axis=1) - 1
        wrong[rows] = before >= k
    return wrong


def top_k_error(probabilities: np.ndarray, labels: np.ndarray, k: int) -> float:
    """The fraction of `labels` not among the k most probable."""
    return float(top_k_wrong(probabilities, labels, k).mean())
