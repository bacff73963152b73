"""How coloured the first layer's kernels are, tower by tower (§6.1, figure 3)."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

RESAMPLES = 9_999  # permutations drawn where there are more than so many


@dataclass(frozen=True)
class Chroma:
    """`towers`: the chroma energy of each kernel, 0 to 1, tower by tower; their means; the difference of these; and the
    p of a permutation test over kernels that the towers do not differ."""

    towers: list[list[float]]
    means: list[float]
    difference: float
    p: float


def chroma_energy(kernels: np.ndarray) -> np.ndarray:
    """Float64 (n,): of each kernel (3, height, width), the share of its energy that grey images cannot excite.

    Grey is R = G = B: at each position the mean over the colours is its grey part, and what is left is its chroma. 0
    for a kernel that is blind to colours, 1 for one that sees nothing else.
    """
    kernels = kernels.astype(np.float64)
    chroma = kernels - kernels.mean(axis=1, keepdims=True)
    total = np.square(kernels).sum(axis=(1, 2, 3))
    return np.divide(np.square(chroma).sum(axis=(1, 2, 3)), total, out=np.zeros(len(kernels)), where=total > 0)


def compare_towers(kernels: np.ndarray) -> Chroma:
    """The chroma of the first and of the second half of conv1's kernels (n, 3, height, width)."""
    energy = chroma_energy(kernels)
    towers = np.split(energy, 2)

    def difference(first: np.ndarray, second: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.abs(first.mean(axis=axis) - second.mean(axis=axis))

    test = stats.permutation_test(
        towers, difference, vectorized=True, n_resamples=RESAMPLES, alternative="greater", rng=2012
    )
    means = [float(each.mean()) for each in towers]
    return Chroma([each.tolist() for each in towers], means, float(test.statistic), float(test.pvalue))
