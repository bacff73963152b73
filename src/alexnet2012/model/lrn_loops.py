"""The compiled loops of response normalisation: each value is read once and written once.

A block of rows is one line of memory, and a window sum is a sum of neighbours in it, of which a mask of ones and zeros
drops those that belong to another row. So every loop runs along the whole line and fills vector registers, however few
channels a row has.
"""

from collections.abc import Callable
from functools import cache

import numpy as np

from alexnet2012.compiled import compiled, inlined, run_split

BLOCK_VALUES = 512  # with its masks and buffers a block stays in the innermost cache


def forward(rows: np.ndarray, output: np.ndarray, n: int, k: float, alpha: float, beta: float, rectify: bool) -> None:
    """Write the normalised `rows` (pixels x towers, channels of a tower), contiguous, float32 or float64."""
    normalise, _ = _loops(n, beta, rectify)
    constant, masks = rows.dtype.type, _masks(rows.shape[1], n)
    block = masks.shape[1]
    run_split(normalise, rows.size, rows.ravel(), output.ravel(), masks, constant(k), constant(alpha), multiple=block)


def backward(
    rows: np.ndarray,
    gradient: np.ndarray,
    result: np.ndarray,
    n: int,
    k: float,
    alpha: float,
    beta: float,
    rectify: bool,
) -> None:
    """Write dL/d`rows`, given dL/d(normalised rows); all contiguous and of one shape and type."""
    _, differentiate = _loops(n, beta, rectify)
    constant, masks = rows.dtype.type, _masks(rows.shape[1], n)
    lines = (rows.ravel(), gradient.ravel(), result.ravel())
    constants = (constant(k), constant(alpha), constant(2 * alpha * beta))
    run_split(differentiate, rows.size, *lines, masks, *constants, multiple=masks.shape[1])


@cache
def _masks(channels: int, n: int) -> np.ndarray:
    """Bool (n, values of a block): whether a value's neighbour, n // 2 to the left and so on, is of the same row."""
    places = np.tile(np.arange(channels), max(1, BLOCK_VALUES // channels))
    neighbours = places + np.arange(-(n // 2), n // 2 + 1)[:, None]
    return (neighbours >= 0) & (neighbours < channels)


@cache
def _loops(n: int, beta: float, rectify: bool) -> tuple[Callable, Callable]:
    """Both passes for constants that the compiler knows, so that it unrolls the window and drops the other branches.

    The window's loop stands where it is used: as a function of its own it is not unrolled, and eight times slower.
    """

    @compiled
    def normalise(first, last, values, output, masks, k, alpha):
        block, zero, one = masks.shape[1], values.dtype.type(0), values.dtype.type(1)
        squares = np.zeros(block + n - 1, values.dtype)
        for start in range(first, last, block):
            given, into = values[start : start + block], output[start : start + block]
            for place in range(len(given)):
                value = _active(given[place], zero, rectify)
                squares[n // 2 + place] = value * value
            for place in range(len(given)):
                total = zero
                for shift in range(n):
                    total += squares[place + shift] if shift == n // 2 or masks[shift, place] else zero
                inverse = one / (k + alpha * total)
                into[place] = _active(given[place], zero, rectify) * _power(inverse, beta)

    @compiled
    def differentiate(first, last, values, gradient, result, masks, k, alpha, twice_alpha_beta):
        block, zero, one = masks.shape[1], values.dtype.type(0), values.dtype.type(1)
        squares = np.zeros(block + n - 1, values.dtype)
        products = np.zeros(block + n - 1, values.dtype)
        for start in range(first, last, block):
            given, into = values[start : start + block], result[start : start + block]
            arriving = gradient[start : start + block]
            for place in range(len(given)):
                value = _active(given[place], zero, rectify)
                squares[n // 2 + place] = value * value
            for place in range(len(given)):
                total = zero
                for shift in range(n):
                    total += squares[place + shift] if shift == n // 2 or masks[shift, place] else zero
                inverse = one / (k + alpha * total)  # once: a division takes as long as the window's sum
                direct = arriving[place] * _power(inverse, beta)
                into[place] = direct
                products[n // 2 + place] = direct * _active(given[place], zero, rectify) * inverse
            for place in range(len(given)):
                total = zero
                for shift in range(n):
                    total += products[place + shift] if shift == n // 2 or masks[shift, place] else zero
                change = into[place] - twice_alpha_beta * given[place] * total
                into[place] = zero if rectify and given[place] <= zero else change

    return normalise, differentiate


@inlined
def _active(value, zero, rectify):
    """The value, or with `rectify` its ReLU; a NaN stays one."""
    if rectify and value <= zero:
        return zero
    return value


@inlined
def _power(value, beta):
    """value^beta; for the paper's 3/4 as two square roots, which is many times faster."""
    if beta == 0.75:
        root = np.sqrt(value)
        return root * np.sqrt(root)
    return value ** type(value)(beta)
