"""The forward pass in training: as it stands in recipe `paper`; in bfloat16 or compiled in recipe `fast`."""

import os
import shutil
from collections.abc import Callable

import torch
from torch import Tensor, nn

from alexnet2012.config.schema import TrainingConfig
from alexnet2012.errors import ConfigError

Forward = Callable[[Tensor, tuple[Tensor, Tensor] | None], Tensor]


def make_forward(net: nn.Module, training: TrainingConfig, device: torch.device) -> Forward:
    """A function from images and dropout masks to float32 logits, with the weights of `net`.

    Raises ConfigError when `training.compile` asks for a compiler and none is there.
    """
    forward: Forward = net
    if training.compile:
        compiler = os.environ.get("CXX", "g++")  # as torch.compile looks for it
        if not shutil.which(compiler):
            raise ConfigError(
                f"training.compile needs a C++ compiler, and {compiler} is not there; install it, name another one in "
                "CXX, or remove the setting"
            )
        forward = torch.compile(net, fullgraph=True)
    if training.precision == "fp32":
        return forward

    def forward_in_bfloat16(images: Tensor, masks: tuple[Tensor, Tensor] | None) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            return forward(images, masks).float()

    return forward_in_bfloat16
