"""The training split's mean image and colour components (§2, §4.1), from exact sums."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

BLOCK_IMAGES = 64
EXACT_FLOAT32_SIDE = 258  # 258 products of at most 255^2 sum to less than 2^24

# Of ILSVRC-2012's training images, as shipped with cuda-convnet2's example net: see docs/deviations.md.
AUTHORS_MEAN = (127.3, 119.7, 104.9)
AUTHORS_DEVIATIONS = (121.78, 37.09, 19.72)


@dataclass(frozen=True)
class Statistics:
    """Of the training split: see PackedDataset for shapes and units."""

    mean_image: np.ndarray
    colour_vectors: np.ndarray
    colour_deviations: np.ndarray


@dataclass(frozen=True)
class Sums:
    """Over `images` images: `total` uint64 (s, s, 3), sum of pixels; `moment` float64 (3, 3), sum of colour products.

    Every sum is of whole numbers below 2^53 (ILSVRC: 8.4e10 pixels x 255^2 = 5.4e15 < 9.0e15), so float64 holds it
    exactly, and neither the order nor the number of processes changes a bit.
    """

    images: int
    total: np.ndarray
    moment: np.ndarray


def sum_images(images: np.ndarray) -> Sums:
    """The sums of images uint8 (n, s, s, 3), an image at a time."""
    side = images.shape[1]
    exact = np.float32 if side <= EXACT_FLOAT32_SIDE else np.float64
    total = np.zeros(images.shape[1:], np.uint64)
    moment = np.zeros((3, 3))
    for first in range(0, len(images), BLOCK_IMAGES):
        block = np.zeros(images.shape[1:], np.uint32)
        for image in images[first : first + BLOCK_IMAGES]:
            block += image
            planes = np.ascontiguousarray(image.transpose(2, 0, 1)).astype(exact)
            for i in range(3):
                for j in range(i, 3):
                    # Row by row: each row's sum is exact, and the rows are added in float64.
                    moment[i, j] += np.einsum("ab,ab->a", planes[i], planes[j]).sum(dtype=np.float64)
        total += block
    return Sums(len(images), total, moment + np.triu(moment, 1).T)


def add(parts: Iterable[Sums]) -> Sums:
    """The sums over all images of the parts."""
    images, total, moment = 0, np.zeros((), np.uint64), np.zeros((3, 3))
    for part in parts:
        images, total, moment = images + part.images, total + part.total, moment + part.moment
    return Sums(images, total, moment)


def derive_statistics(sums: Sums) -> Statistics:
    """The mean image and the principal colour components, the largest first."""
    pixels = sums.images * sums.total.shape[0] * sums.total.shape[1]
    mean_colour = sums.total.astype(np.float64).sum(axis=(0, 1)) / pixels
    eigenvalues, vectors = np.linalg.eigh(sums.moment / pixels - np.outer(mean_colour, mean_colour))
    vectors = vectors[:, ::-1]
    # An eigenvector's sign is free; fixed here so that every machine writes the same.
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(3)])
    deviations = np.sqrt(np.maximum(eigenvalues[::-1], 0.0))
    return Statistics((sums.total / sums.images).astype(np.float32), vectors, deviations)


def compare_with_authors(statistics: Statistics) -> str:
    """One line: measured mean colour and standard deviations beside the author's, and the largest relative gap."""
    mean = statistics.mean_image.mean(axis=(0, 1), dtype=np.float64)
    pairs = [*zip(mean, AUTHORS_MEAN, strict=True), *zip(statistics.colour_deviations, AUTHORS_DEVIATIONS, strict=True)]
    gap = max(abs(measured - stated) / stated for measured, stated in pairs)
    return (
        f"mean RGB {_list(mean)} (the author's, of ILSVRC-2012: {_list(AUTHORS_MEAN)}), colour standard deviations "
        f"{_list(statistics.colour_deviations)} ({_list(AUTHORS_DEVIATIONS)}); the largest gap is {gap:.1%}"
    )


def _list(values: Iterable[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)
