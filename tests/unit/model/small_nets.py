"""Nets: the paper's two, the scaled one of CIFAR-10's size, the project's variants, tiny ones; and images for them."""

from pathlib import Path

import torch
from torch import Tensor

from alexnet2012.config.nets import ConvConfig, LayeredNetConfig, NetConfig, PoolConfig
from alexnet2012.config.plan import describe_target
from alexnet2012.model.layered import initialise, make_net

VARIANTS = Path(__file__).parents[3] / "config" / "variants.yaml"
PAPER = NetConfig()
ONE_GPU = NetConfig(towers=1, halved=["conv1", "conv2", "conv3", "conv4"])


def variant(name: str, config: Path | None = None) -> NetConfig | LayeredNetConfig:
    """The net of a variant over the paper's base, or over that of a configuration file."""
    return describe_target(name, VARIANTS, config)


def scaled_net(rounding: str = "up") -> NetConfig:
    """The topology at 28 pixels: 24-64-96-96-64 kernels, 512 neurons."""
    return NetConfig(
        crop_px=28,
        conv1=ConvConfig(kernels=24, kernel_px=5),
        conv2=ConvConfig(kernels=64, kernel_px=5, pad=2),
        conv3=ConvConfig(kernels=96, kernel_px=3, pad=1),
        conv4=ConvConfig(kernels=96, kernel_px=3, pad=1),
        conv5=ConvConfig(kernels=64, kernel_px=3, pad=1),
        pool=PoolConfig(rounding=rounding),
        fc_neurons=512,
    )


def tiny_net(**changes) -> NetConfig:
    """56 pixels, conv1 of 7x7 stride 4: (56 - 7) / 4 = 12.25 -> 14 outputs, hanging over by 3; 14 -> 7 -> 3 -> 1."""
    sizes = {
        "crop_px": 56,
        "conv1": ConvConfig(kernels=8, kernel_px=7, stride=4),
        "conv2": ConvConfig(kernels=12, kernel_px=3, pad=1),
        "conv3": ConvConfig(kernels=8, kernel_px=3, pad=1),
        "conv4": ConvConfig(kernels=8, kernel_px=3, pad=1),
        "conv5": ConvConfig(kernels=4, kernel_px=3, pad=1),
        "fc_neurons": 6,
    }
    return NetConfig(**sizes | changes)


def build(net: NetConfig | LayeredNetConfig, classes: int = 3, seed: int = 0):
    """The initialised net."""
    model = make_net(net, classes)
    initialise(model, torch.Generator().manual_seed(seed))
    return model


def draw_images(count: int, size: int, seed: int = 1, dtype=torch.float32) -> Tensor:
    """Mean-free pixels as large as the paper's, so that response normalisation matters."""
    return (torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 255 - 127).to(dtype)
