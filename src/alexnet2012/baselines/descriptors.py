"""Local descriptors of an image on grids of square patches: SIFT, colour, HOG, local binary patterns, pixels."""

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np

from alexnet2012.config.nets import DescriptorConfig

CELLS = 4  # per side of a SIFT or colour patch
ORIENTATIONS, HOG_CELLS = 9, 2
PATTERNS, LBP_CELLS = 59, 2  # 58 uniform patterns of eight neighbours, and one for all others
CONTRAST = 10.0  # added to a patch's variance, so that noise in flat patches is not amplified


def describe_patches(image: np.ndarray, config: DescriptorConfig) -> np.ndarray:
    """The descriptors of an image uint8 (s, s, 3), float32 (n, dimensions), in the order of patches of `place`."""
    if config.enlarged > 1:
        image = cv2.resize(image, None, fx=config.enlarged, fy=config.enlarged, interpolation=cv2.INTER_LINEAR)
    kinds: dict[str, Callable[[np.ndarray, Corners], np.ndarray]] = {
        "sift": sift,
        "colour": colour,
        "hog": hog,
        "lbp": lbp,
        "pixels": pixels,
    }
    return kinds[config.kind](image, corners(len(image), config))


def place(size_px: int, config: DescriptorConfig) -> np.ndarray:
    """The centres of all patches, float64 (n, 2): x and y as fractions of the image's side."""
    side = size_px * config.enlarged
    return np.array([(left + px / 2, top + px / 2) for top, left, px in corners(side, config)]) / side


def cells(centres: np.ndarray, pyramid: list[int]) -> np.ndarray:
    """Bool (cells, n): whether each patch lies in each cell of the pyramid's levels, row by row."""
    found = []
    for level in pyramid:
        column, row = np.minimum((centres * level).astype(int), level - 1).T
        found += [(row == y) & (column == x) for y in range(level) for x in range(level)]
    return np.array(found)


def corners(size_px: int, config: DescriptorConfig) -> tuple[tuple[int, int, int], ...]:
    """(top, left, side) of each patch in pixels, ordered by grid, then row by row."""
    return _corners(size_px, tuple((grid.side_px, grid.step_px) for grid in config.grids))


@cache
def _corners(size_px: int, grids: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int, int], ...]:
    return tuple(
        (top, left, side)
        for side, step in grids
        for top in range(0, size_px - side + 1, step)
        for left in range(0, size_px - side + 1, step)
    )


Corners = tuple[tuple[int, int, int], ...]


def sift(image: np.ndarray, patches: Corners) -> np.ndarray:
    """OpenCV's upright SIFT, float32 (n, 128): square roots after division by the sum. A patch is the area that its 4x4
    histograms cover."""
    # In OpenCV, a histogram is 1.5 times the keypoint's size wide, and a descriptor has four side by side.
    points = [
        cv2.KeyPoint(left + (side - 1) / 2, top + (side - 1) / 2, side / (1.5 * CELLS), 0.0)
        for top, left, side in patches
    ]
    kept, found = _sift().compute(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), points)
    if len(kept) != len(points):
        raise ValueError(f"OpenCV described {len(kept)} of {len(points)} patches")
    shares: np.ndarray = np.sqrt(found / np.maximum(found.sum(axis=1, keepdims=True), 1.0))
    return np.asarray(shares, np.float32)


@cache
def _sift() -> "cv2.SIFT":
    return cv2.SIFT_create()  # type: ignore[attr-defined, no-any-return]  # not among OpenCV's stubs


def colour(image: np.ndarray, patches: Corners) -> np.ndarray:
    """Mean and standard deviation of red, green and blue (0..1) in 4x4 cells, float32 (n, 96)."""
    sums, squares = cv2.integral2(image.astype(np.float64) / 255)
    areas = _areas(patches, CELLS)[..., None]
    mean, square = (_cell_sums(each, patches, CELLS) / areas for each in (sums, squares))
    found = np.concatenate([mean, np.sqrt(np.maximum(square - mean**2, 0))], axis=3)
    return found.reshape(len(patches), -1).astype(np.float32)


