"""The net of §3: five convolutional and three fully connected layers on two towers, each choice citing its section."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from alexnet2012.config.nets import CONV_NAMES, SIXTH, NetConfig
from alexnet2012.model.convolution import Convolution, activate
from alexnet2012.model.geometry import NORMALISED, NORMALISED_TWICE, POOLED, list_layers, paper_fan_in
from alexnet2012.model.linear import Linear
from alexnet2012.model.lrn import local_response_norm, normalise_within_maps


class AlexNet(nn.Module):
    """The paper's net, or its scaled or one-tower form, with the sizes of `net` and `classes` outputs.

    Input: float32 (images, 3, crop_px, crop_px), RGB in 0..255 minus the mean image (§2). Output: logits
    (images, classes); the softmax belongs to the loss and to the evaluation. Raises ConfigError for impossible sizes.
    """

    def __init__(self, net: NetConfig, classes: int) -> None:
        super().__init__()
        self.config = net
        self.classes = classes
        self.layers = {layer.name: layer for layer in list_layers(net, classes)}
        for name, layer in self.layers.items():
            if layer.kind not in ("conv", "fc"):
                continue
            if layer.kind == "conv":
                # fig. 2: conv2, conv4 and conv5 see only their own GPU's maps; conv1 and conv3 see all.
                channels = layer.fan_in // layer.kernel**2 * layer.towers
                pad = getattr(net, name).pad
                module = Convolution(
                    channels, layer.output[0], layer.kernel, layer.stride, pad, layer.towers, layer.overhang_px
                )
            else:
                module = Linear(layer.fan_in, layer.output[0])
            self.add_module(name, module)

    def forward(self, images: Tensor, dropout_masks: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Logits of `images`.

        In training mode with dropout on, `dropout_masks` are the two 0/1 masks (images, fc_neurons) of fc6 and fc7: the
        net draws nothing itself, so that a step can be repeated bit for bit. Raises ValueError when they are missing.
        """
        # Channels last in memory: pooling is ten times faster so, and the channels of a pixel are neighbours.
        maps = images.contiguous(memory_format=torch.channels_last)
        for name in (*CONV_NAMES, SIXTH):
            if name in self.config.convolutions:  # §7
                maps = self._activate(name, getattr(self, name)(maps))
            if name in POOLED:
                pool = self.config.pool  # §3.4
                maps = functional.max_pool2d(maps, pool.size, pool.stride, ceil_mode=pool.rounding == "up")
        neurons = maps.flatten(1)
        for index, name in enumerate(("fc6", "fc7")):
            neurons = activate(getattr(self, name)(neurons), self.config.activation)
            neurons = self._drop(neurons, dropout_masks, index)
        return self.fc8(
            neurons
        )  # no ReLU here, although §3.5 says "every ... fully-connected layer": it feeds the softmax

    def _activate(self, name: str, maps: Tensor) -> Tensor:
        """The ReLU (§3.1) and, after conv1 and conv2, response normalisation within each tower as in the 2012 code.

        There conv1 is normalised before its ReLU, and conv2 a second time within each map.
        """
        net, lrn = self.config, self.config.lrn
        if name not in NORMALISED or lrn is None:
            maps = activate(maps, net.activation)
        else:
            linear = name in net.normalised_linear
            rectify = net.activation == "relu" and not linear
            if not (rectify or linear):
                maps = activate(maps, net.activation)
            maps = local_response_norm(maps, lrn.n, lrn.k, lrn.alpha, lrn.beta, towers=net.towers, rectify=rectify)
            if linear:
                maps = activate(maps, net.activation)
        if name == NORMALISED_TWICE and net.map_norm is not None:
            maps = normalise_within_maps(maps, net.map_norm)
        return maps

    def _drop(self, neurons: Tensor, masks: tuple[Tensor, Tensor] | None, index: int) -> Tensor:
        """§4.2: a mask without rescaling in training, all neurons times 1 - p at test."""
        probability = self.config.dropout
        if probability == 0:
            return neurons
        if not self.training:
            return neurons * (1 - probability)
        if masks is None:
            raise ValueError("in training mode the net needs its dropout masks, see data.batches.draw_dropout_masks")
        return neurons * masks[index]


def initialise_alexnet(model: AlexNet, generator: torch.Generator) -> None:
    """Draw all weights in place from N(0, 0.01), or the layer's own, and set the biases (§5).

    A scaled net keeps the pre-activation variance of the paper's net with as many towers:
    std = 0.01 * sqrt(its fan-in / own fan-in). At the paper's sizes the factor is exactly 1.
    """
    reference = paper_fan_in(model.config)
    with torch.no_grad():
        for name, layer in model.layers.items():
            if not layer.fan_in:
                continue
            module = getattr(model, name)
            std = model.config.layer_init_std.get(name, model.config.init_std)
            std *= math.sqrt(reference[name] / layer.fan_in)
            module.weight.normal_(0.0, std, generator=generator)
            module.bias.fill_(1.0 if name in model.config.bias_one else 0.0)


def count_parameters(model: nn.Module) -> int:
    """Weights and biases."""
    return sum(parameter.numel() for parameter in model.parameters())
