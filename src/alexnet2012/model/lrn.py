"""Local response normalisation across channels (§3.3), forward and closed-form backward, and within maps (net 145).

    b_i = a_i / d_i^beta,   d_i = k + alpha * SUM_{j = i-n/2 .. i+n/2} a_j^2

with the window clipped at the first and last channel of the tower. As printed in the paper, alpha is NOT divided by n;
torch.nn.LocalResponseNorm divides, so it gives the same with its alpha set to n * alpha.

The backward pass, with g = dL/db and u_i = g_i * a_i * d_i^(-beta-1):

    dL/da_i = g_i * d_i^-beta - 2 * alpha * beta * a_i * SUM_{j = i-n/2 .. i+n/2} u_j

Only a is saved for the backward pass. On a CPU, compiled loops read each pixel's channels once (model.lrn_loops); on
other devices and under torch.compile, the same formulas are tensor operations."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from alexnet2012.config.nets import MapNormConfig
from alexnet2012.model import lrn_loops


def local_response_norm(
    maps: Tensor, n: int, k: float, alpha: float, beta: float, towers: int = 1, rectify: bool = False
) -> Tensor:
    """Normalise `maps` (images, channels, height, width) within each of `towers` equal groups of channels (§3.3).

    With `rectify`, max(maps, 0) is normalised: the preceding ReLU (§3.5), without a separate pass. Returns a tensor of
    the same shape and dtype, channels last in memory; bfloat16 and float16 are normalised in float32. Raises ValueError
    if the channels cannot be split over the towers.
    """
    images, channels, height, width = maps.shape
    if channels % towers:
        raise ValueError(f"{channels} channels cannot be split over {towers} towers")
    wide = maps.float() if maps.dtype in (torch.bfloat16, torch.float16) else maps
    # Channels last, so that a pixel's channels are adjacent in memory.
    rows = wide.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1).reshape(-1, channels // towers)
    on_cpu = maps.device.type == "cpu" and not torch.compiler.is_compiling()
    norm = _LoopNorm if on_cpu else _TensorNorm
    result: Tensor = norm.apply(rows, n, k, alpha, beta, rectify)
    return result.view(images, height, width, channels).permute(0, 3, 1, 2).to(maps.dtype)


RowsGradient = tuple[Tensor, None, None, None, None, None]  # the constants have no gradient


class _LoopNorm(torch.autograd.Function):
    """Normalisation of rows (pixels x towers, channels of a tower) on a CPU, by compiled loops."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, n: int, k: float, alpha: float, beta: float, rectify: bool) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.constants = (n, k, alpha, beta, rectify)
        output = torch.empty_like(rows)
        lrn_loops.forward(rows.detach().numpy(), output.numpy(), *ctx.constants)
        return output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> RowsGradient:
        (rows,) = ctx.saved_tensors
        result = torch.empty_like(rows)
        lrn_loops.backward(rows.numpy(), gradient.contiguous().numpy(), result.numpy(), *ctx.constants)
        return result, None, None, None, None, None


class _TensorNorm(torch.autograd.Function):
    """Normalisation of the same rows on any device, by tensor operations; backward recomputes the divisor."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, n: int, k: float, alpha: float, beta: float, rectify: bool) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.constants = (n, k, alpha, beta, rectify)
        active = rows.clamp_min(0) if rectify else rows
        return active * _divisor(active, n, k, alpha).pow(-beta)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> RowsGradient:
        (rows,) = ctx.saved_tensors
        n, k, alpha, beta, rectify = ctx.constants
        active = rows.clamp_min(0) if rectify else rows
        divisor = _divisor(active, n, k, alpha)
        direct = gradient * divisor.pow(-beta)
        result = direct - 2 * alpha * beta * active * _window_sum(direct * active / divisor, n)
        if rectify:
            result = torch.where(rows > 0, result, 0)
        return result, None, None, None, None, None


def _divisor(active: Tensor, n: int, k: float, alpha: float) -> Tensor:
    """d_i of the module's formula, not yet raised to beta."""
    return k + alpha * _window_sum(active.square(), n)


def _window_sum(values: Tensor, n: int) -> Tensor:
    """For each channel, the sum over it and its n // 2 neighbours on both sides, clipped at the ends."""
    channels, half = values.shape[1], n // 2
    padded = functional.pad(values, (half, half))
    return sum((padded[:, shift : shift + channels] for shift in range(1, n)), start=padded[:, :channels])


def normalise_within_maps(maps: Tensor, norm: MapNormConfig) -> Tensor:
    """Normalise `maps` (images, channels, height, width) within each map, as after conv2 of net 145 in the 2012 code.

    u / (k + alpha * s)^beta, where s is the sum of u^2 over the size x size pixels around each pixel; pixels outside
    the map count as zeros, and alpha is not divided by their number.
    """
    pixels = norm.size * norm.size
    sums = functional.avg_pool2d(maps.square(), norm.size, stride=1, padding=norm.size // 2) * pixels
    return maps * (norm.k + norm.alpha * sums).pow(-norm.beta)
