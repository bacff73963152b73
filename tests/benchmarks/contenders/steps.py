"""Training steps on one batch: ours as a training takes them, and the usual loop of torch's parts."""

import tempfile
from pathlib import Path

import numpy as np
import torch
from contenders.plain_net import SIZES, PlainAlexNet
from contest import Call, Done
from torch import nn

from alexnet2012.config import RunConfig
from alexnet2012.data.batches import draw_views, make_batch
from alexnet2012.planning.bench import open_random_images
from alexnet2012.training.loop import Training


def make_ours(run: dict, classes: int) -> Call:
    """A step of training.loop on a batch that data.batches made: masks, forward, loss, backward, the paper's rule."""
    settings = RunConfig.model_validate(run)
    size, size_px, crop_px = settings.training.batch_size, settings.dataset.size_px, settings.net.crop_px
    with tempfile.TemporaryDirectory() as folder:
        pixels = np.random.default_rng(0).integers(0, 256, (size, size_px, size_px, 3), dtype=np.uint8)
        np.save(Path(folder, "images.npy"), pixels)
        dataset = open_random_images(Path(folder), settings.dataset, classes)
        training = Training(settings, dataset, {}, torch.device("cpu"), None)
    views = draw_views(0, 0, dataset, size, crop_px, settings.training.augmentation)
    images = make_batch(training.images, dataset.mean_image, np.arange(size), views, crop_px)
    labels = torch.from_numpy(training.labels)

    def call() -> Done:
        training.update(images, labels)
        training.state.step += 1
        training.collect()
        return Done(size)

    return call


def make_torch_parts(sizes: str, neurons: int, crop_px: int, batch: int) -> Call:
    """The same net of torch's own layers and its SGD; `sizes`: "full" or "scaled"."""
    net = PlainAlexNet(**SIZES[sizes] | {"neurons": neurons})
    return make_usual(net, SIZES[sizes]["classes"], crop_px, batch)


def make_torchvision(crop_px: int, batch: int) -> Call:
    """torchvision's AlexNet, which has no response normalisation and fewer kernels."""
    from torchvision.models import alexnet

    return make_usual(alexnet(weights=None), 1000, crop_px, batch)


def make_usual(net: nn.Module, classes: int, crop_px: int, batch: int) -> Call:
    """torch.optim.SGD in the loop of every tutorial."""
    random = torch.Generator().manual_seed(0)
    images = 70 * torch.randn(batch, 3, crop_px, crop_px, generator=random)
    labels = torch.arange(batch) % classes
    # A learning rate that keeps these random images' loss finite; its value costs nothing.
    optimiser = torch.optim.SGD(net.parameters(), lr=1e-6, momentum=0.9, weight_decay=5e-4)
    criterion = nn.CrossEntropyLoss()
    net.train()

    def call() -> Done:
        optimiser.zero_grad()
        loss = criterion(net(images), labels)
        loss.backward()
        optimiser.step()
        loss.item()
        return Done(batch)

    return call
