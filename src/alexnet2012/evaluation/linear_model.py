"""Variances of means over nets and images: crossed random effects of seeds and images, one spread for all variants.

Whether a net errs on an image is modelled as the method's error, plus an effect of the seed, plus an effect of the
image, plus a residual. Seeds and images are random samples, so each contributes a part of a mean's variance.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

ROUNDING = 1e-12  # per-seed values that differ by no more than this count as equal
UNEQUAL_SPREADS = 0.05  # if p of Bartlett's test is lower, spreads are not pooled


@dataclass(frozen=True)
class Part:
    """The variance of an estimate, or a part of it, and its degrees of freedom."""

    variance: float
    freedom: float


@dataclass(frozen=True)
class Spread:
    """The pooled standard deviation between seeds: the residual of a linear model with the variant as a factor.

    `groups`: the number of variants that it was estimated from. `bartlett_p`: for the hypothesis that their spreads are
    equal (1 for fewer than two variants). `pooled`: False if that is rejected, or if there is no spread.
    """

    deviation: float
    freedom: int
    bartlett_p: float
    groups: int
    pooled: bool


def pool_spread(groups: Mapping[str, Sequence[float]]) -> Spread:
    """The spread between seeds, from one value per seed of each variant.

    Variants with one seed are ignored, and those with only equal values (such as nets that did not learn).
    """
    values = [np.asarray(each, dtype=np.float64) for each in groups.values()]
    values = [each for each in values if len(each) > 1 and np.ptp(each) > ROUNDING]
    freedom = sum(len(each) - 1 for each in values)
    if not values:
        return Spread(0.0, 0, 1.0, 0, pooled=False)
    deviation = math.sqrt(sum((len(each) - 1) * float(each.var(ddof=1)) for each in values) / freedom)
    p = float(stats.bartlett(*values).pvalue) if len(values) > 1 else 1.0
    return Spread(deviation, freedom, p, len(values), pooled=p >= UNEQUAL_SPREADS)


def part_of_seeds(values: Sequence[float]) -> Part:
    """The variance of the mean of `values`, one per seed (n >= 2)."""
    return Part(float(np.var(values, ddof=1)) / len(values), len(values) - 1)


def part_of_contrast(worse: Sequence[float], better: Sequence[float], spread: Spread | None = None) -> tuple[Part, str]:
    """The variance of the difference between the means of two groups of seeds, and the method in words: with the common
    spread if there is one, else with degrees of freedom by Welch and Satterthwaite."""
    if spread is not None and spread.pooled:
        variance = spread.deviation**2 * (1 / len(worse) + 1 / len(better))
        return Part(variance, spread.freedom), f"t, one spread of {spread.groups} variants,"
    first, second = part_of_seeds(worse), part_of_seeds(better)
    variance = first.variance + second.variance
    uncertainty = first.variance**2 / first.freedom + second.variance**2 / second.freedom
    freedom = variance**2 / uncertainty if uncertainty > 0 else min(first.freedom, second.freedom)
    return Part(variance, freedom), "Welch's t"


def part_of_images(worse: Sequence[np.ndarray], better: Sequence[np.ndarray] = ()) -> Part:
    """The variance that images contribute to the mean over nets, or to the difference between two groups' means.

    Each net's answers are (n,), for the same images; at least two nets per group. It is the variance between images'
    means, minus the interaction of seeds and images (its mean square), which the part of the seeds includes already. A
    single image gives 0.
    """
    groups = [np.asarray(nets, dtype=np.float64) for nets in (worse, better) if len(nets)]
    images = groups[0].shape[1]
    if images == 1:
        return Part(0.0, math.inf)
    first, *others = (nets.mean(axis=0) for nets in groups)
    total = float(np.var(first - others[0] if others else first, ddof=1))
    interaction = sum(_interaction(nets) / len(nets) for nets in groups)
    return Part(max(0.0, total - interaction) / images, images - 1)


def _interaction(answers: np.ndarray) -> float:
    """The interaction's mean square: of the residuals of `answers` (seeds, images) without the means of both."""
    degrees = (answers.shape[0] - 1) * (answers.shape[1] - 1)
    left = answers - answers.mean(axis=1, keepdims=True) - answers.mean(axis=0) + answers.mean()
    return float(np.square(left).sum() / degrees)


def add_parts(parts: Sequence[Part]) -> Part:
    """The sum of the parts from seeds and images; its degrees of freedom are their harmonic mean, weighted by variance.

    Satterthwaite's formula weights by squared variances. With three seeds its intervals cover only 92 % if images
    contribute little: when the seeds' part is small by chance, the images' many degrees of freedom dominate. With the
    harmonic mean, the worst case covers 94 %.
    """
    variance = sum(each.variance for each in parts)
    weighted = sum(each.variance / each.freedom for each in parts)
    return Part(variance, variance / weighted if weighted > 0 else min(each.freedom for each in parts))
