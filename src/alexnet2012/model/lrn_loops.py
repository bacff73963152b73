"""Compiled loops for response normalisation on a CPU (formulas in model.lrn): each value is read and written once.

A row holds the channels of one pixel in one tower. The loops treat a block of rows as one line of memory and sum
neighbours in it; a mask excludes neighbours from other rows. So they fill vector registers even if rows are short.
"""

from functools import cache

import numpy as np

from alexnet2012.compiled import Loop, compiled, inlined, run_split

BLOCK_VALUES = 512  # a block with its masks and buffers fits into the first-level cache


def forward(rows: np.ndarray, output: np.ndarray, n: int, k: float, alpha: float, beta: float, rectify: bool) -> None:
    """Write the normalised `rows` into `output`: (pixels x towers, channels of a tower), float32 or float64.

    Both are contiguous. With `rectify`, max(rows, 0) is normalised.
    """
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
    """Write dL/d(rows) into `result`, given `gradient`, dL/d(normalised rows); contiguous, of equal shape and type."""
    _, differentiate = _loops(n, beta, rectify)
    constant, masks = rows.dtype.type, _masks(rows.shape[1], n)
    lines = (rows.ravel(), gradient.ravel(), result.ravel())
    constants = (constant(k), constant(alpha), constant(2 * alpha * beta))
    run_split(differentiate, rows.size, *lines, masks, *constants, multiple=masks.shape[1])


@cache
def _masks(channels: int, n: int) -> np.ndarray:
    """Bool (n, values of a block): whether a value's neighbour at offset -(n // 2) .. n // 2 is in the same row."""
    places = np.tile(np.arange(channels), max(1, BLOCK_VALUES // channels))
    neighbours = places + np.arange(-(n // 2), n // 2 + 1)[:, None]
    return (neighbours >= 0) & (neighbours < channels)


@cache
def _loops(n: int, beta: float, rectify: bool) -> tuple[Loop, Loop]:
    """The forward and the backward loop, compiled for these constants: windows are unrolled, unused branches dropped.

    The loop over the window is repeated in the code because, as a separate function, it would not be unrolled and eight
    times slower.
    """

    @compiled
    def normalise(
        first: int, last: int, values: np.ndarray, output: np.ndarray, masks: np.ndarray, k: float, alpha: float
    ) -> None:
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
    def differentiate(
        first: int,
        last: int,
        values: np.ndarray,
        gradient: np.ndarray,
        result: np.ndarray,
        masks: np.ndarray,
        k: float,
        alpha: float,
        twice_alpha_beta: float,
    ) -> None:
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
                inverse = one / (k + alpha * total)  # divide only once: a division takes as long as the window's sum
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
def _active(value: float, zero: float, rectify: bool) -> float:
    """`value`, or with `rectify` max(value, 0); NaN stays NaN."""
    if rectify and value <= zero:
        return zero
    return value


@inlined
def _power(value: float, beta: float) -> float:
    """value^beta; for the paper's 3/4, computed by two square roots, which is many times faster."""
    if beta == 0.75:
        root = np.sqrt(value)
        three_quarters: float = root * np.sqrt(root)
        return three_quarters
    power: float = value ** type(value)(beta)
    return power
