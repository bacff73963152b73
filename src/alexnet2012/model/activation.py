"""The non-linearity of a net's neurons (§3.1)."""

import torch
from torch import Tensor
from torch.nn import functional

from alexnet2012.net_config import Activation


def activate(values: Tensor, activation: Activation) -> Tensor:
    """max(0, x), or tanh(x), in place where the gradient allows it."""
    return functional.relu(values, inplace=True) if activation == "relu" else torch.tanh(values)
