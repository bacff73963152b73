"""Confidence intervals and tests of errors and of differences between errors, by scipy and statsmodels.

With three seeds or more they hold for the method: Student's t over per-seed values, where pairs share their seed. With
fewer they hold for these nets alone, over images: a percentile bootstrap, McNemar's test or a t test. Intervals are
95 %, without adjustment for multiple tests.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

CONFIDENCE = 0.95
RESAMPLES = 2000
MANY_SEEDS = 3  # with as many the interval holds for the method, with fewer only for these nets
FEW_DISAGREEMENTS = 25  # below this McNemar's test is the exact binomial one
ROUNDING = 1e-12  # per-seed values that differ by no more are equal
THESE_NETS = "these nets, not the method"


@dataclass(frozen=True)
class Estimate:
    """A value (a fraction), its 95 % interval, the method in words, and the p of a test.

    `p` is two-sided for the hypothesis that the value is 0; None for an error, of which that is no hypothesis.
    """

    value: float
    low: float
    high: float
    method: str
    p: float | None = None


def estimate_error(wrong: list[np.ndarray]) -> Estimate:
    """The mean error of nets that differ in their seed only, from each net's wrong answers, bool (n,).

    Three seeds or more: Student's t over seeds. One: Wilson over images. Two: bootstrap over images.
    """
    errors = [float(each.mean()) for each in wrong]
    if len(wrong) >= MANY_SEEDS:
        interval, _ = student(errors)
        return Estimate(float(np.mean(errors)), *interval, f"t over {len(errors)} seeds")
    if len(wrong) == 1:
        images = len(wrong[0])
        interval = stats.binomtest(int(wrong[0].sum()), images).proportion_ci(CONFIDENCE, method="wilson")
        return Estimate(errors[0], interval.low, interval.high, f"Wilson over {images:,} images")
    mean = np.mean(wrong, axis=0)
    return Estimate(
        float(mean.mean()), *bootstrap((mean,), np.mean), f"bootstrap over {len(mean):,} images: {THESE_NETS}"
    )


def estimate_difference(worse: list[np.ndarray], better: list[np.ndarray]) -> Estimate:
    """The mean of error(worse[i]) - error(better[i]), positive in the claimed direction; pairs share seed and images.

    Each is bool (n,): the wrong answers; or float (n,): a mean of nets. Three pairs or more: Student's t over the
    pairs' differences. Fewer: paired bootstrap over images, with McNemar's test for one pair of nets and a t test over
    the images' mean differences otherwise.
    """
    differences = [a.astype(np.float64) - b for a, b in zip(worse, better, strict=True)]
    if len(differences) >= MANY_SEEDS:
        return estimate_over_seeds([float(each.mean()) for each in differences])
    found = estimate_over_images(np.mean(differences, axis=0))
    if len(differences) == 1 and worse[0].dtype == better[0].dtype == bool:
        words = f"bootstrap over {len(worse[0]):,} images, McNemar's test: {THESE_NETS}"
        return Estimate(found.value, found.low, found.high, words, p_of_disagreements(worse[0], better[0]))
    return found


def estimate_gap(val: list[np.ndarray], train: list[np.ndarray]) -> Estimate:
    """The difference between two nets' generalisation gaps: the mean of mean(val[i]) - mean(train[i]) over seeds.

    val[i] (n,) and train[i] (m,) hold, for seed i and each image, the difference between the two nets' wrong answers.
    The images are independent samples: below three seeds a bootstrap that draws from both, and Welch's t test.
    """
    if len(val) >= MANY_SEEDS:
        gaps = [float(a.mean() - b.mean()) for a, b in zip(val, train, strict=True)]
        return estimate_over_seeds(gaps)
    samples = (np.asarray(np.mean(val, axis=0, dtype=np.float64)), np.asarray(np.mean(train, axis=0, dtype=np.float64)))
    method = f"bootstrap over {len(samples[0]):,} and {len(samples[1]):,} images, Welch's t test: {THESE_NETS}"
    value = float(difference_of_means(*samples))
    if max(np.ptp(each) for each in samples) == 0:
        return Estimate(value, value, value, method, p_without_variance(value, len(samples[0])))
    p = float(stats.ttest_ind(*samples, equal_var=False).pvalue)
    return Estimate(value, *bootstrap(samples, difference_of_means), method, p)


def estimate_over_seeds(values: list[float]) -> Estimate:
    """The mean of one value per seed (n >= 2): Student's t interval and test.

    Equal values have an interval of zero width and the p of a sign test.
    """
    interval, p = student(values)
    return Estimate(float(np.mean(values)), *interval, f"t over {len(values)} seeds", p)


def estimate_over_images(values: np.ndarray, what: str = "images") -> Estimate:
    """The mean of one value per image, float (n,): percentile bootstrap, t test over images (or `what` they are)."""
    value, method = float(values.mean()), f"bootstrap over {len(values):,} {what}, t test over them: {THESE_NETS}"
    if np.ptp(values) == 0:
        return Estimate(value, value, value, method, p_without_variance(value, len(values)))
    p = float(stats.ttest_1samp(values, 0.0).pvalue)
    return Estimate(value, *bootstrap((values,), np.mean), method, p)


def student(values: list[float]) -> tuple[tuple[float, float], float]:
    """Student's t interval of the mean, and the two-sided p for the hypothesis that it is 0."""
    if np.ptp(values) <= ROUNDING:
        mean = float(np.mean(values))
        return (mean, mean), p_without_variance(mean, len(values))
    test = stats.ttest_1samp(values, 0.0)
    interval = test.confidence_interval(CONFIDENCE)
    return (float(interval.low), float(interval.high)), float(test.pvalue)


def p_without_variance(value: float, count: int) -> float:
    """The p for `count` equal values, of which t would divide by 0: 1 for zeros, else that of a sign test."""
    return 1.0 if abs(value) <= ROUNDING else float(stats.binomtest(count, count).pvalue)


def p_of_disagreements(worse: np.ndarray, better: np.ndarray) -> float:
    """McNemar's p for two nets' wrong answers to the same images, bool (n,): exact below FEW_DISAGREEMENTS."""
    only_worse, only_better = int((worse & ~better).sum()), int((better & ~worse).sum())
    if only_worse + only_better == 0:
        return 1.0
    exact = only_worse + only_better < FEW_DISAGREEMENTS
    return float(mcnemar([[0, only_worse], [only_better, 0]], exact=exact).pvalue)


def bootstrap(samples: tuple[np.ndarray, ...], statistic: Callable[..., np.ndarray]) -> tuple[float, float]:
    """The percentile bootstrap interval of `statistic` over independent samples of images, with a fixed seed."""
    if max(np.ptp(each) for each in samples) == 0:
        return (float(statistic(*samples)),) * 2
    interval = stats.bootstrap(
        samples, statistic, n_resamples=RESAMPLES, batch=50, confidence_level=CONFIDENCE, method="percentile", rng=2012
    ).confidence_interval
    return float(interval.low), float(interval.high)


def difference_of_means(first: np.ndarray, second: np.ndarray, axis: int = -1) -> np.ndarray:
    """The mean of `first` minus that of `second` along `axis`, as scipy.stats.bootstrap calls a statistic."""
    return np.asarray(np.mean(first, axis=axis) - np.mean(second, axis=axis))
