"""The training split's mean image and colour components (§2, §4.1), from exact sums."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

EXACT_FLOAT32_SIDE = 258  # 258 products of at most 255^2 sum to less than 2^24

# The author's values for ILSVRC-2012's training images, shipped with cuda-convnet2's example net: docs/deviations.md.
AUTHORS_MEAN = (127.3, 119.7, 104.9)
AUTHORS_DEVIATIONS = (121.78, 37.09, 19.72)


@dataclass(frozen=True)
class Statistics:
    """Pixel statistics of the training split; see PackedDataset for shapes and units."""

    mean_image: np.ndarray
    colour_vectors: np.ndarray
    colour_deviations: np.ndarray


@dataclass(frozen=True)
class Sums:
    """Sums over `images` images: `total` uint64 (s, s, 3), of pixels; `moment` float64 (3, 3), of colour products.

    All sums are whole numbers below 2^53 (ILSVRC: 8.4e10 pixels x 255^2 = 5.4e15 < 9.0e15), so float64 holds them
    exactly: neither the order nor the number of processes changes a bit.
    """

    images: int
    total: np.ndarray
    moment: np.ndarray


class RunningSums:
    """Sums of up to 16 million images (x 255 < 2^32), added one by one while each is in the processor's cache."""

    def __init__(self, size_px: int) -> None:
        self.images = 0
        self.total = np.zeros((size_px, size_px, 3), np.uint32)
        self.moment = np.zeros((3, 3))
        self.exact = np.float32 if size_px <= EXACT_FLOAT32_SIDE else np.float64

    def add(self, image: np.ndarray) -> None:
        """Add an image, uint8 (s, s, 3)."""
        self.images += 1
        self.total += image
        planes = np.ascontiguousarray(image.transpose(2, 0, 1)).astype(self.exact)
        for i in range(3):
            for j in range(i, 3):
                # Row by row: each row's sum is exact, and the rows are added in float64.
                self.moment[i, j] += np.einsum("ab,ab->a", planes[i], planes[j]).sum(dtype=np.float64)

    @property
    def sums(self) -> Sums:
        return Sums(self.images, self.total.astype(np.uint64), self.moment + np.triu(self.moment, 1).T)


def sum_images(images: Iterable[np.ndarray]) -> Sums:
    """The sums of one or more images, uint8 (s, s, 3)."""
    running = None
    for image in images:
        running = running or RunningSums(len(image))
        running.add(image)
    assert running is not None
    return running.sums


def add(parts: Iterable[Sums]) -> Sums:
    """The sums over all images of the parts."""
    images, total, moment = 0, np.zeros((), np.uint64), np.zeros((3, 3))
    for part in parts:
        images, total, moment = images + part.images, total + part.total, moment + part.moment
    return Sums(images, total, moment)


def derive_statistics(sums: Sums) -> Statistics:
    """The mean image and the principal colour components, largest first, from exact sums."""
    pixels = sums.images * sums.total.shape[0] * sums.total.shape[1]
    mean_colour = sums.total.astype(np.float64).sum(axis=(0, 1)) / pixels
    eigenvalues, vectors = np.linalg.eigh(sums.moment / pixels - np.outer(mean_colour, mean_colour))
    vectors = vectors[:, ::-1]
    # The sign of an eigenvector is arbitrary; fix it so that every machine writes the same.
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(3)])
    deviations = np.sqrt(np.maximum(eigenvalues[::-1], 0.0))
    return Statistics((sums.total / sums.images).astype(np.float32), vectors, deviations)


def compare_with_authors(statistics: Statistics) -> str:
    """One line with the measured mean colour and standard deviations, the author's, and the largest relative gap."""
    mean = statistics.mean_image.mean(axis=(0, 1), dtype=np.float64)
    pairs = [*zip(mean, AUTHORS_MEAN, strict=True), *zip(statistics.colour_deviations, AUTHORS_DEVIATIONS, strict=True)]
    gap = max(abs(measured - stated) / stated for measured, stated in pairs)
    return (
        f"mean RGB {_list(mean)} (the author's, of ILSVRC-2012: {_list(AUTHORS_MEAN)}), colour standard deviations "
        f"{_list(statistics.colour_deviations)} ({_list(AUTHORS_DEVIATIONS)}); the largest gap is {gap:.1%}"
    )


def _list(values: Iterable[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)
