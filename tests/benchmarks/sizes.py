"""Full sizes, or with ALEXNET2012_BENCHMARK_SCALE=small toy ones, which prove in a minute or two that all runs."""

import os
from typing import TypeVar

from alexnet2012.cpu import count_usable_cores

VARIABLE = "ALEXNET2012_BENCHMARK_SCALE"
SCALE = os.environ.get(VARIABLE, "full")
if SCALE not in ("full", "small"):
    raise ValueError(f"{VARIABLE} is {SCALE}; it may be full or small")
TOY = SCALE == "small"
CORES = count_usable_cores()

Size = TypeVar("Size")


def pick(full: Size, toy: Size) -> Size:
    return toy if TOY else full


ROUNDS = pick(5, 2)
