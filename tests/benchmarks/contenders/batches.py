"""An epoch of augmented batches: from the packed arrays, and by torchvision's ImageFolder from JPEGs."""

from itertools import count
from pathlib import Path

import numpy as np
import torch
from contest import Call, Done
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from alexnet2012.config.schema import AugmentationConfig
from alexnet2012.data.augment import draw_order, draw_views, make_batch
from alexnet2012.data.packed import open_packed

SIZE_PX = 256
RGB_MEAN = (123.7, 116.8, 103.9)
COLOUR_VECTORS = ((0.57, 0.72, 0.40), (0.58, 0.00, -0.81), (0.58, -0.69, 0.42))  # columns; close to ImageNet's
COLOUR_DEVIATIONS = (116.0, 26.0, 12.0)


class Epochs:
    """The batches' rows and views of one epoch after the other, as a training draws them."""

    def __init__(self, folder: str, crop_px: int, batch: int) -> None:
        self.dataset = open_packed(Path(folder))
        self.images = self.dataset.split("train").images
        self.crop_px, self.batch, self.epochs = crop_px, batch, count()

    def __iter__(self):
        """The next epoch: its views, and each batch's rows; the last partial batch is dropped."""
        epoch, images = next(self.epochs), len(self.images)
        order = draw_order(0, epoch, images)
        views = draw_views(0, epoch, self.dataset, images, self.crop_px, AugmentationConfig())
        for start in range(0, images - self.batch + 1, self.batch):
            yield order[start : start + self.batch], views


def make_ours(folder: str, crop_px: int, batch: int) -> Call:
    """Float batches, ready for the net."""
    epochs = Epochs(folder, crop_px, batch)

    def call() -> Done:
        made = [
            len(make_batch(epochs.images, epochs.dataset.mean_image, rows, views, crop_px)) for rows, views in epochs
        ]
        return Done(sum(made))

    return call


def make_bytes(folder: str, crop_px: int, batch: int) -> Call:
    """uint8 crops, for a GPU that does the rest."""
    from alexnet2012.data.augment import crop_bytes

    epochs = Epochs(folder, crop_px, batch)
    out = np.empty((batch, crop_px, crop_px, 3), dtype=np.uint8)

    def call() -> Done:
        images = 0
        for rows, views in epochs:
            crop_bytes(epochs.images, rows, views.top[rows], views.left[rows], out)
            images += len(rows)
        return Done(images)

    return call


def make_loader(folder: str, crop_px: int, batch: int, workers: int) -> Call:
    """The same augmentation as people write it, on class folders of JPEGs of any size."""
    loader = open_loader(folder, crop_px, batch, workers)
    return lambda: Done(sum(len(images) for images, _ in loader))


def open_loader(folder: str, crop_px: int, batch: int, workers: int) -> DataLoader:
    """Its first two transforms find nothing to do on squares of 256 pixels."""
    square = [v2.Resize(SIZE_PX), v2.CenterCrop(SIZE_PX)]
    augment = [v2.RandomCrop(crop_px), v2.RandomHorizontalFlip(), to_tensor, subtract_mean, add_colour]
    return DataLoader(
        ImageFolder(folder, v2.Compose([*square, *augment])),
        batch,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )


def to_tensor(image: Image.Image) -> Tensor:
    return v2.functional.pil_to_tensor(image).float()


def subtract_mean(image: Tensor) -> Tensor:
    return image - torch.tensor(RGB_MEAN).view(3, 1, 1)


def add_colour(image: Tensor) -> Tensor:
    """The usual class "Lighting" of public AlexNet and ResNet ports."""
    amounts = torch.randn(3) * 0.1 * torch.tensor(COLOUR_DEVIATIONS)
    return image + (torch.tensor(COLOUR_VECTORS) @ amounts).view(3, 1, 1)
