"""The ten patches of §4.1: four corners and the centre, and their reflections."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Crop:
    """A square patch: its upper left corner in pixels, and whether it is reflected horizontally."""

    top: int
    left: int
    flipped: bool


CENTRE = 4  # place of the unreflected centre crop in ten_crops


def ten_crops(size_px: int, crop_px: int) -> tuple[Crop, ...]:
    """Corners, centre, then the same five reflected; at 256 and 224 the corners lie at 0 and 32, the centre at 16."""
    far, middle = size_px - crop_px, (size_px - crop_px) // 2
    corners = ((0, 0), (0, far), (far, 0), (far, far), (middle, middle))
    return tuple(Crop(top, left, flipped) for flipped in (False, True) for top, left in corners)


def centre_crop(size_px: int, crop_px: int) -> Crop:
    return ten_crops(size_px, crop_px)[CENTRE]


def cut(images: np.ndarray, mean_image: np.ndarray, crop: Crop, crop_px: int) -> Tensor:
    """One crop of each image minus the mean image cropped at the same place.

    `images`: uint8 (n, size, size, 3); returns float32 (n, 3, crop_px, crop_px).
    """
    down, across = slice(crop.top, crop.top + crop_px), slice(crop.left, crop.left + crop_px)
    pixels = images[:, down, across] - mean_image[down, across]
    if crop.flipped:
        pixels = pixels[:, :, ::-1]
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
