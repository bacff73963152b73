"""A net of either kind from its configuration, its initial weights, and how each of its parameters is updated."""

import torch
from torch import nn

from alexnet2012.config import TrainingConfig
from alexnet2012.model.alexnet import AlexNet, initialise_alexnet
from alexnet2012.model.layered import LayeredNet, initialise_layered
from alexnet2012.net_config import REST, LayeredNetConfig, NetConfig, WeightLayer


def make_net(net: NetConfig | LayeredNetConfig, classes: int) -> AlexNet | LayeredNet:
    """The net with `classes` outputs, not yet initialised; raises ConfigError for impossible sizes."""
    return LayeredNet(net, classes) if isinstance(net, LayeredNetConfig) else AlexNet(net, classes)


def initialise(net: AlexNet | LayeredNet, generator: torch.Generator) -> None:
    """Draw the initial weights in place and set the biases."""
    if isinstance(net, LayeredNet):
        initialise_layered(net, generator)
    else:
        initialise_alexnet(net, generator)


def list_rules(
    net: nn.Module, training: TrainingConfig, multiples: dict[str, tuple[float, float]]
) -> dict[nn.Parameter, tuple[float, float]]:
    """Of each parameter: its learning rate as a multiple of the training's, and its weight decay.

    `multiples` are those of the weights and the biases of a layer, or of the rest (see training.schedule). A layer of a
    layered net may have a weight decay of its own.
    """
    layers = net.config.layers if isinstance(net.config, LayeredNetConfig) else []
    own = {layer.name: layer.weight_decay for layer in layers if isinstance(layer, WeightLayer)}
    rules = {}
    for name, parameter in net.named_parameters():
        layer = name.partition(".")[0]
        decay = own.get(layer)
        decay = training.weight_decay if decay is None else decay
        of_weights, of_biases = multiples.get(layer, multiples[REST])
        if name.endswith(".bias"):
            rules[parameter] = (of_biases, decay if training.decay_biases else 0.0)
        else:
            rules[parameter] = (of_weights, decay)
    return rules
