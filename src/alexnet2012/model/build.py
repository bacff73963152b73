"""A net of either kind from its configuration, and its initial weights."""

import torch

from alexnet2012.config.nets import LayeredNetConfig, NetConfig
from alexnet2012.model.alexnet import AlexNet, initialise_alexnet
from alexnet2012.model.layered import LayeredNet, initialise_layered


def make_net(net: NetConfig | LayeredNetConfig, classes: int) -> AlexNet | LayeredNet:
    """The net with `classes` outputs, not yet initialised; raises ConfigError for impossible sizes."""
    return LayeredNet(net, classes) if isinstance(net, LayeredNetConfig) else AlexNet(net, classes)


def initialise(net: AlexNet | LayeredNet, generator: torch.Generator) -> None:
    """Draw the initial weights in place and set the biases."""
    if isinstance(net, LayeredNet):
        initialise_layered(net, generator)
    else:
        initialise_alexnet(net, generator)
