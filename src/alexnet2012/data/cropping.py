"""Crops of packed images in one pass: as centred float32 for a CPU, or as bytes that a GPU centres itself."""

import numpy as np

from alexnet2012.compiled import compiled, run_split
from alexnet2012.data.storage import JpegImages


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
    """Float32 (len(rows), crop_px, crop_px, 3): crops of the images `rows`, minus the mean image cropped at the same
    place, reflected where `flipped`, plus `colour`.

    `images`: uint8 (n, size, size, 3). `top`, `left` (pixels), `flipped` and `colour` float32 (3) are of each crop.
    """
    crops = np.empty((len(rows), crop_px, crop_px, 3), dtype=np.float32)
    given, places = _readable(images, rows)
    run_split(_crop_floats, len(rows), given, places, mean_image, top, left, flipped, colour, crops)
    return crops


def crop_bytes(
    images: np.ndarray | JpegImages, rows: np.ndarray, top: np.ndarray, left: np.ndarray, crops: np.ndarray
) -> None:
    """Fill `crops`, uint8 (len(rows), crop_px, crop_px, 3), with crops of the images `rows` at `top` and `left`."""
    given, places = _readable(images, rows)
    run_split(_crop_bytes, len(rows), given, places, top, left, crops)


def _readable(images: np.ndarray | JpegImages, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An array that holds the images `rows`, and where; JPEGs are decoded for it."""
    if isinstance(images, JpegImages):
        return images[rows], np.arange(len(rows))
    return images, rows


@compiled
def _crop_floats(first, last, images, places, mean_image, top, left, flipped, colour, crops):
    size_px, crop_px = images.shape[1], crops.shape[1]
    # A row of pixels is one run of colour values; the noise is laid out like it, so that it is added run to run.
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
def _crop_bytes(first, last, images, places, top, left, crops):
    size_px, crop_px = images.shape[1], crops.shape[1]
    for k in range(first, last):
        lines = images[places[k]].reshape(size_px, size_px * 3)
        across = slice(3 * left[k], 3 * (left[k] + crop_px))
        for y in range(crop_px):
            pixels, into = lines[top[k] + y, across], crops[k, y].reshape(crop_px * 3)
            for i in range(crop_px * 3):
                into[i] = pixels[i]
