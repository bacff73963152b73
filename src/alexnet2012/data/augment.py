"""The random choices of a training (order, crops, reflections, colour noise, dropout masks), and its batches.

All are pure functions of the seed: each is drawn from its own random stream, named by (seed, purpose, epoch or step).
So image k of epoch e looks the same for every batch size, number of workers and step at which training resumed.
"""

import zlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from alexnet2012.compiled import compiled, run_split
from alexnet2012.config.schema import AugmentationConfig
from alexnet2012.data.packed import JpegImages, PackedDataset


@dataclass(frozen=True)
class Views:
    """The crop, reflection and colour noise of each image of a split in one epoch; row k belongs to image k.

    `top`, `left`: int64 (n,), the crop's upper left corner in pixels; `flipped`: bool (n,), reflected horizontally;
    `colour`: float32 (n, 3), added to every pixel's RGB; `divisor`: divides all values after that.
    """

    top: np.ndarray
    left: np.ndarray
    flipped: np.ndarray
    colour: np.ndarray
    divisor: float = 1.0


def stream(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """An independent random generator for one purpose, e.g. stream(seed, "order", epoch)."""
    entropy = (seed, zlib.crc32(purpose.encode()), *counters)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))


def torch_generator(seed: int, purpose: str) -> torch.Generator:
    """An independent torch generator (on the CPU) for one purpose, e.g. the initial weights."""
    return torch.Generator().manual_seed(int(stream(seed, purpose).integers(2**63)))


def draw_order(seed: int, epoch: int, images: int) -> np.ndarray:
    """The order of one epoch: a permutation of range(images), int64."""
    return stream(seed, "order", epoch).permutation(images)


