"""The forward pass in training: float32, or bfloat16 and compiled for recipe `fast`."""

import os
import shutil
from collections.abc import Callable

import torch
from torch import Tensor, nn

from alexnet2012.config.schema import TrainingConfig
from alexnet2012.errors import ConfigError

Forward = Callable[[Tensor, tuple[Tensor, Tensor] | None], Tensor]


def make_forward(net: nn.Module, training: TrainingConfig, device: torch.device) -> Forward:
    """The forward pass of `net`: from images and dropout masks (see loader.Batch) to logits, float32 (n, classes).

    Raises ConfigError if `training.compile` is set and there is no C++ compiler.
    """
    forward: Forward = net
    if training.compile:
        compiler = os.environ.get("CXX", "g++")  # the same compiler that torch.compile uses
        if not shutil.which(compiler):
            raise ConfigError(
                f"training.compile needs a C++ compiler, but {compiler} was not found; install it, name another one in "
                "CXX, or remove the setting"
            )
        forward = torch.compile(net, fullgraph=True)
    if training.precision == "fp32":
        return forward

    def forward_in_bfloat16(images: Tensor, masks: tuple[Tensor, Tensor] | None) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            return forward(images, masks).float()

    return forward_in_bfloat16
