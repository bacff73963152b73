"""One update of all 61 million weights of the full net, gradients given."""

import torch
from contenders.plain_net import FULL, PlainAlexNet
from contest import Call, Done
from torch import nn

from alexnet2012.training.sgd import PaperSGD

RULE = {"lr": 0.01, "momentum": 0.9, "weight_decay": 5e-4}


def make_ours(neurons: int) -> Call:
    weights = make_weights(neurons)
    return make(PaperSGD(weights, **RULE))


def make_torch(neurons: int) -> Call:
    weights = make_weights(neurons)
    return make(torch.optim.SGD(weights, foreach=True, **RULE))


def make_weights(neurons: int) -> list[nn.Parameter]:
    """The full net's weights with gradients; `neurons` of a fully connected layer, 4,096 in the paper."""
    random = torch.Generator().manual_seed(0)
    weights = list(PlainAlexNet(**FULL | {"neurons": neurons}).parameters())
    for weight in weights:
        weight.grad = 1e-3 * torch.randn(weight.shape, generator=random)
    return weights


def make(optimiser: PaperSGD | torch.optim.Optimizer) -> Call:
    def call() -> Done:
        optimiser.step()
        return Done(1)

    return call