def draw_views(
    seed: int,
    epoch: int,
    dataset: PackedDataset,
    images: int,
    crop_px: int,
    how: AugmentationConfig,
    order: np.ndarray | None = None,
) -> Views:
    """Positions, reflections and colour noise of one epoch for `images` images (§4.1).

    Positions are uniform over all (size - crop + 1)^2: 33 x 33 at the paper's sizes, as the 2012 code draws them;
    without `how.crops` all are the centre. The colour noise is [p1 p2 p3][a1 s1, a2 s2, a3 s3]^T with
    a ~ N(0, colour_std) and s the STANDARD DEVIATIONS along the principal components, as in the 2012 code, not the
    eigenvalues that the text names. Each group of `how.chunk` consecutive images in `order` (image numbers, int64; by
    default 0, 1, 2, ...) shares a position and a reflection.
    """
    random = stream(seed, "augmentation", epoch)
    positions = dataset.size_px - crop_px + 1
    top, left = random.integers(positions, size=(2, images))
    flipped = random.random(images) < 0.5
    if how.chunk > 1:
        order = np.arange(images) if order is None else order
        chunks = np.zeros(images, dtype=np.int64)
        chunks[order] = np.arange(len(order)) // how.chunk
        top, left, flipped = top[chunks], left[chunks], flipped[chunks]
    amounts = random.standard_normal((images, 3)) * how.colour_std
    if not how.crops:
        top, left = np.full((2, images), (dataset.size_px - crop_px) // 2)
    if not how.reflections:
        flipped = np.zeros(images, dtype=bool)
    colour = (amounts * dataset.colour_deviations) @ dataset.colour_vectors.T
    return Views(top, left, flipped, colour.astype(np.float32), how.colour_divisor)


def draw_dropout_masks(seed: int, step: int, images: int, neurons: int, probability: float) -> tuple[Tensor, Tensor]:
    """The 0/1 masks of fc6 and fc7 at one step (§4.2), float32 (images, neurons), 0 with `probability`."""

    def draw(layer: str) -> Tensor:
        kept = stream(seed, f"dropout-{layer}", step).random((images, neurons), dtype=np.float32) >= probability
        return torch.from_numpy(kept.astype(np.float32))

    return draw("fc6"), draw("fc7")


def make_batch(
    images: np.ndarray | JpegImages,
    mean_image: np.ndarray,
    rows: np.ndarray,
    views: Views,
    crop_px: int,
    mean_crop: str = "moving",
) -> Tensor:
    """The input of the net for the images `rows`: crops minus the mean image, plus colour noise (§2, §4.1).

    Float32 (len(rows), 3, crop_px, crop_px), channels last in memory. `images`: uint8 (n, size, size, 3);
    `mean_image`: float32 (size, size, 3); `mean_crop`: "moving" or "central", see split_mean.
    """
    shown = (views.top[rows], views.left[rows], views.flipped[rows], views.colour[rows])
    moving, central = split_mean(mean_image, crop_px, mean_crop)
    crops = crop_floats(images, moving, rows, *shown, crop_px)
    finish_crops(crops, central, views.divisor)
    return torch.from_numpy(crops).permute(0, 3, 1, 2)


def split_mean(mean_image: np.ndarray, crop_px: int, mean_crop: str) -> tuple[np.ndarray, np.ndarray | None]:
    """The mean image to subtract before the reflection, and the one to subtract after it, or None.

    The first, float32 (size, size, 3), is cropped at the image's position; the second, float32 (crop_px, crop_px, 3),
    is the same for every crop. mean_crop "moving" (the paper): the mean image, and None. "central" (net 145 of the 2012
    code): zeros, and the centre of the mean image.
    """
    if mean_crop == "moving":
        return mean_image, None
    first = (len(mean_image) - crop_px) // 2
    within = slice(first, first + crop_px)
    return np.zeros_like(mean_image), mean_image[within, within]


def finish_crops(crops: np.ndarray | Tensor, central: np.ndarray | Tensor | None, divisor: float) -> None:
    """Subtract the `central` crop of the mean image, if given, from `crops` (n, crop_px, crop_px, 3), and divide by
    `divisor`; in place."""
    if central is not None:
        crops -= central
    if divisor != 1:
        crops /= divisor


def crop_floats(
    images: np.ndarray | JpegImages,
    mean_image: np.ndarray,
    rows: np.ndarray,
    top: np.ndarray,
    left: np.ndarray,
    flipped: np.ndarray,
    colour: np.ndarray,
    crop_px: int,
) -> np.ndarray:
    """Crops of the images `rows` minus the mean image cropped at the same place, reflected, plus colour noise.

    Float32 (len(rows), crop_px, crop_px, 3). `images`: uint8 (n, size, size, 3); `mean_image`: float32 (size, size, 3).
    One entry per crop: `top`, `left` int64 in pixels, `flipped` bool, `colour` float32 (len(rows), 3).
    """
    crops = np.empty((len(rows), crop_px, crop_px, 3), dtype=np.float32)
    given, places = _readable(images, rows)
    run_split(_crop_floats, len(rows), given, places, mean_image, top, left, flipped, colour, crops)
    return crops


def crop_bytes(
    images: np.ndarray | JpegImages, rows: np.ndarray, top: np.ndarray, left: np.ndarray, crops: np.ndarray
) -> None:
    """Fill `crops`, uint8 (len(rows), crop_px, crop_px, 3), with crops of the images `rows` at `top` and `left`.

    `images`: uint8 (n, size, size, 3); `top`, `left`: int64 (len(rows),) in pixels.
    """
    given, places = _readable(images, rows)
    run_split(_crop_bytes, len(rows), given, places, top, left, crops)


def _readable(images: np.ndarray | JpegImages, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An array that contains the images `rows`, and their indices in it; JPEGs are decoded."""
    if isinstance(images, JpegImages):
        return images[rows], np.arange(len(rows))
    return images, rows


@compiled
def _crop_floats(
    first: int,
    last: int,
    images: np.ndarray,
    places: np.ndarray,
    mean_image: np.ndarray,
    top: np.ndarray,
    left: np.ndarray,
    flipped: np.ndarray,
    colour: np.ndarray,
    crops: np.ndarray,
) -> None:
    size_px, crop_px = images.shape[1], crops.shape[1]
    # A row of pixels is one line of crop_px * 3 values; the noise is repeated to this length so that it can be added.
    mean_lines = mean_image.reshape(size_px, size_px * 3)
    noise = np.empty(crop_px * 3, np.float32)
    line = np.empty(crop_px * 3, np.float32)
    for k in range(first, last):
        lines = images[places[k]].reshape(size_px, size_px * 3)
        across = slice(3 * left[k], 3 * (left[k] + crop_px))
        for x in range(crop_px):
            noise[3 * x : 3 * x + 3] = colour[k]
        for y in range(crop_px):
            pixels, mean = lines[top[k] + y, across], mean_lines[top[k] + y, across]
            into = crops[k, y].reshape(crop_px * 3)
            if not flipped[k]:
                for i in range(crop_px * 3):
                    into[i] = np.float32(pixels[i]) - mean[i] + noise[i]
                continue
            for i in range(crop_px * 3):
                line[i] = np.float32(pixels[i]) - mean[i] + noise[i]
            for x in range(crop_px):
                for channel in range(3):
                    into[3 * x + channel] = line[3 * (crop_px - 1 - x) + channel]


@compiled
def _crop_bytes(
    first: int,
    last: int,
    images: np.ndarray,
    places: np.ndarray,
    top: np.ndarray,
    left: np.ndarray,
    crops: np.ndarray,
) -> None:
    size_px, crop_px = images.shape[1], crops.shape[1]
    for k in range(first, last):
        lines = images[places[k]].reshape(size_px, size_px * 3)
        across = slice(3 * left[k], 3 * (left[k] + crop_px))
        for y in range(crop_px):
            pixels, into = lines[top[k] + y, across], crops[k, y].reshape(crop_px * 3)
            for i in range(crop_px * 3):
                into[i] = pixels[i]


def centre_on_device(
    crops: Tensor, mean_image: Tensor, top: Tensor, left: Tensor, flipped: Tensor, colour: Tensor
) -> Tensor:
    """The net's input from crops of `crop_bytes`, as in `make_batch`: minus the mean image, reflected, plus colour.

    Float32 (n, 3, crop_px, crop_px), channels last in memory. All on one device: `crops` uint8 (n, crop_px, crop_px,
    3), `mean_image` float32 (size, size, 3), `top` and `left` int64 (n,) in pixels, `flipped` bool (n,), `colour`
    float32 (n, 3).
    """
    pixels = torch.arange(crops.shape[1], device=crops.device)
    mean = mean_image[(top[:, None] + pixels)[:, :, None], (left[:, None] + pixels)[:, None, :]]
    values = crops - mean + colour[:, None, None, :]
    return torch.where(flipped[:, None, None, None], values.flip(2), values).permute(0, 3, 1, 2)
