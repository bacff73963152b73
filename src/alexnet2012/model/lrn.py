"""Local response normalisation across channels (§3.3), forward and closed-form backward, fast on CPUs.

    b_i = a_i / d_i^beta,   d_i = k + alpha * SUM_{j = i-n/2 .. i+n/2} a_j^2

with the window clipped at the first and last channel of the tower. As printed, alpha is NOT divided by n;
torch.nn.LocalResponseNorm divides, so it equals this with its alpha set to n * alpha.

The backward pass, with g = dL/db and u_i = g_i * a_i * d_i^(-beta-1):

    dL/da_i = g_i * d_i^-beta - 2 * alpha * beta * a_i * SUM_{j = i-n/2 .. i+n/2} u_j
"""

import torch
from torch import Tensor

# As many images at a time as keep four buffers near the core: measured best between 1 and 4 MB, shape by shape.
CACHE_BYTES = 2 << 20


def local_response_norm(maps: Tensor, n: int, k: float, alpha: float, beta: float, towers: int = 1) -> Tensor:
    """Normalise `maps` (images, channels, height, width) within each of `towers` equal groups of channels.

    Returns a tensor of the same shape. Raises ValueError when the channels cannot be split over the towers.
    """
    images, channels, height, width = maps.shape
    if channels % towers:
        raise ValueError(f"{channels} channels cannot be split over {towers} towers")
    grouped = maps.contiguous().view(images * towers, channels // towers, height * width)
    return _LocalResponseNorm.apply(grouped, n, k, alpha, beta).view_as(maps)


class _LocalResponseNorm(torch.autograd.Function):
    """On (groups, channels, positions); saves only the input and d^-beta, recomputes d^-1 from it."""

    @staticmethod
    def forward(ctx, maps: Tensor, n: int, k: float, alpha: float, beta: float) -> Tensor:
        scale = torch.empty_like(maps)
        output = torch.empty_like(maps)
        for part in _cached_parts(maps):
            squares = maps[part].square()
            divisor = _window_sum(squares, n).mul_(alpha).add_(k)
            _power(divisor, beta, out=scale[part])
            torch.mul(maps[part], scale[part], out=output[part])
        ctx.save_for_backward(maps, scale)
        ctx.constants = (n, k, alpha, beta)
        return output

    @staticmethod
    def backward(ctx, gradient: Tensor):
        maps, scale = ctx.saved_tensors
        n, k, alpha, beta = ctx.constants
        gradient = gradient.contiguous()
        result = torch.empty_like(maps)
        for part in _cached_parts(maps):
            divisor = _window_sum(maps[part].square(), n).mul_(alpha).add_(k)
            direct = torch.mul(gradient[part], scale[part], out=result[part])
            products = torch.mul(direct, maps[part]).div_(divisor)
            direct.addcmul_(maps[part], _window_sum(products, n), value=-2 * alpha * beta)
        return result, None, None, None, None


def _cached_parts(maps: Tensor) -> list[slice]:
    groups = maps.shape[0]
    if maps.is_cuda:
        return [slice(0, groups)]
    bytes_each = maps[0].numel() * maps.element_size()
    step = max(1, CACHE_BYTES // max(1, 4 * bytes_each))  # four buffers are alive at once
    return [slice(start, min(start + step, groups)) for start in range(0, groups, step)]


def _window_sum(values: Tensor, n: int) -> Tensor:
    """Sum of each channel and its n // 2 neighbours on either side, clipped at the ends."""
    total = values.clone()
    channels = values.shape[1]
    for shift in range(1, min(n // 2, channels - 1) + 1):
        total[:, shift:].add_(values[:, :-shift])
        total[:, :-shift].add_(values[:, shift:])
    return total


def _power(divisor: Tensor, beta: float, out: Tensor) -> Tensor:
    """divisor^-beta; for the paper's beta = 3/4 as two square roots, which is several times faster than pow."""
    if beta != 0.75:
        return torch.pow(divisor, -beta, out=out)
    root = divisor.rsqrt_()
    torch.sqrt(root, out=out)
    return out.mul_(root)
