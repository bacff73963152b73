"""Simulated nets whose seeds and images both vary, in many ledgers at once.

An image has a difficulty, and some more of it for each variant; a net has a clumsiness. A net errs on an image where
difficulty, clumsiness and noise of the two together are above 0; all are normal.
"""

import math
from collections.abc import Iterable

import numpy as np
from scipy.stats import norm

from alexnet2012.evaluation.linear_model import Spread, pool_spread

LEDGERS = 1000
IMAGES = 250
DIFFICULTY, OF_THE_VARIANT, OF_THE_SEED = 1.0, 0.5, 0.1
OF_IMAGES = math.sqrt(1 + DIFFICULTY**2 + OF_THE_VARIANT**2)  # with the noise
OTHERS = (-0.2, -0.1, 0.0, 0.1, 0.2)  # mean clumsiness of variants beside the two compared

Generator = np.random.Generator


def draw_difficulty(draw: Generator, images: int = IMAGES, ledgers: int = LEDGERS) -> np.ndarray:
    """(ledgers, images)"""
    return DIFFICULTY * draw.standard_normal((ledgers, images), dtype=np.float32)


def draw_clumsiness(draw: Generator, mean: float, seeds: int, of_the_seed: float = OF_THE_SEED, ledgers: int = LEDGERS):
    """Of the nets of one variant, (ledgers, seeds)."""
    return mean + of_the_seed * draw.standard_normal((ledgers, seeds), dtype=np.float32)


def draw_wrong(draw: Generator, difficulty: np.ndarray, clumsiness: np.ndarray) -> np.ndarray:
    """The wrong answers of one variant's nets, bool (ledgers, seeds, images)."""
    difficulty = difficulty + OF_THE_VARIANT * draw.standard_normal(difficulty.shape, dtype=np.float32)
    noise = draw.standard_normal((*clumsiness.shape, difficulty.shape[1]), dtype=np.float32)
    return difficulty[:, None] + clumsiness[:, :, None] + noise > 0


def draw_ledgers(draw: Generator, worse_by: float, seeds: int, base_seeds: int):
    """Wrong answers of a variant's and the base's nets, and the spread of these and OTHERS, of each ledger."""
    difficulty = draw_difficulty(draw)
    worse = draw_wrong(draw, difficulty, draw_clumsiness(draw, worse_by, seeds))
    base = draw_wrong(draw, difficulty, draw_clumsiness(draw, 0.0, base_seeds))
    others = (draw_wrong(draw, difficulty, draw_clumsiness(draw, mean, seeds)) for mean in OTHERS)
    return list(zip(worse, base, pool(nets.mean(axis=2) for nets in (worse, base, *others)), strict=True))


def pool(groups: Iterable[np.ndarray]) -> list[Spread]:
    """Each ledger's spread, from its groups of values (ledgers, seeds)."""
    return [pool_spread(dict(enumerate(each))) for each in zip(*groups, strict=True)]


def error_of_nets(clumsiness: np.ndarray) -> np.ndarray:
    """The errors of these nets over all images."""
    return np.asarray(norm.cdf(clumsiness / OF_IMAGES))


def error_of_the_method(mean: float, of_the_seed: float = OF_THE_SEED) -> float:
    """The mean error over all seeds and all images."""
    return float(norm.cdf(mean / math.hypot(OF_IMAGES, of_the_seed)))
