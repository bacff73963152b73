"""What this machine can do: FLOPs a second of torch's matrix product and convolution, bytes a second of a copy."""

import time
from collections.abc import Callable

import torch
from contest import Call, Done
from sizes import pick
from torch.nn import functional

SIDE = pick(2048, 256)
COPIED_BYTES = pick(256 << 20, 1 << 20)
IMAGES, IN, OUT, KERNEL, SIZE_PX = pick(128, 2), 256, 384, 3, 13  # conv3 of the paper


def make() -> Call:
    """Rates a second in its details: "torch.mm", "a 3x3 convolution" (FLOPs) and "copy" (bytes read and written)."""
    random = torch.Generator().manual_seed(0)
    a, b = (torch.randn(SIDE, SIDE, generator=random) for _ in range(2))
    product = torch.empty(SIDE, SIDE)
    maps = torch.randn(IMAGES, IN, SIZE_PX, SIZE_PX, generator=random).to(memory_format=torch.channels_last)
    kernels = torch.randn(OUT, IN, KERNEL, KERNEL, generator=random).to(memory_format=torch.channels_last)
    source, target = (torch.zeros(COPIED_BYTES // 4) for _ in range(2))
    work = {
        "torch.mm": (2 * SIDE**3, lambda: torch.mm(a, b, out=product)),
        "a 3x3 convolution": (
            2 * IMAGES * OUT * IN * KERNEL**2 * SIZE_PX**2,
            lambda: functional.conv2d(maps, kernels, padding=1),
        ),
        "copy": (2 * COPIED_BYTES, lambda: target.copy_(source)),
    }

    @torch.inference_mode()
    def call() -> Done:
        return Done(1, details={name: amount / best_of(3, function) for name, (amount, function) in work.items()})

    return call


def best_of(times: int, function: Callable[[], object]) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        function()
        taken.append(time.perf_counter() - began)
    return min(taken)
