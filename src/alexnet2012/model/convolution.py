"""Convolutions, fully connected layers, and the activation between them (§3.1)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from alexnet2012.config.nets import Activation


class Convolution(nn.Conv2d):
    """nn.Conv2d over square maps whose last windows may extend `overhang_px` beyond the right and bottom edges.

    Pixels there are zeros, like those of the padding by `pad` pixels on all sides.
    """

    bias: nn.Parameter

    def __init__(
        self, channels: int, kernels: int, kernel_px: int, stride: int, pad: int, groups: int, overhang_px: int
    ) -> None:
        super().__init__(channels, kernels, kernel_px, stride, pad, groups=groups)
        self.overhang_px = overhang_px

    def forward(self, maps: Tensor) -> Tensor:
        """(images, channels, s, s) to (images, kernels, t, t)."""
        if self.overhang_px:
            maps = functional.pad(maps, (0, self.overhang_px, 0, self.overhang_px))
        return super().forward(maps)


class Linear(nn.Linear):
    """nn.Linear, computed by oneDNN instead of MKL for float32 on a CPU: twice as fast on an AMD EPYC.

    Results are equal up to rounding; the parameters have the same names and shapes.
    """

    def forward(self, neurons: Tensor) -> Tensor:
        """(images, inputs) to (images, outputs)."""
        if torch.compiler.is_compiling() or not suits_onednn(neurons):
            return super().forward(neurons)
        return functional.linear(neurons.to_mkldnn(), self.weight, self.bias).to_dense()


def suits_onednn(values: Tensor) -> bool:
    """Whether `values` are float32 on a CPU outside autocast, and torch was built with oneDNN."""
    single = values.device.type == "cpu" and values.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    return single and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


def activate(values: Tensor, activation: Activation) -> Tensor:
    """max(0, x), in place, or tanh(x)."""
    return functional.relu(values, inplace=True) if activation == "relu" else torch.tanh(values)
