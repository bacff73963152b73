"""Averages of stored probabilities (table 2): no net is loaded, one block of rows is in memory at a time."""

from pathlib import Path

import numpy as np

from alexnet2012.errors import RecordError
from alexnet2012.files import replacing

BLOCK_VALUES = 2**17  # a megabyte of sums: they stay in the cache while the members are added


def average(members: list[Path], output: Path) -> None:
    """Write the mean of the members' probabilities, float32 (n, classes), summed in float64.

    Raises RecordError when there are no members or their shapes differ.
    """
    if not members:
        raise RecordError("an ensemble needs at least one member's probabilities, found none")
    arrays = [np.load(member, mmap_mode="r") for member in members]
    for member, array in zip(members, arrays, strict=True):
        if array.shape != arrays[0].shape:
            raise RecordError(
                f"{member} holds {array.shape} probabilities, {members[0]} holds {arrays[0].shape}: "
                "they are not of the same split; predict both again"
            )
    with replacing(output) as temporary:
        result = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float32, shape=arrays[0].shape)
        step = max(1, BLOCK_VALUES // result.shape[1])
        for start in range(0, len(result), step):
            rows = slice(start, start + step)
            total = np.zeros(arrays[0][rows].shape, dtype=np.float64)
            for array in arrays:
                total += array[rows]
            result[rows] = total / len(arrays)
        result.flush()
