"""The ten patches of §4.1: four corners and the centre, and their reflections."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from alexnet2012.data.batches import split_mean
from alexnet2012.data.cropping import crop_floats


@dataclass(frozen=True)
class Crop:
    """A square patch: its upper left corner in pixels, and whether it is reflected horizontally."""

    top: int
    left: int
    flipped: bool


CENTRE = 4  # place of the unreflected centre crop in ten_crops
CENTRE_FIRST = (4, 9, 0, 5, 1, 6, 2, 7, 3, 8)  # the centre, its reflection, then each corner with its own


def ten_crops(size_px: int, crop_px: int) -> tuple[Crop, ...]:
    """Corners, centre, then the same five reflected; at 256 and 224 the corners lie at 0 and 32, the centre at 16."""
    far, middle = size_px - crop_px, (size_px - crop_px) // 2
    corners = ((0, 0), (0, far), (far, 0), (far, far), (middle, middle))
    return tuple(Crop(top, left, flipped) for flipped in (False, True) for top, left in corners)


def centre_crop(size_px: int, crop_px: int) -> Crop:
    return ten_crops(size_px, crop_px)[CENTRE]


def place_mean(mean_image: np.ndarray, crop: Crop, crop_px: int, mean_crop: str) -> np.ndarray:
    """The mean image from which `crop` is to be taken: with mean_crop "central" its centre lies where the crop does,
    reflected as the crop will be, so that every crop loses the same (net 145 of the 2012 code)."""
    if mean_crop == "moving":
        return mean_image
    _, centre = split_mean(mean_image, crop_px, mean_crop)
    placed = np.zeros_like(mean_image)
    placed[crop.top : crop.top + crop_px, crop.left : crop.left + crop_px] = centre[:, ::-1] if crop.flipped else centre
    return placed


def cut(images: np.ndarray, mean_image: np.ndarray, crop: Crop, crop_px: int) -> Tensor:
    """One crop of each image minus the mean image cropped at the same place.

    `images`: uint8 (n, size, size, 3); returns float32 (n, 3, crop_px, crop_px), channels last in memory.
    """
    count = len(images)
    place = (np.full(count, crop.top), np.full(count, crop.left), np.full(count, crop.flipped))
    colour = np.zeros((count, 3), np.float32)
    crops = crop_floats(images, mean_image, np.arange(count), *place, colour, crop_px)
    return torch.from_numpy(crops).permute(0, 3, 1, 2)


def cut_on_device(images: Tensor, mean_image: Tensor, crop: Crop, crop_px: int) -> Tensor:
    """The same from tensors on a GPU: uint8 (n, size, size, 3) and float32 (size, size, 3)."""
    down, across = slice(crop.top, crop.top + crop_px), slice(crop.left, crop.left + crop_px)
    pixels = images[:, down, across] - mean_image[down, across]
    return (pixels.flip(2) if crop.flipped else pixels).permute(0, 3, 1, 2)