def hog(image: np.ndarray, patches: Corners) -> np.ndarray:
    """Histograms of unsigned gradient orientations (of the channel with the strongest gradient) in 2x2 cells, float32
    (n, 36): length 1, clipped at 0.2, and length 1 again."""
    values = image.astype(np.float32)
    across, down = (np.gradient(values, axis=axis) for axis in (1, 0))
    strength = np.hypot(across, down)
    strongest = strength.argmax(axis=2)[..., None]
    size, x, y = (np.take_along_axis(each, strongest, 2)[..., 0] for each in (strength, across, down))
    bins = (np.mod(np.arctan2(y, x), np.pi) / np.pi * ORIENTATIONS).astype(int) % ORIENTATIONS
    found = _histograms(bins, size, ORIENTATIONS, patches, HOG_CELLS)
    found /= np.linalg.norm(found, axis=1, keepdims=True) + 1e-6
    np.minimum(found, 0.2, out=found)
    found /= np.linalg.norm(found, axis=1, keepdims=True) + 1e-6
    return found


def lbp(image: np.ndarray, patches: Corners) -> np.ndarray:
    """Histograms of uniform local binary patterns of the grey image in 2x2 cells, float32 (n, 236): square roots after
    division by the sum."""
    from skimage.feature import local_binary_pattern

    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    codes = local_binary_pattern(grey, 8, 1, "nri_uniform").astype(int)  # type: ignore[no-untyped-call]
    found: np.ndarray = _histograms(codes, np.ones(codes.shape, np.float32), PATTERNS, patches, LBP_CELLS)
    found /= found.sum(axis=1, keepdims=True)
    np.sqrt(found, out=found)
    return found


def pixels(image: np.ndarray, patches: Corners) -> np.ndarray:
    """RGB pixels minus the patch's mean, divided by its standard deviation, float32 (n, side * side * 3); all patches
    must have the same side."""
    tops, lefts, sides = np.array(patches).T
    within = np.arange(sides[0])
    values = image[(tops[:, None] + within)[:, :, None], (lefts[:, None] + within)[:, None, :]]
    values = np.asarray(values.reshape(len(patches), -1), np.float32)
    values -= values.mean(axis=1, keepdims=True)
    values /= np.sqrt(values.var(axis=1, keepdims=True) + CONTRAST)
    return values


def _histograms(codes: np.ndarray, weights: np.ndarray, number: int, patches: Corners, per_side: int) -> np.ndarray:
    """Weighted counts of each code in the cells of each patch, float32 (n, per_side^2 * number)."""
    planes = np.zeros((*codes.shape, number), np.float64)
    np.put_along_axis(planes, codes[..., None], weights[..., None], axis=2)
    sums = np.zeros((codes.shape[0] + 1, codes.shape[1] + 1, number), np.float64)
    sums[1:, 1:] = planes.cumsum(0).cumsum(1)
    found = np.maximum(_cell_sums(sums, patches, per_side), 0)  # rounding makes some differences of sums negative
    return np.asarray(found.reshape(len(patches), -1), np.float32)


def _cell_sums(sums: np.ndarray, patches: Corners, per_side: int) -> np.ndarray:
    """The sum over each cell of each patch, float64 (n, per_side, per_side, channels), from the integral image `sums`
    (s + 1, s + 1, channels)."""
    down, across = _edges(patches, per_side)
    corners_of_cells = sums[down[:, :, None], across[:, None, :]]
    return np.diff(np.diff(corners_of_cells, axis=1), axis=2)


def _areas(patches: Corners, per_side: int) -> np.ndarray:
    """The number of pixels of each cell, int64 (n, per_side, per_side)."""
    down, across = _edges(patches, per_side)
    return np.diff(down, axis=1)[:, :, None] * np.diff(across, axis=1)[:, None, :]


@cache
def _edges(patches: Corners, per_side: int) -> tuple[np.ndarray, np.ndarray]:
    """The borders of the cells of each patch, vertically and horizontally, each int64 (n, per_side + 1)."""
    tops, lefts, sides = np.array(patches).T
    within = np.arange(per_side + 1) * sides[:, None] // per_side
    return tops[:, None] + within, lefts[:, None] + within
