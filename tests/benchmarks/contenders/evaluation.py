"""Ten crops of each image through the full net: ours, a script of torchvision's parts, and forward passes alone."""

from pathlib import Path

import numpy as np
import torch
from contenders.batches import SIZE_PX, subtract_mean, to_tensor
from contenders.plain_net import FULL, PlainAlexNet
from contest import Call, Done
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Subset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from alexnet2012.config.nets import NetConfig
from alexnet2012.data.packed import PackedDataset, open_packed
from alexnet2012.evaluation.crops import cut, predict_crops, ten_crops
from alexnet2012.model.alexnet import AlexNet
from alexnet2012.model.layered import initialise

CROP_PX = 224


def make_ours(folder: str, neurons: int, images: int, batch: int) -> Call:
    """The packed training split's first `images`, `batch` at a time, as `predict` does."""
    net, dataset = make_net(neurons), open_packed(Path(folder))
    pixels, crops = dataset.split("train").images, ten_crops(dataset.size_px, CROP_PX)

    def call() -> Done:
        parts = predict_crops(net, pixels, np.arange(images), dataset.mean_image, crops, CROP_PX, batch)
        for _, probabilities in parts:
            probabilities.double().mean(dim=0)
        return Done(images)

    return call


def make_forward(folder: str, neurons: int, images: int, batch: int) -> Call:
    """Our net on ten ready batches, for as many images."""
    net, dataset = make_net(neurons), open_packed(Path(folder))
    ready = [cut_crop(dataset, crop, batch) for crop in ten_crops(dataset.size_px, CROP_PX)]

    @torch.inference_mode()
    def call() -> Done:
        for _ in range(0, images, batch):
            for crops in ready:
                net(crops)
        return Done(images)

    return call


def make_net(neurons: int) -> AlexNet:
    net = AlexNet(NetConfig(fc_neurons=neurons), 1000)
    initialise(net, torch.Generator().manual_seed(0))
    return net.eval()


def cut_crop(dataset: PackedDataset, crop, batch: int) -> Tensor:
    return cut(dataset.split("train").images[:batch], dataset.mean_image, crop, CROP_PX)


def make_script(folder: str, neurons: int, images: int, views: int, workers: int) -> Call:
    """As torchvision's documentation does it: TenCrop, the crops of `views` // 10 images in one pass, the mean."""
    net = PlainAlexNet(**FULL | {"neurons": neurons}).eval()
    dataset = ImageFolder(
        folder, v2.Compose([v2.Resize(SIZE_PX), v2.CenterCrop(SIZE_PX), v2.TenCrop(CROP_PX), stack_crops])
    )
    loader = DataLoader(
        Subset(dataset, range(images)), max(1, views // 10), num_workers=workers, persistent_workers=workers > 0
    )

    @torch.inference_mode()
    def call() -> Done:
        for crops, _ in loader:
            outputs = torch.softmax(net(crops.flatten(0, 1)), dim=1)
            outputs.view(len(crops), 10, -1).mean(dim=1)
        return Done(images)

    return call


def stack_crops(crops: tuple[Image.Image, ...]) -> Tensor:
    return torch.stack([subtract_mean(to_tensor(crop)) for crop in crops])
