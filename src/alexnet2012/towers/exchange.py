"""What the two processes of a net tell each other: features between layers, and agreement between steps."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import torch
import torch.distributed
from torch import Tensor
from torch.nn import functional

TOWERS = 2
# A peer's death is noticed at once, see training.py; this is for one that hangs, and longer than any checkpoint takes.
PATIENCE = timedelta(minutes=10)


class Peers:
    """This process (`rank` 0 or 1) and its peer, launched by torchrun and joined here.

    Tensors on GPUs go by NCCL, those on CPUs by gloo, as does all that is agreed on between steps, so that no GPU is
    waited for. Every call must be met by the same call of the peer.
    """

    def __init__(self, device: torch.device) -> None:
        if device.type == "cuda":
            torch.distributed.init_process_group("cpu:gloo,cuda:nccl", timeout=PATIENCE)
        else:
            torch.distributed.init_process_group("gloo", timeout=PATIENCE)
        self.rank = torch.distributed.get_rank()

    @property
    def leads(self) -> bool:
        """Whether this process keeps the checkpoints, logs, and writes the results."""
        return self.rank == 0

    def leave(self) -> None:
        torch.distributed.destroy_process_group()

    def gather(self, own: Tensor, sizes: Sequence[int], dim: int) -> Tensor:
        """The tensors of both processes side by side along `dim`, along which they hold `sizes`."""
        missing = max(sizes) - own.shape[dim]  # one number of classes in two is odd, and all_gather wants equal shapes
        sent = functional.pad(own.movedim(dim, -1), (0, missing)).movedim(-1, dim) if missing else own
        parts = [torch.empty_like(sent, memory_format=torch.contiguous_format) for _ in sizes]
        torch.distributed.all_gather(parts, sent.contiguous())
        return torch.cat([part.narrow(dim, 0, size) for part, size in zip(parts, sizes, strict=True)], dim)

    def either(self, *flags: bool) -> list[bool]:
        """Of each flag, whether it is set in this process or in its peer."""
        both = torch.tensor(flags, dtype=torch.int32)
        torch.distributed.all_reduce(both, torch.distributed.ReduceOp.MAX)
        return [bool(flag) for flag in both]

    def tell(self, value: Any) -> list[Any]:
        """What either process gives for `value`, by rank."""
        values = [None] * TOWERS
        torch.distributed.all_gather_object(values, value)
        return values


def halves(size: int) -> tuple[int, int]:
    """How many of `size` kernels or neurons each process holds; of an odd number, as of classes, the first has more."""
    return size - size // TOWERS, size // TOWERS


def share(features: Tensor, peers: Peers) -> Tensor:
    """From features (images, own, ...) of this process those of both, (images, 2 x own, ...), tower 0 first.

    In the backward pass a feature's gradient is the sum of what both processes found for it.
    """
    shared: Tensor = _Share.apply(features, peers)
    return shared


def join(scores: Tensor, peers: Peers, sizes: tuple[int, int]) -> Tensor:
    """From the scores (images, sizes[rank]) of this process's classes those of all classes.

    In the backward pass a score's gradient is what this process found for it: both compute the same loss.
    """
    joined: Tensor = _Join.apply(scores, peers, sizes)
    return joined


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


class _Join(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor, peers: Peers, sizes: tuple[int, int]) -> Tensor:
        ctx.rank, ctx.sizes = peers.rank, sizes
        return peers.gather(own, sizes, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return torch.split(gradient, list(ctx.sizes), 1)[ctx.rank], None, None


def gather_features(own: Tensor, peers: Peers) -> Tensor:
    """As many features of either process; maps are sent as they lie in memory, channels last."""
    sizes = [own.shape[1]] * TOWERS
    if own.ndim == 2:
        return peers.gather(own, sizes, 1)
    return peers.gather(own.permute(0, 2, 3, 1), sizes, 3).permute(0, 3, 1, 2)
