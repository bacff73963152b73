"""The ten crops of §4.1 (four corners, the centre and their reflections), and a net's predictions for them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from alexnet2012.data.augment import crop_floats, split_mean
from alexnet2012.data.packed import JpegImages, PackedDataset


@dataclass(frozen=True)
class Crop:
    """A square patch: its upper left corner in pixels, and whether it is reflected horizontally."""

    top: int
    left: int
    flipped: bool


CENTRE = 4  # index of the unreflected centre crop in ten_crops
CENTRE_FIRST = (4, 9, 0, 5, 1, 6, 2, 7, 3, 8)  # indices of the centre, its reflection, each corner and its reflection


def ten_crops(size_px: int, crop_px: int) -> tuple[Crop, ...]:
    """Four corners and the centre, then the same five reflected; at 256 and 224 px they begin at 0 or 32, and at 16."""
    far, middle = size_px - crop_px, (size_px - crop_px) // 2
    corners = ((0, 0), (0, far), (far, 0), (far, far), (middle, middle))
    return tuple(Crop(top, left, flipped) for flipped in (False, True) for top, left in corners)


def centre_crop(size_px: int, crop_px: int) -> Crop:
    """The unreflected central crop."""
    return ten_crops(size_px, crop_px)[CENTRE]


def place_mean(mean_image: np.ndarray, crop: Crop, crop_px: int, mean_crop: str) -> np.ndarray:
    """The mean image, float32 (size, size, 3), whose pixels at `crop` are to be subtracted from the crop.

    With mean_crop "central" (net 145 of the 2012 code), the centre of the mean image is placed at the crop's position,
    reflected if the crop is, so that the same pixels are subtracted from every crop.
    """
    if mean_crop == "moving":
        return mean_image
    placed, centre = split_mean(mean_image, crop_px, mean_crop)
    assert centre is not None
    placed[crop.top : crop.top + crop_px, crop.left : crop.left + crop_px] = centre[:, ::-1] if crop.flipped else centre
    return placed


def cut(images: np.ndarray, mean_image: np.ndarray, crop: Crop, crop_px: int) -> Tensor:
    """`crop` of each image minus the same crop of the mean image: float32 (n, 3, crop_px, crop_px), channels last.

    `images`: uint8 (n, size, size, 3).
    """
    count = len(images)
    place = (np.full(count, crop.top), np.full(count, crop.left), np.full(count, crop.flipped))
    colour = np.zeros((count, 3), np.float32)
    crops = crop_floats(images, mean_image, np.arange(count), *place, colour, crop_px)
    return torch.from_numpy(crops).permute(0, 3, 1, 2)


def cut_on_device(images: Tensor, mean_image: Tensor, crop: Crop, crop_px: int) -> Tensor:
    """`cut` for tensors on a GPU: `images` uint8 (n, size, size, 3), `mean_image` float32 (size, size, 3)."""
    down, across = slice(crop.top, crop.top + crop_px), slice(crop.left, crop.left + crop_px)
    pixels = images[:, down, across] - mean_image[down, across]
    return (pixels.flip(2) if crop.flipped else pixels).permute(0, 3, 1, 2)


def measure_centre(
    net: nn.Module, dataset: PackedDataset, split: str, rows: np.ndarray, crop_px: int, batch: int
) -> tuple[np.ndarray, float]:
    """Probabilities, float32 (rows, classes), and mean cross-entropy (nats) of the centre crop, in evaluation mode."""
    data = dataset.split(split)
    crops = (centre_crop(dataset.size_px, crop_px),)
    parts = [part[0] for _, part in predict_crops(net, data.images, rows, dataset.mean_image, crops, crop_px, batch)]
    probabilities = torch.cat(parts)
    own = probabilities[torch.arange(len(rows)), torch.from_numpy(data.labels[rows])]
    # A probability may underflow to 0; clamping to the smallest normal float32 keeps the loss finite.
    return probabilities.numpy(), float(-own.double().clamp_min(torch.finfo(torch.float32).tiny).log().mean())


def predict_crops(
    net: nn.Module,
    images: np.ndarray | JpegImages,
    rows: np.ndarray,
    mean_image: np.ndarray,
    crops: tuple[Crop, ...],
    crop_px: int,
    batch: int,
    mean_crop: str = "moving",
) -> Iterator[tuple[slice, Tensor]]:
    """Softmax outputs of `net` in evaluation mode for `crops` of the images `rows`, `batch` images at a time.

    Yields the slice of `rows` and its probabilities, float32 (crops, images, classes), on the CPU.
    """
    device = next(net.parameters()).device
    was_training = net.training
    means = [place_mean(mean_image, crop, crop_px, mean_crop) for crop in crops]
    views = make_cutter(means, crops, crop_px, device)
    net.eval()
    try:
        for start in range(0, len(rows), batch):
            part = images[rows[start : start + batch]]
            # Inside the loop, because the caller must not be in inference mode at a yield.
            with torch.inference_mode():
                outputs = [functional.softmax(net(view), dim=1) for view in views(part)]
                probabilities = torch.stack(outputs).float().cpu()
            yield slice(start, start + len(part)), probabilities
    finally:
        net.train(was_training)


def make_cutter(
    means: list[np.ndarray], crops: tuple[Crop, ...], crop_px: int, device: torch.device
) -> Callable[[np.ndarray], Iterator[Tensor]]:
    """A function that maps uint8 images (n, size, size, 3) to their `crops` minus the same crops of `means`.

    Crops are float32 (n, 3, crop_px, crop_px) on `device`. Images are sent to a GPU once, as bytes, and cut there.
    """
    if device.type == "cpu":
        return lambda images: (cut(images, mean, crop, crop_px) for crop, mean in zip(crops, means, strict=True))
    on_device = [torch.from_numpy(mean).to(device) for mean in means]

    def cut_all(images: np.ndarray) -> Iterator[Tensor]:
        pixels = torch.from_numpy(images).to(device)
        return (cut_on_device(pixels, mean, crop, crop_px) for crop, mean in zip(crops, on_device, strict=True))

    return cut_all
