"""The paper's net (§3): five convolutional and three fully connected layers on one or two towers."""

import math
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from alexnet2012.config.nets import CONV_NAMES, SIXTH, ConvConfig, NetConfig
from alexnet2012.model.convolution import Convolution, Linear, activate
from alexnet2012.model.geometry import NORMALISED, NORMALISED_TWICE, POOLED, Layer, list_layers, paper_fan_in
from alexnet2012.model.lrn import local_response_norm, normalise_within_maps


class AlexNet(nn.Module):
    """The paper's net, or a scaled or one-tower variant, with the sizes in `net` and `classes` outputs.

    Input: float32 (images, 3, crop_px, crop_px), RGB in 0..255 minus the mean image (§2). Output: logits
    (images, classes); loss and evaluation apply the softmax. Raises ConfigError for impossible sizes.
    """

    conv1: Convolution
    fc6: Linear
    fc7: Linear
    fc8: Linear

    def __init__(self, net: NetConfig, classes: int) -> None:
        super().__init__()
        self.config = net
        self.classes = classes
        self.layers = {layer.name: layer for layer in list_layers(net, classes)}
        for name, layer in self.layers.items():
            if layer.fan_in:
                self.add_module(name, make_layer(net, layer, outputs=layer.output[0], groups=layer.towers))

    def forward(self, images: Tensor, dropout_masks: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Logits (images, classes) of `images`.

        In training mode with dropout, `dropout_masks` are the two 0/1 masks (images, fc_neurons) of fc6 and fc7; the
        net draws no random numbers, so that a step can be repeated bit for bit. Raises ValueError if they are missing.
        """
        # Channels last in memory: pooling is ten times faster, and the channels of a pixel are adjacent.
        maps = images.contiguous(memory_format=torch.channels_last)
        for name in (*CONV_NAMES, SIXTH):
            if name in self.config.convolutions:  # §7
                maps = self._activate(name, getattr(self, name)(maps))
            if name in POOLED:
                pool = self.config.pool  # §3.4
                maps = functional.max_pool2d(maps, pool.size, pool.stride, ceil_mode=pool.rounding == "up")
        fc6_mask, fc7_mask = (None, None) if dropout_masks is None else dropout_masks
        neurons = self._drop(activate(self.fc6(maps.flatten(1)), self.config.activation), fc6_mask)
        neurons = self._drop(activate(self.fc7(neurons), self.config.activation), fc7_mask)
        # No ReLU here, although §3.5 says "every ... fully-connected layer": fc8 feeds the softmax.
        logits: Tensor = self.fc8(neurons)
        return logits

    def _activate(self, name: str, maps: Tensor) -> Tensor:
        """The activation (§3.1) and response normalisation (§3.3) that follow convolution `name`.

        As in the 2012 code, layers in `normalised_linear` are normalised before their activation, and with `map_norm`
        conv2 is normalised a second time, within each map.
        """
        net, lrn = self.config, self.config.lrn
        if name not in NORMALISED or lrn is None:
            maps = activate(maps, net.activation)
        else:
            normalise = partial(
                local_response_norm, n=lrn.n, k=lrn.k, alpha=lrn.alpha, beta=lrn.beta, towers=net.towers
            )
            if name in net.normalised_linear:
                maps = activate(normalise(maps), net.activation)
            elif net.activation == "relu":
                maps = normalise(maps, rectify=True)  # both in one pass over memory
            else:
                maps = normalise(activate(maps, net.activation))
        if name == NORMALISED_TWICE and net.map_norm is not None:
            maps = normalise_within_maps(maps, net.map_norm)
        return maps

    def _drop(self, neurons: Tensor, mask: Tensor | None) -> Tensor:
        """Dropout (§4.2): in training, multiply by the mask without rescaling; in evaluation, multiply by 1 - p."""
        probability = self.config.dropout
        if probability == 0:
            return neurons
        if not self.training:
            return neurons * (1 - probability)
        if mask is None:
            raise ValueError("in training mode the net needs its dropout masks, see data.augment.draw_dropout_masks")
        return neurons * mask


def make_layer(net: NetConfig, layer: Layer, outputs: int, groups: int) -> Convolution | Linear:
    """A layer with weights: `outputs` kernels or neurons with `layer.fan_in` inputs each.

    `groups`: each group of kernels is connected to one group of maps, as conv2, conv4 and conv5 are to those on their
    own GPU (fig. 2).
    """
    if layer.kind == "fc":
        return Linear(layer.fan_in, outputs)
    conv: ConvConfig = getattr(net, layer.name)
    channels = layer.fan_in // conv.kernel_px**2 * groups
    return Convolution(channels, outputs, conv.kernel_px, conv.stride, conv.pad, groups, layer.overhang_px)


def initialise_alexnet(model: AlexNet, generator: torch.Generator) -> None:
    """Draw all weights in place from N(0, std), std = 0.01 or that of their layer, and set the biases (§5).

    In a scaled net, std is multiplied by sqrt(the paper's fan-in / own fan-in), so that pre-activations keep the
    variance that they have in the paper's net with as many towers. At the paper's sizes the factor is exactly 1.
    """
    net, reference = model.config, paper_fan_in(model.config)
    own_std: dict[str, float] = dict(net.layer_init_std.items())
    with torch.no_grad():
        for name, layer in model.layers.items():
            if not layer.fan_in:
                continue
            module: Convolution | Linear = getattr(model, name)
            std = own_std.get(name, net.init_std) * math.sqrt(reference[name] / layer.fan_in)
            module.weight.normal_(0.0, std, generator=generator)
            module.bias.fill_(1.0 if name in net.bias_one else 0.0)


def count_parameters(model: nn.Module) -> int:
    """The number of weights and biases of a net."""
    return sum(parameter.numel() for parameter in model.parameters())
