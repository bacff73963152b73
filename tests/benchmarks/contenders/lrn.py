"""Response normalisation, forward and backward, each in the memory layout that it is met in."""

from collections.abc import Callable

import torch
from contest import Call, Done
from torch import Tensor, nn

from alexnet2012.model.lrn import local_response_norm


def make_ours(shape: list[int], repeats: int) -> Call:
    """Ours on channels_last maps, with the paper's constants."""
    return make(ours, shape, torch.channels_last, repeats)


def make_torch(shape: list[int], repeats: int) -> Call:
    """torch's own, whose alpha is divided by the window, on maps in torch's default layout."""
    return make(torchs(), shape, torch.contiguous_format, repeats)


def ours(maps: Tensor) -> Tensor:
    return local_response_norm(maps, n=5, k=2.0, alpha=1e-4, beta=0.75, towers=1)


def torchs() -> nn.Module:
    return nn.LocalResponseNorm(size=5, alpha=5e-4, beta=0.75, k=2.0)


def make(normalise: Callable[[Tensor], Tensor], shape: list[int], layout: torch.memory_format, repeats: int) -> Call:
    random = torch.Generator().manual_seed(0)
    maps = torch.randn(shape, generator=random).to(memory_format=layout).requires_grad_()
    gradient = torch.randn(shape, generator=random).to(memory_format=layout)

    def call() -> Done:
        for _ in range(repeats):
            maps.grad = None
            normalise(maps).backward(gradient)
        return Done(repeats)

    return call
