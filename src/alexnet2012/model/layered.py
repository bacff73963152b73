"""Building and initialising nets of both kinds, and the kind that is configured as a list of layers.

The latter are the author's CIFAR-10 nets (§3.1, §3.3), with the layers of the 2012 code's layer files.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from alexnet2012.config.nets import (
    ActivationLayer,
    ConvLayer,
    FullLayer,
    LayeredNetConfig,
    LocalLayer,
    NetConfig,
    NormLayer,
    PoolLayer,
    WeightLayer,
)
from alexnet2012.model.alexnet import AlexNet, initialise_alexnet
from alexnet2012.model.convolution import Linear, activate
from alexnet2012.model.geometry import list_layers
from alexnet2012.model.lrn import local_response_norm


def make_net(net: NetConfig | LayeredNetConfig, classes: int) -> "AlexNet | LayeredNet":
    """The net with `classes` outputs, uninitialised; raises ConfigError for impossible sizes."""
    return LayeredNet(net, classes) if isinstance(net, LayeredNetConfig) else AlexNet(net, classes)


def initialise(net: "AlexNet | LayeredNet", generator: torch.Generator) -> None:
    """Draw the initial weights in place and set the biases."""
    if isinstance(net, LayeredNet):
        initialise_layered(net, generator)
    else:
        initialise_alexnet(net, generator)


class LayeredNet(nn.Module):
    """A net of the layers in `net`, in order, with `classes` outputs.

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
                layer = self.layers[each.name]
                self.add_module(each.name, Linear(layer.fan_in, layer.output[0]))
            elif isinstance(each, ConvLayer):
                layer = self.layers[each.name]
                channels, side = layer.fan_in // each.kernel_px**2, layer.output[1]
                if isinstance(each, LocalLayer):
                    module: nn.Module = LocallyConnected(channels, each.kernels, each.kernel_px, each.pad, side * side)
                else:
                    module = nn.Conv2d(channels, each.kernels, each.kernel_px, padding=each.pad)
                self.add_module(each.name, module)

    def forward(self, images: Tensor, dropout_masks: None = None) -> Tensor:
        """Logits (images, classes) of `images`; `dropout_masks` must be None, since these nets have no dropout."""
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
    """A convolution of stride 1 that does not share its weights and biases between the positions of its output.

    `weight`: (positions, channels * kernel_px^2, kernels); `bias`: (positions, 1, kernels); positions row by row.
    """

    def __init__(self, channels: int, kernels: int, kernel_px: int, padding: int, positions: int) -> None:
        super().__init__()
        self.kernel_px, self.padding = kernel_px, padding
        self.weight = nn.Parameter(torch.empty(positions, channels * kernel_px**2, kernels))
        self.bias = nn.Parameter(torch.empty(positions, 1, kernels))

    def forward(self, maps: Tensor) -> Tensor:
        """(images, channels, s, s) to (images, kernels, t, t)."""
        windows = functional.unfold(maps, self.kernel_px, padding=self.padding)  # (images, channels * px^2, positions)
        outputs = torch.baddbmm(self.bias, windows.permute(2, 0, 1), self.weight)  # (positions, images, kernels)
        side = round(len(self.weight) ** 0.5)
        return outputs.permute(1, 2, 0).view(len(maps), -1, side, side)


def pool(maps: Tensor, layer: PoolLayer) -> Tensor:
    """Maximum or average pooling of `maps` (images, channels, s, s); the output size is rounded up.

    Windows are clipped at the edge; an average counts only the cells inside the map.
    """
    kind = functional.max_pool2d if layer.of == "max" else functional.avg_pool2d
    return kind(maps, layer.size, layer.stride, ceil_mode=True)


def initialise_layered(model: LayeredNet, generator: torch.Generator) -> None:
    """Draw all weights in place from N(0, std) with their layer's `init_std`, and set the biases to 0."""
    with torch.no_grad():
        for layer in model.config.layers:
            if isinstance(layer, WeightLayer):
                module = getattr(model, layer.name)
                module.weight.normal_(0.0, layer.init_std, generator=generator)
                module.bias.zero_()
