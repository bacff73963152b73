"""Training steps on one batch: ours as a training takes them, and the usual loop of torch's parts."""

from collections.abc import Callable
from itertools import count

import numpy as np
import torch
from contenders.plain_net import SIZES, PlainAlexNet
from contest import Call, Done
from torch import Tensor, nn
from torch.nn import functional

from alexnet2012.config import RunConfig
from alexnet2012.data.batches import Views, draw_dropout_masks, make_batch
from alexnet2012.model.alexnet import AlexNet, initialise
from alexnet2012.training.update import PaperSGD


def make_ours(run: dict, classes: int, steps: int = 1) -> Call:
    """`steps` times masks, forward, loss, backward and the paper's rule, on a batch in the layout of data.batches."""
    settings = RunConfig.model_validate(run)
    training, size = settings.training, settings.training.batch_size
    net = AlexNet(settings.net, classes).train()
    initialise(net, torch.Generator().manual_seed(0))
    optimiser = PaperSGD(net.parameters(), training.learning_rate, training.momentum, training.weight_decay)
    images, labels = make_random_batch(settings), torch.arange(size) % classes
    counter = count()

    def step() -> None:
        masks = draw_dropout_masks(0, next(counter), size, settings.net.fc_neurons, settings.net.dropout)
        logits = net(images, masks)
        loss = functional.cross_entropy(logits, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        loss.item(), (logits.argmax(1) != labels).sum().item()

    return repeat(step, steps, size)


def repeat(step: Callable[[], None], steps: int, images: int) -> Call:
    """A call of so many steps, each on so many images."""

    def call() -> Done:
        for _ in range(steps):
            step()
        return Done(steps * images)

    return call


def make_random_batch(run: RunConfig) -> Tensor:
    """Random pixels through make_batch."""
    random, size = np.random.default_rng(0), run.training.batch_size
    size_px, crop_px = run.dataset.size_px, run.net.crop_px
    pixels = random.integers(0, 256, (size, size_px, size_px, 3), dtype=np.uint8)
    top, left = random.integers(size_px - crop_px + 1, size=(2, size))
    views = Views(top, left, random.random(size) < 0.5, np.zeros((size, 3), np.float32))
    mean_image = np.full((size_px, size_px, 3), 120, np.float32)
    return make_batch(pixels, mean_image, np.arange(size), views, crop_px)


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
