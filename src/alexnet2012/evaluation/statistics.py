"""Intervals of errors and of differences between errors; the formulas are scipy's."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 2000
MANY_SEEDS = 3  # from here on the interval speaks of the method, below it only of these nets


@dataclass(frozen=True)
class Estimate:
    """A fraction with its 95 % interval, and the words that say what the interval covers."""

    value: float
    low: float
    high: float
    method: str


def estimate_error(wrong: list[np.ndarray]) -> Estimate:
    """The mean error of nets that differ in their seed alone, from each net's bool (n,) of wrong answers.

    Three seeds or more: Student's t over seeds. One: Wilson over images. Two: bootstrap over images.
    """
    errors = [float(each.mean()) for each in wrong]
    if len(wrong) >= MANY_SEEDS:
        return interval_over_seeds(errors)
    if len(wrong) == 1:
        images = len(wrong[0])
        interval = stats.binomtest(int(wrong[0].sum()), images).proportion_ci(CONFIDENCE, method="wilson")
        return Estimate(errors[0], interval.low, interval.high, f"Wilson over {images:,} images")
    return bootstrap_over_images(np.mean(wrong, axis=0))


def estimate_difference(worse: list[np.ndarray], better: list[np.ndarray]) -> Estimate:
    """The mean of error(worse[i]) - error(better[i]), positive in the claimed direction; pairs share seed and images.

    Three pairs or more: Student's t over the pairs' differences. Fewer: paired bootstrap over images.
    """
    differences = [a.astype(np.float64) - b for a, b in zip(worse, better, strict=True)]
    if len(differences) >= MANY_SEEDS:
        return interval_over_seeds([float(each.mean()) for each in differences])
    return bootstrap_over_images(np.mean(differences, axis=0))


def interval_over_seeds(values: list[float]) -> Estimate:
    mean, method = float(np.mean(values)), f"t over {len(values)} seeds"
    if np.ptp(values) == 0:
        return Estimate(mean, mean, mean, method)
    interval = stats.ttest_1samp(values, 0.0).confidence_interval(CONFIDENCE)
    return Estimate(mean, float(interval.low), float(interval.high), method)


def bootstrap_over_images(values: np.ndarray) -> Estimate:
    """Percentile bootstrap of the mean of per-image values (n,), seeded."""
    mean, method = float(values.mean()), f"bootstrap over {len(values):,} images: these nets, not the method"
    if np.ptp(values) == 0:
        return Estimate(mean, mean, mean, method)
    result = stats.bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, batch=50, confidence_level=CONFIDENCE, method="percentile", rng=2012
    )
    return Estimate(mean, float(result.confidence_interval.low), float(result.confidence_interval.high), method)
