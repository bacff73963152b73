"""The paper's update rule (§5): gradient descent with the learning rate inside the velocity."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from alexnet2012.compiled import compiled, run_split
from alexnet2012.config.nets import REST, LayeredNetConfig, WeightLayer
from alexnet2012.config.schema import TrainingConfig


class PaperSGD:
    """The optimiser v <- momentum * v - weight_decay * lr * w - lr * dL/dw;  w <- w + v.

    Weights with a gradient are updated in place. torch.optim.SGD keeps the learning rate OUTSIDE its buffer, so the two
    differ from the first step after a change of the learning rate. `velocities`: each weight's v, from its first step.
    `rules`: for some weights, a multiple of the learning rate and their own weight decay; a multiple of 0 skips the
    update, as in the 2012 code. Not a torch.optim.Optimizer, because its first use takes two seconds to import torch's
    compiler.
    """

    def __init__(
        self,
        weights: Iterable[nn.Parameter],
        lr: float,
        momentum: float,
        weight_decay: float,
        rules: dict[nn.Parameter, tuple[float, float]] | None = None,
    ) -> None:
        self.weights = list(weights)
        self.rules = rules or {}
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay
        self.velocities: dict[nn.Parameter, Tensor] = {}

    @torch.no_grad()
    def step(self) -> None:
        """Update all weights that have a gradient."""
        weights = [weight for weight in self.weights if weight.grad is not None]
        for weight in weights:
            if weight not in self.velocities:
                self.velocities[weight] = torch.zeros_like(weight)
        for (rate, decay), group in self.group(weights).items():
            if rate == 0:
                continue
            velocities = [self.velocities[weight] for weight in group]
            move = move_on_cpu if group[0].device.type == "cpu" else move_on_device
            move(group, velocities, rate * self.lr, self.momentum, decay)

    def group(self, weights: list[nn.Parameter]) -> dict[tuple[float, float], list[nn.Parameter]]:
        """The weights, grouped by (multiple of the learning rate, weight decay)."""
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for weight in weights:
            groups.setdefault(self.rules.get(weight, (1.0, self.weight_decay)), []).append(weight)
        return groups

    def zero_grad(self) -> None:
        """Set gradients to None."""
        for weight in self.weights:
            weight.grad = None


Weights = Sequence[nn.Parameter]


def move_on_cpu(weights: Weights, velocities: Sequence[Tensor], lr: float, momentum: float, decay: float) -> None:
    """Update `weights` and `velocities` in place from the gradients, in one compiled loop.

    It moves five numbers per weight through memory; tensor operations would move eleven.
    """
    for weight, velocity in zip(weights, velocities, strict=True):
        if velocity.shape != weight.shape:  # the compiled loop does not check bounds
            raise ValueError(
                f"a velocity of {tuple(velocity.shape)} does not belong to weights of {tuple(weight.shape)}"
            )
        lines = [each.detach().view(-1).numpy() for each in (weight, velocity, gradient_of(weight).contiguous())]
        constants = map(lines[0].dtype.type, (lr, momentum, decay * lr))
        run_split(_move, weight.numel(), *lines, *constants)


@compiled
def _move(
    first: int,
    last: int,
    weight: np.ndarray,
    velocity: np.ndarray,
    gradient: np.ndarray,
    lr: float,
    momentum: float,
    scaled_decay: float,
) -> None:
    for i in range(first, last):
        velocity[i] = momentum * velocity[i] - scaled_decay * weight[i] - lr * gradient[i]
        weight[i] += velocity[i]


def move_on_device(weights: Weights, velocities: Sequence[Tensor], lr: float, momentum: float, decay: float) -> None:
    """Update `weights` and `velocities` as move_on_cpu does, with a few kernels for all weights together."""
    moved, moving = list[Tensor](weights), list(velocities)
    torch._foreach_mul_(moving, momentum)
    torch._foreach_add_(moving, moved, alpha=-decay * lr)
    torch._foreach_add_(moving, [gradient_of(weight) for weight in weights], alpha=-lr)
    torch._foreach_add_(moved, moving)


def gradient_of(weight: nn.Parameter) -> Tensor:
    """The gradient of a weight that is known to have one."""
    assert weight.grad is not None
    return weight.grad


def list_rules(
    net: nn.Module, training: TrainingConfig, multiples: dict[str, tuple[float, float]]
) -> dict[nn.Parameter, tuple[float, float]]:
    """For each parameter, (multiple of the learning rate, weight decay).

    `multiples`: see schedule.list_multiples. Layers of a layered net may have their own weight decay.
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
