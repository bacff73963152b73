"""A net that is a list of layers: the author's CIFAR-10 nets (§3.1, §3.3), as the 2012 code's layer files have them."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from alexnet2012.config.nets import (
    ActivationLayer,
    ConvLayer,
    FullLayer,
    LayeredNetConfig,
    NormLayer,
    PoolLayer,
    WeightLayer,
)
from alexnet2012.model.convolution import activate
from alexnet2012.model.geometry import list_layers
from alexnet2012.model.linear import Linear
from alexnet2012.model.lrn import local_response_norm


class LayeredNet(nn.Module):
    """The layers of `net` in order, with `classes` outputs.

    Input: float32 (images, 3, crop_px, crop_px), RGB in 0..255 minus the mean image. Output: logits (images, classes).
    Raises ConfigError for impossible sizes.
    """

    def __init__(self, net: LayeredNetConfig, classes: int) -> None:
        super().__init__()
        self.config = net
        self.classes = classes
        self.layers = {layer.name: layer for layer in list_layers(net, classes)}
        for each in net.layers:
            if isinstance(each, FullLayer):
                self.add_module(each.name, Linear(self.layers[each.name].fan_in, self.layers[each.name].output[0]))
            elif isinstance(each, ConvLayer):
                kind = LocallyConnected if each.type == "local" else nn.Conv2d
                channels = self.layers[each.name].fan_in // each.kernel_px**2
                sizes = {"positions": self.layers[each.name].output[1] ** 2} if each.type == "local" else {}
                self.add_module(each.name, kind(channels, each.kernels, each.kernel_px, padding=each.pad, **sizes))

    def forward(self, images: Tensor, dropout_masks: None = None) -> Tensor:
        """Logits of `images`. There is no dropout; the argument is that of every net."""
        maps = images.contiguous(memory_format=torch.channels_last)
        for layer in self.config.layers:
            match layer:
                case FullLayer():
                    maps = getattr(self, layer.name)(maps.flatten(1))
                case ConvLayer():
                    maps = getattr(self, layer.name)(maps)
                case PoolLayer():
                    maps = pool(maps, layer)
                case ActivationLayer():
                    maps = activate(maps, self.config.activation)
                case NormLayer() if self.config.lrn is not None:
                    lrn = self.config.lrn
                    maps = local_response_norm(maps, lrn.n, lrn.k, lrn.alpha, lrn.beta)
        return maps


class LocallyConnected(nn.Module):
    """A convolution of stride 1 with weights (positions, channels * kernel_px^2, kernels) and biases
    (positions, 1, kernels) of its own at each of its output's `positions`, row by row."""

    def __init__(self, channels: int, kernels: int, kernel_px: int, padding: int, positions: int) -> None:
        super().__init__()
        self.kernel_px, self.padding = kernel_px, padding
        self.weight = nn.Parameter(torch.empty(positions, channels * kernel_px**2, kernels))
        self.bias = nn.Parameter(torch.empty(positions, 1, kernels))

    def forward(self, maps: Tensor) -> Tensor:
        """(n, channels, s, s) to (n, kernels, t, t)."""
        windows = functional.unfold(maps, self.kernel_px, padding=self.padding)  # (n, channels * px^2, positions)
        outputs = torch.baddbmm(self.bias, windows.permute(2, 0, 1), self.weight)  # (positions, n, kernels)
        side = round(len(self.weight) ** 0.5)
        return outputs.permute(1, 2, 0).unflatten(2, (side, side))


def pool(maps: Tensor, layer: PoolLayer) -> Tensor:
    """Output sizes are rounded up; an average is over the cells inside the map."""
    kind = functional.max_pool2d if layer.of == "max" else functional.avg_pool2d
    return kind(maps, layer.size, layer.stride, ceil_mode=True)


def initialise_layered(model: LayeredNet, generator: torch.Generator) -> None:
    """Draw all weights in place from N(0, init_std) of their layer; biases are 0."""
    with torch.no_grad():
        for layer in model.config.layers:
            if isinstance(layer, WeightLayer):
                module = getattr(model, layer.name)
                module.weight.normal_(0.0, layer.init_std, generator=generator)
                module.bias.zero_()
