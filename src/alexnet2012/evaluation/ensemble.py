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
    images, classes = arrays[0].shape
    if images == 0:
        raise RecordError(
            f"{members[0]} holds no probabilities: of so many images and classes none are kept, and there is nothing "
            "to average"
        )
    step = max(1, BLOCK_VALUES // classes)
    # Written, not mapped: each page of a new mapping costs a fault, in all more than the sums.
    with replacing(output) as temporary, temporary.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (images, classes)}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, images, step):
            rows = slice(start, start + step)
            total = arrays[0][rows].astype(np.float64)
            for array in arrays[1:]:
                total += array[rows].astype(np.float64)  # converted apart: an addition that converts is twice as slow
            file.write((total / len(arrays)).astype("<f4"))
