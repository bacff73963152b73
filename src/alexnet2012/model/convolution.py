"""Convolutions whose last windows may hang over the right and the bottom edge, and the activation (§3.1)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from alexnet2012.config.nets import Activation


class Convolution(nn.Conv2d):
    """nn.Conv2d on square maps with zeros for the `overhang_px` by which its last windows leave the padded input."""

    def __init__(
        self, channels: int, kernels: int, kernel_px: int, stride: int, pad: int, groups: int, overhang_px: int
    ) -> None:
        super().__init__(channels, kernels, kernel_px, stride, pad, groups=groups)
        self.overhang_px = overhang_px

    def forward(self, maps: Tensor) -> Tensor:
        if self.overhang_px:
            maps = functional.pad(maps, (0, self.overhang_px, 0, self.overhang_px))
        return super().forward(maps)


def activate(values: Tensor, activation: Activation) -> Tensor:
    """max(0, x), or tanh(x), in place where the gradient allows it."""
    return functional.relu(values, inplace=True) if activation == "relu" else torch.tanh(values)
