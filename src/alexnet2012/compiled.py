"""Loops that numba compiles for this CPU, run in as many threads as torch uses.

Such a loop reads and writes its data once; a chain of tensor operations passes through memory once per operation.
"""

import hashlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from pathlib import Path

import torch
from numba import njit
from numba.extending import register_jitable

Loop = Callable[..., None]
# Multiplications and additions may be fused, and the sign of a zero may change. Sums keep their order; infinities and
# NaN keep their meaning.
FASTMATH = {"contract", "nsz"}


def compiled(loop: Loop) -> Loop:
    """`loop` as machine code, compiled at the first call and cached on disk; it runs without the interpreter lock."""
    # numba names the cache file after __qualname__ and does not lock it. With a digest of the code in the name, two
    # processes that compile different code never write the same file.
    loop.__qualname__ += f"-{_digest(loop)}"
    try:
        return _compile(loop, cached=True)
    except RuntimeError:  # no cache: neither the package's folder nor the user's is writable
        return _compile(loop, cached=False)


def _compile(loop: Loop, cached: bool) -> Loop:
    machine_code: Loop = njit(cache=cached, nogil=True, fastmath=FASTMATH, error_model="numpy")(loop)
    return machine_code


def _digest(loop: Loop) -> str:
    """Digest of what the machine code depends on: the file of `loop`, the constants in its closure, and this file."""
    constants = repr([cell.cell_contents for cell in loop.__closure__ or ()])
    files = [Path(path).read_text(encoding="utf-8") for path in (loop.__code__.co_filename, __file__)]
    return hashlib.sha256("\n".join([constants, *files]).encode()).hexdigest()[:16]


inlined = register_jitable  # decorator for functions that compiled loops of the same file call


def run_split(loop: Loop, rows: int, *arguments: object, multiple: int = 1) -> None:
    """Call loop(first, last, *arguments) on contiguous parts of range(rows), one part per torch thread.

    Parts begin at multiples of `multiple`, so that a loop over blocks of that size sees the same blocks with any number
    of threads. Returns when all parts have ended; an exception raised in one of them is raised again.
    """
    threads = torch.get_num_threads()
    blocks = -(-rows // multiple)
    bounds = [min(rows, blocks * part // threads * multiple) for part in range(threads + 1)]
    parts = [(first, last) for first, last in zip(bounds, bounds[1:], strict=False) if first < last]
    waiting: list[Future[None]] = []
    try:
        waiting += [_helpers(threads).submit(loop, *part, *arguments) for part in parts[1:]]
        if parts:
            loop(*parts[0], *arguments)
    finally:
        wait(waiting)  # even after an error: no part may write to the arrays after this function returns
    for each in waiting:
        each.result()


@cache
def _helpers(threads: int) -> ThreadPoolExecutor:
    """The threads besides the calling one, kept between calls."""
    return ThreadPoolExecutor(max(1, threads - 1), "compiled")
