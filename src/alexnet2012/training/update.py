"""The paper's update rule (§5), with the learning rate inside the velocity."""

from collections.abc import Iterable

import torch
from torch import nn


class PaperSGD(torch.optim.Optimizer):
    """v <- momentum * v - weight_decay * lr * w - lr * dL/dw;  w <- w + v.

    Weight decay is scaled by the learning rate and enters the velocity. torch.optim.SGD keeps the learning rate
    OUTSIDE its buffer, so the two differ from the first step after a change of the learning rate.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, momentum: float, weight_decay: float) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            lr, momentum, decay = group["lr"], group["momentum"], group["weight_decay"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if "velocity" not in state:
                    state["velocity"] = torch.zeros_like(weight)
                velocity = state["velocity"]
                velocity.mul_(momentum).add_(weight, alpha=-decay * lr).add_(weight.grad, alpha=-lr)
                weight.add_(velocity)

    def set_learning_rate(self, lr: float) -> None:
        for group in self.param_groups:
            group["lr"] = lr
