"""Loops over pixels that numba compiles for the CPU at hand, and their division over torch's threads.

Such a loop reads and writes its data once, where the same in tensor operations goes through memory at every operation.
"""

import hashlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from pathlib import Path

import torch
from numba import njit
from numba.extending import register_jitable

# Fused multiply-adds, and no care for the sign of a zero; sums stay in the order in which they are written, and
# infinities and NaN what they are.
OPTIONS = {"nogil": True, "fastmath": {"contract", "nsz"}, "error_model": "numpy"}


def compiled(loop: Callable) -> Callable:
    """`loop` as machine code, made at its first call and kept on disk; it runs outside the interpreter lock."""
    # numba names the file after this, and does not lock it: one file for one code, or two processes could mix theirs.
    loop.__qualname__ += f"-{_digest(loop)}"
    try:
        return njit(cache=True, **OPTIONS)(loop)
    except RuntimeError:  # neither the package's folder nor the user's can be written to
        return njit(**OPTIONS)(loop)


def _digest(loop: Callable) -> str:
    """Of all that its machine code is made from: its file, the constants that it closes over, and this file."""
    constants = repr([cell.cell_contents for cell in loop.__closure__ or ()])
    files = [Path(path).read_text(encoding="utf-8") for path in (loop.__code__.co_filename, __file__)]
    return hashlib.sha256("\n".join([constants, *files]).encode()).hexdigest()[:16]


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
    waiting: list[Future] = []
    try:
        waiting += [_helpers(threads).submit(loop, *part, *arguments) for part in parts[1:]]
        if parts:
            loop(*parts[0], *arguments)
    finally:
        wait(waiting)  # none writes on when this returns, not even after an error
    for each in waiting:
        each.result()


@cache
def _helpers(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, threads - 1), "compiled")
