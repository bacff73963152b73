"""An ensemble's average and errors from the members' stored probabilities: ours, and a script of numpy."""

import os
import time
from pathlib import Path

import numpy as np
from contest import Call, Done

from alexnet2012.evaluation.ensemble import average
from alexnet2012.evaluation.metrics import rank_truth
from alexnet2012.evaluation.statistics import estimate_error

KS = (1, 5)


def write_members(folder: Path, members: int, images: int, classes: int, block: int = 10_000) -> None:
    """labels.npy, and member<k>.npy: float32 (images, classes) of rows that sum to 1, often right."""
    random = np.random.default_rng(0)
    labels = random.integers(0, classes, images)
    np.save(folder / "labels.npy", labels)
    for member in range(members):
        path = folder / f"member{member}.npy"
        array = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(images, classes))
        for start in range(0, images, block):
            truth = labels[start : start + block]
            rows = random.random((len(truth), classes), dtype=np.float32)
            rows[np.arange(len(truth)), truth] += 0.2 * random.random(len(truth), dtype=np.float32)
            array[start : start + block] = rows / rows.sum(axis=1, keepdims=True)
        array.flush()


def make_ours(folder: str, output: str) -> Call:
    """The average to a file, its errors as a prediction's record has them, their intervals as a table has them."""
    members, labels, mean = list_members(folder), np.load(Path(folder, "labels.npy")), Path(output)

    def call() -> Done:
        average(members, mean)
        probabilities = np.load(mean, mmap_mode="r")
        ranks = rank_truth(probabilities, labels)
        for k in KS:
            estimate_error([ranks >= k])
        return Done(1, details={f"top{k}": float((ranks >= k).mean()) for k in KS})

    return call


def make_numpy(folder: str, output: str) -> Call:
    """A sum of loaded arrays, one argsort, the same file, which is not waited for until it is on the disk.

    That is done outside its time, so that the next contender does not wait for it in its own.
    """
    members, labels, mean = list_members(folder), np.load(Path(folder, "labels.npy")), Path(output)

    def call() -> Done:
        began = time.perf_counter()
        total = np.load(members[0])
        for member in members[1:]:
            total += np.load(member)
        total /= len(members)
        np.save(mean, total)
        best = np.argsort(-total, axis=1)[:, :5]
        hits = best == labels[:, None]
        errors = {f"top{k}": 1 - float(hits[:, :k].any(axis=1).mean()) for k in KS}
        seconds = time.perf_counter() - began
        os.sync()
        return Done(1, seconds, errors)

    return call


def list_members(folder: str) -> list[Path]:
    return sorted(Path(folder).glob("member*.npy"))
