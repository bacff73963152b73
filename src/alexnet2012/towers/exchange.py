"""Communication between the two processes of a net: features between layers, and decisions between steps."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import torch
import torch.distributed
from torch import Tensor
from torch.nn import functional

TOWERS = 2
# For a peer that hangs; longer than any checkpoint takes. A peer that dies is noticed earlier by training.ended_with.
TIMEOUT = timedelta(minutes=10)


class Peers:
    """The connection of this process (`rank` 0 or 1) and its peer, both launched by torchrun.

    Tensors on GPUs are sent by NCCL. Tensors on CPUs and decisions between steps are sent by gloo, so that these do not
    wait for a GPU. Both processes must make the same calls.
    """

    def __init__(self, device: torch.device) -> None:
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        torch.distributed.init_process_group(backend, timeout=TIMEOUT)
        self.rank = torch.distributed.get_rank()

    @property
    def leads(self) -> bool:
        """Whether this process saves checkpoints, logs, and writes the results."""
        return self.rank == 0

    def leave(self) -> None:
        """Close the connection to the peer."""
        torch.distributed.destroy_process_group()

    def gather(self, own: Tensor, sizes: Sequence[int], dim: int) -> Tensor:
        """The tensors of both processes, concatenated along `dim`; `sizes`: their lengths there, by rank."""
        missing = max(sizes) - own.shape[dim]  # all_gather needs equal shapes; halves of an odd number differ by one
        sent = functional.pad(own.movedim(dim, -1), (0, missing)).movedim(-1, dim) if missing else own
        parts = [torch.empty_like(sent, memory_format=torch.contiguous_format) for _ in sizes]
        torch.distributed.all_gather(parts, sent.contiguous())
        return torch.cat([part.narrow(dim, 0, size) for part, size in zip(parts, sizes, strict=True)], dim)

    def either(self, *flags: bool) -> list[bool]:
        """For each flag, whether it is set in this process or in its peer."""
        both = torch.tensor(flags, dtype=torch.int32)
        torch.distributed.all_reduce(both, torch.distributed.ReduceOp.MAX)
        return [bool(flag) for flag in both]

    def tell(self, value: Any) -> list[Any]:
        """Exchange `value` with the peer, waiting for it; returns the values of both processes by rank."""
        values = [None] * TOWERS
        torch.distributed.all_gather_object(values, value)
        return values


def halves(size: int) -> tuple[int, int]:
    """The numbers of kernels, neurons or classes of the two processes out of `size`; if odd, the first has one more."""
    return size - size // TOWERS, size // TOWERS


def share(features: Tensor, peers: Peers) -> Tensor:
    """The features of both towers (images, 2 x own, ...), tower 0 first, given this tower's (images, own, ...).

    In the backward pass, a feature's gradient is the sum of the gradients in both processes.
    """
    shared: Tensor = _Share.apply(features, peers)
    return shared


def gather_logits(own: Tensor, peers: Peers, sizes: tuple[int, int]) -> Tensor:
    """The logits of all classes (images, classes), given those of this process's classes (images, sizes[rank]).

    In the backward pass, a logit's gradient is the one in its own process, because both compute the same loss.
    """
    gathered: Tensor = _GatherLogits.apply(own, peers, sizes)
    return gathered


class _Share(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor, peers: Peers) -> Tensor:
        ctx.peers = peers
        return gather_features(own, peers)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        rank = ctx.peers.rank
        parts = gradient.chunk(TOWERS, 1)
        received = gather_features(parts[1 - rank], ctx.peers).chunk(TOWERS, 1)
        return parts[rank] + received[1 - rank], None


class _GatherLogits(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor, peers: Peers, sizes: tuple[int, int]) -> Tensor:
        ctx.rank, ctx.sizes = peers.rank, sizes
        return peers.gather(own, sizes, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return torch.split(gradient, list(ctx.sizes), 1)[ctx.rank], None, None


def gather_features(own: Tensor, peers: Peers) -> Tensor:
    """The features of both processes, which have equally many, without a gradient; maps are sent channels last."""
    sizes = [own.shape[1]] * TOWERS
    if own.ndim == 2:
        return peers.gather(own, sizes, 1)
    return peers.gather(own.permute(0, 2, 3, 1), sizes, 3).permute(0, 3, 1, 2)
