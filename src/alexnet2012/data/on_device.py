"""What cropping.crop_floats does on a CPU, as tensor operations for crops that were copied to a GPU as bytes."""

import torch
from torch import Tensor


def centre(crops: Tensor, mean_image: Tensor, top: Tensor, left: Tensor, flipped: Tensor, colour: Tensor) -> Tensor:
    """Float32 (n, 3, crop_px, crop_px), channels last in memory: `crops` minus the mean image cropped at the same
    place, reflected where `flipped`, plus `colour`.

    All on one device: `crops` uint8 (n, crop_px, crop_px, 3), `mean_image` float32 (size, size, 3), `top` and `left`
    int64 (n,) in pixels, `flipped` bool (n,), `colour` float32 (n, 3).
    """
    pixels = torch.arange(crops.shape[1], device=crops.device)
    mean = mean_image[(top[:, None] + pixels)[:, :, None], (left[:, None] + pixels)[:, None, :]]
    values = crops - mean + colour[:, None, None, :]
    return torch.where(flipped[:, None, None, None], values.flip(2), values).permute(0, 3, 1, 2)
