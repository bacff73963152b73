"""A net of either kind from its configuration, its initial weights, and how each of its parameters is updated."""

import torch
from torch import nn

from alexnet2012.config import TrainingConfig
from alexnet2012.model.alexnet import AlexNet, initialise_alexnet
from alexnet2012.model.layered import LayeredNet, initialise_layered
from alexnet2012.net_config import LayeredNetConfig, NetConfig, WeightLayer


def make_net(net: NetConfig | LayeredNetConfig, classes: int) -> AlexNet | LayeredNet:
    """The net with `classes` outputs, not yet initialised; raises ConfigError for impossible sizes."""
    return LayeredNet(net, classes) if isinstance(net, LayeredNetConfig) else AlexNet(net, classes)


def initialise(net: AlexNet | LayeredNet, generator: torch.Generator) -> None:
    """Draw the initial weights in place and set the biases."""
    if isinstance(net, LayeredNet):
        initialise_layered(net, generator)
    else:
        initialise_alexnet(net, generator)


def list_rules(net: nn.Module, training: TrainingConfig) -> dict[nn.Parameter, tuple[float, float]]:
    """Of each parameter: its learning rate as a multiple of the training's, and its weight decay.

    A layer of a layered net may have a weight decay of its own.
    """
    layers = net.config.layers if isinstance(net.config, LayeredNetConfig) else []
    own = {layer.name: layer.weight_decay for layer in layers if isinstance(layer, WeightLayer)}
    rules = {}
    for name, parameter in net.named_parameters():
        decay = own.get(name.partition(".")[0])
        decay = training.weight_decay if decay is None else decay
        if name.endswith(".bias"):
            rules[parameter] = (training.bias_rate, decay if training.decay_biases else 0.0)
        else:
            rules[parameter] = (1.0, decay)
    return rules
