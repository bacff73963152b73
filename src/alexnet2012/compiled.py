"""Loops over pixels that numba compiles for the CPU at hand, and their division over torch's threads.

Such a loop reads and writes its data once, where the same in tensor operations goes through memory at every operation.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch
from numba import njit
from numba.extending import register_jitable

# Fused multiply-adds, and no care for the sign of a zero; sums stay in the order in which they are written, and
# infinities and NaN what they are.
FAST_MATH = {"contract", "nsz"}


def compiled(loop: Callable) -> Callable:
    """`loop` as machine code, made at its first call and kept on disk; it runs outside the interpreter lock."""
    options = {"nogil": True, "fastmath": FAST_MATH, "error_model": "numpy"}
    try:
        return njit(cache=True, **options)(loop)
    except RuntimeError:  # neither the package's folder nor the user's can be written to
        return njit(**options)(loop)


inlined = register_jitable  # for a function that compiled loops of the same file call


def run_split(loop: Callable[..., None], rows: int, *arguments: object, multiple: int = 1) -> None:
    """loop(first, last, *arguments) over range(rows), in as many contiguous parts as torch has threads.

    Parts begin at multiples of `multiple`, so that a loop over blocks of so many rows meets the same blocks however
    many threads there are.
    """
    threads = torch.get_num_threads()
    blocks = -(-rows // multiple)
    bounds = [min(rows, blocks * part // threads * multiple) for part in range(threads + 1)]
    parts = [(first, last) for first, last in zip(bounds, bounds[1:], strict=False) if first < last]
    waiting = [_helpers(threads).submit(loop, *part, *arguments) for part in parts[1:]]
    try:
        if parts:
            loop(*parts[0], *arguments)
    finally:
        for each in waiting:
            each.result()


@cache
def _helpers(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, threads - 1), "compiled")
