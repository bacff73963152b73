"""Training steps on one batch: ours as a training takes them, and the usual loop of torch's parts."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from contenders.plain_net import SIZES, PlainAlexNet
from contest import Call, Done
from torch import nn

from alexnet2012.config.schema import RunConfig
from alexnet2012.data.augment import draw_views
from alexnet2012.timing import make_random
from alexnet2012.training.loop import Training


def make_ours(run: dict, classes: int, steps: int = 1) -> Call:
    """`steps` times the update of a real training, masks drawn anew for each, on one batch of random images."""
    settings = RunConfig.model_validate(run)
    size = settings.training.batch_size
    dataset = make_random(settings.dataset.size_px, classes, size)
    training = Training(settings, dataset, {}, torch.device("cpu"), None)
    views = draw_views(0, 0, dataset, size, settings.net.crop_px, settings.training.augmentation)
    batch = training.loader.make_in_line(np.arange(size), views, 0)

    def step() -> None:
        masks = training.loader.draw_masks(training.state.step, size)
        training.update(replace(batch, masks=masks))
        training.state.step += 1
        training.collect()

    return repeat(step, steps, size)


def repeat(step: Callable[[], None], steps: int, images: int) -> Call:
    """A call of so many steps, each on so many images."""

    def call() -> Done:
        for _ in range(steps):
            step()
        return Done(steps * images)

    return call


def make_torch_parts(sizes: str, neurons: int, crop_px: int, batch: int, steps: int = 1) -> Call:
    """The same net of torch's own layers and its SGD; `sizes`: "full" or "scaled"."""
    net = PlainAlexNet(**SIZES[sizes] | {"neurons": neurons})
    return make_usual(net, SIZES[sizes]["classes"], crop_px, batch, steps)


def make_torchvision(crop_px: int, batch: int) -> Call:
    """torchvision's AlexNet, which has no response normalisation and fewer kernels."""
    from torchvision.models import alexnet

    return make_usual(alexnet(weights=None), 1000, crop_px, batch)


def make_usual(net: nn.Module, classes: int, crop_px: int, batch: int, steps: int = 1) -> Call:
    """torch.optim.SGD in the loop of every tutorial."""
    random = torch.Generator().manual_seed(0)
    images = 70 * torch.randn(batch, 3, crop_px, crop_px, generator=random)
    labels = torch.arange(batch) % classes
    # A learning rate that keeps these random images' loss finite; its value costs nothing.
    optimiser = torch.optim.SGD(net.parameters(), lr=1e-6, momentum=0.9, weight_decay=5e-4)
    criterion = nn.CrossEntropyLoss()
    net.train()

    def step() -> None:
        optimiser.zero_grad()
        loss = criterion(net(images), labels)
        loss.backward()
        optimiser.step()
        loss.item()

    return repeat(step, steps, batch)
