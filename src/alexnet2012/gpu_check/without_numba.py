"""A stand-in for numba where it is not installed, so that the parts which need no compiled loop still run."""

import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from types import ModuleType

import numpy as np

Loop = Callable[..., None]


def stand_in() -> bool:
    """Whether numba is absent; then functions that it would compile are numpy's here, or remain Python's."""
    with suppress(ImportError):
        return not import_module("numba")
    numba, extending = ModuleType("numba"), ModuleType("numba.extending")
    numba.njit = lambda **_: replace_loop  # type: ignore[attr-defined]
    extending.register_jitable = lambda function: function  # type: ignore[attr-defined]
    sys.modules |= {"numba": numba, "numba.extending": extending}
    return True


def replace_loop(loop: Loop) -> Loop:
    """What does the same as `loop` of data.augment, by slices; other loops as they are, slow in Python."""
    slices: dict[str, Loop] = {"_crop_bytes": slice_bytes, "_crop_floats": slice_floats}
    return slices.get(loop.__name__, loop)


def slice_bytes(first: int, last: int, *arrays: np.ndarray) -> None:
    images, places, top, left, crops = arrays
    px = crops.shape[1]
    for k in range(first, last):
        crops[k] = images[places[k], top[k] : top[k] + px, left[k] : left[k] + px]


def slice_floats(first: int, last: int, *arrays: np.ndarray) -> None:
    images, places, mean_image, top, left, flipped, colour, crops = arrays
    px = crops.shape[1]
    for k in range(first, last):
        down, across = slice(top[k], top[k] + px), slice(left[k], left[k] + px)
        values = images[places[k], down, across].astype(np.float32) - mean_image[down, across] + colour[k]
        crops[k] = values[:, ::-1] if flipped[k] else values
