"""A row of the layer table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """One row of the layer table.

    `output` is [channels, height, width], or [neurons]; `overhang_px` is how far the last windows reach over the right
    and the bottom edge; `fan_in` is what one output sees, 0 for layers without weights.
    """

    name: str
    kind: str
    kernel: int | None
    stride: int | None
    output: list[int]
    parameters: int
    multiply_adds: int
    towers: int
    fan_in: int = 0
    overhang_px: int = 0
