"""Confidence intervals and tests for errors and differences between errors, by scipy and statsmodels.

With three or more seeds they generalise to the method (other seeds, other images): Student's t, with the variance of
both. With fewer they hold only for these nets, over images: a percentile bootstrap, McNemar's test or a t test.
Intervals are 95 %, without adjustment for multiple tests.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special, stats
from statsmodels.stats.contingency_tables import mcnemar

from alexnet2012.evaluation.linear_model import (
    ROUNDING,
    Part,
    Spread,
    add_parts,
    part_of_contrast,
    part_of_images,
    part_of_seeds,
)

CONFIDENCE = 0.95
RESAMPLES = 2000  # of the bootstrap
FEW_DISAGREEMENTS = 25  # with fewer, McNemar's test is the exact binomial one
POWER = 0.8  # probability of finding the detectable difference
MANY_SEEDS = 3  # with at least this many, intervals hold for the method; with fewer, only for these nets
THESE_NETS = "these nets, not the method"

Nets = Sequence[np.ndarray]  # for each net, whether it errs on each of the same n images, bool or float (n,)
Split = tuple[np.ndarray, np.ndarray]  # whether a net errs on each image of val and of train


@dataclass(frozen=True)
class Estimate:
    """A value (a fraction), its 95 % interval, the method in words, and the p of a test.

    `p`: two-sided, for the hypothesis that the value is 0; None for errors, for which this is not tested.
    `standard_error` and `freedom`: those of Student's t; None if the interval is of another kind.
    """

    value: float
    low: float
    high: float
    method: str
    p: float | None = None
    standard_error: float | None = None
    freedom: float | None = None


def estimate_share(wrong: int, images: int) -> Estimate:
    """The error of one net that is wrong on `wrong` of `images`, with Wilson's interval over images."""
    return estimate_error([np.arange(images) < wrong])


def estimate_error(wrong: Nets) -> Estimate:
    """The mean error of nets that differ only in their seeds.

    Three or more seeds: Student's t over seeds and images. Two: bootstrap over images. One: Wilson over images.
    """
    if len(wrong) >= MANY_SEEDS:
        found = _estimate_crossed(wrong, "images")
        return replace(found, low=max(0.0, found.low), high=min(1.0, found.high), p=None)
    if len(wrong) == 1:
        low, high = stats.binomtest(int(wrong[0].sum()), len(wrong[0])).proportion_ci(CONFIDENCE, method="wilson")
        return Estimate(float(wrong[0].mean()), float(low), float(high), f"Wilson over {len(wrong[0]):,} images")
    method = f"bootstrap over {len(wrong[0]):,} images: {THESE_NETS}"
    return replace(estimate_over_images(_mean_of_nets(wrong)), method=method, p=None)


def estimate_difference(worse: Nets, better: Nets, what: str = "images") -> Estimate:
    """The mean of error(worse[i]) - error(better[i]), positive in the claimed direction; i is a net or a seed.

    Three or more pairs: over seeds and images; fewer: over images. `what`: the images' name in the method's words.
    Raises ValueError unless there are equally many of both.
    """
    if len(worse) >= MANY_SEEDS:
        return _estimate_crossed([a.astype(np.float64) - b for a, b in zip(worse, better, strict=True)], what)
    if len(worse) != len(better):
        raise ValueError(f"{len(worse)} and {len(better)} nets are no pairs")
    return _compare_over_images(worse, better, what)


def estimate_contrast(worse: Nets, better: Nets, spread: Spread | None = None) -> Estimate:
    """The mean error of `worse` minus that of `better`, positive in the claimed direction; seeds are not paired.

    Three or more seeds of both: over seeds and images, with the `spread` that all variants share, or by Welch's t if
    there is none. Fewer: over images.
    """
    if min(len(worse), len(better)) < MANY_SEEDS:
        return _compare_over_images(worse, better, "images")
    images = f" and {len(worse[0]):,} images"
    return _contrast(_errors(worse), _errors(better), spread, [part_of_images(worse, better)], images)


def estimate_gap(val: Nets, train: Nets) -> Estimate:
    """The mean of mean(val[i]) - mean(train[i]), where i is a net, or a seed if these are differences of two nets.

    val[i] is (n,) and train[i] (m,), independent samples of images. Three or more: over seeds and images. Fewer: a
    bootstrap that draws from both samples, and Welch's t test.
    """
    if len(val) < MANY_SEEDS:
        return _compare_samples(_mean_of_nets(val), _mean_of_nets(train))
    gaps = [float(a.mean() - b.mean()) for a, b in zip(val, train, strict=True)]
    images = f", {len(val[0]):,} and {len(train[0]):,} images"
    return _estimate_mean(gaps, [part_of_images(val), part_of_images(train)], images)


def estimate_gap_contrast(worse: Sequence[Split], better: Sequence[Split], spread: Spread | None = None) -> Estimate:
    """`estimate_contrast` of the gaps between val and training error: that of `worse` minus that of `better`.

    `spread`: of gaps. Images of val and train are independent samples.
    """
    splits = [([net[split] for net in worse], [net[split] for net in better]) for split in (0, 1)]
    if min(len(worse), len(better)) < MANY_SEEDS:
        return _compare_samples(*(_mean_of_nets(a) - _mean_of_nets(b) for a, b in splits))
    gaps = [[float(val.mean() - train.mean()) for val, train in nets] for nets in (worse, better)]
    images = f", {len(worse[0][0]):,} and {len(worse[0][1]):,} images"
    return _contrast(gaps[0], gaps[1], spread, [part_of_images(*each) for each in splits], images)


def estimate_contrast_of_values(
    worse: Sequence[float], better: Sequence[float], spread: Spread | None = None
) -> Estimate:
    """The mean of `worse` minus that of `better`, from one value per seed (n >= 2 each); generalises over seeds."""
    return _contrast(worse, better, spread, [], "")


def estimate_over_seeds(values: Sequence[float]) -> Estimate:
    """The mean of one value per seed (n >= 2), with Student's t interval and test.

    Equal values get an interval of zero width and the p of a sign test.
    """
    return _estimate_mean(values, [], "")


def estimate_over_images(values: np.ndarray, what: str = "images") -> Estimate:
    """The mean of one value per image, float (n,), with percentile bootstrap and t test; `what`: the images' name."""
    value, method = float(values.mean()), f"bootstrap over {len(values):,} {what}, t test over them: {THESE_NETS}"
    if np.ptp(values) == 0:
        return _without_variance(value, method, _p_of_signs(len(values)))
    return Estimate(value, *bootstrap(values), method, float(stats.ttest_1samp(values, 0.0).pvalue))


def predict_one(errors: Sequence[float]) -> Estimate:
    """The 95 % prediction interval for the error of one more net on the same images, from one error per seed."""
    seeds, mean = len(errors), float(np.mean(errors))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, seeds - 1) * np.std(errors, ddof=1) * math.sqrt(1 + 1 / seeds))
    return Estimate(mean, max(0.0, mean - half), min(1.0, mean + half), f"prediction of one net from {seeds} seeds")


def equivalence_p(estimate: Estimate, margin: float) -> float:
    """The larger p of two one-sided t tests (TOST), for the hypothesis that the true value is at least `margin` from 0.

    Raises ValueError for an estimate over images.
    """
    error, freedom = _students(estimate)
    if error <= ROUNDING:
        return 0.5 ** (freedom + 1) if abs(estimate.value) < margin else 1.0
    return float(stats.t.sf((margin - abs(estimate.value)) / error, freedom))


def detectable_difference(estimate: Estimate, level: float) -> float:
    """The true difference that a two-sided test at `level` detects, with the right sign, with a probability of 80 %.

    Computed from the noncentral t with the estimated standard error. Raises ValueError for an estimate over images.
    """
    error, freedom = _students(estimate)
    return error * float(special.nctdtrinc(freedom, 1 - POWER, stats.t.isf(level / 2, freedom)))


def _students(estimate: Estimate) -> tuple[float, float]:
    if estimate.standard_error is None or estimate.freedom is None:
        raise ValueError(f"an estimate by {estimate.method} has no standard error of Student's; three seeds have one")
    return estimate.standard_error, estimate.freedom


def bootstrap(*samples: np.ndarray) -> tuple[float, float]:
    """The percentile bootstrap interval of a mean over images, or of the difference between the means of two
    independent samples of images; with a fixed seed."""

    def statistic(*drawn: np.ndarray, axis: int) -> np.ndarray:
        first, *others = (np.mean(each, axis=axis) for each in drawn)
        return np.asarray(first - others[0] if others else first)

    interval = stats.bootstrap(
        samples, statistic, n_resamples=RESAMPLES, batch=50, confidence_level=CONFIDENCE, method="percentile", rng=2012
    ).confidence_interval
    return float(interval.low), float(interval.high)


def p_of_disagreements(worse: np.ndarray, better: np.ndarray) -> float:
    """McNemar's p for whether two nets err on the same images, bool (n,); exact below FEW_DISAGREEMENTS."""
    only_worse, only_better = int((worse & ~better).sum()), int((better & ~worse).sum())
    if only_worse + only_better == 0:
        return 1.0
    exact = only_worse + only_better < FEW_DISAGREEMENTS
    return float(mcnemar([[0, only_worse], [only_better, 0]], exact=exact).pvalue)


def _estimate_crossed(nets: Nets, what: str) -> Estimate:
    """The mean over nets and images, with a test of 0, by crossed random effects of seeds and images."""
    return _estimate_mean(_errors(nets), [part_of_images(nets)], f" and {len(nets[0]):,} {what}")


def _estimate_mean(values: Sequence[float], images: list[Part], words: str) -> Estimate:
    """The mean of one value per seed; `images`: their parts of the variance; `words`: their description."""
    parts, method = [part_of_seeds(values), *images], f"t over {len(values)} seeds{words}"
    return _student(float(np.mean(values)), parts, method, _p_of_signs(len(values)))


def _contrast(
    worse: Sequence[float], better: Sequence[float], spread: Spread | None, images: list[Part], words: str
) -> Estimate:
    """The difference of two means of one value per seed; `images`, `words`: as in _estimate_mean."""
    first, second = len(worse), len(better)
    seeds, name = part_of_contrast(worse, better, spread)
    method = f"{name} over {first} and {second} seeds{words}"
    p_of_ranks = min(1.0, 2 / math.comb(first + second, first))
    return _student(float(np.mean(worse) - np.mean(better)), [seeds, *images], method, p_of_ranks)


def _student(value: float, parts: Sequence[Part], method: str, p_of_equals: float) -> Estimate:
    """Student's t interval and test of 0; without variance, an interval of zero width and, unless the value is 0,
    `p_of_equals`."""
    total = add_parts(parts)
    error, freedom = math.sqrt(total.variance), total.freedom
    if error <= ROUNDING:
        return replace(_without_variance(value, method, p_of_equals), standard_error=0.0, freedom=freedom)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * error
    p = float(2 * stats.t.sf(abs(value) / error, freedom))
    return Estimate(value, value - half, value + half, method, p, error, freedom)


def _compare_over_images(worse: Nets, better: Nets, what: str) -> Estimate:
    """The difference between the mean errors of these nets; McNemar's test for a single pair, else a t test."""
    found = estimate_over_images(_mean_of_nets(worse) - _mean_of_nets(better), what)
    if len(worse) == len(better) == 1 and worse[0].dtype == better[0].dtype == bool:
        words = f"bootstrap over {len(worse[0]):,} {what}, McNemar's test: {THESE_NETS}"
        return replace(found, method=words, p=p_of_disagreements(worse[0], better[0]))
    return found


def _compare_samples(first: np.ndarray, second: np.ndarray) -> Estimate:
    """The difference between the means of two independent samples of images: bootstrap and Welch's t test."""
    method = f"bootstrap over {len(first):,} and {len(second):,} images, Welch's t test: {THESE_NETS}"
    value = float(np.mean(first) - np.mean(second))
    if max(np.ptp(first), np.ptp(second)) == 0:
        return _without_variance(value, method, _p_of_signs(len(first)))
    p = float(stats.ttest_ind(first, second, equal_var=False).pvalue)
    return Estimate(value, *bootstrap(first, second), method, p)


def _errors(nets: Nets) -> list[float]:
    return [float(net.mean()) for net in nets]


def _mean_of_nets(nets: Nets) -> np.ndarray:
    return np.asarray(np.mean(nets, axis=0, dtype=np.float64))


def _without_variance(value: float, method: str, p: float) -> Estimate:
    """The estimate from equal values, for which t would divide by 0; its p is 1 if they are 0, else `p`."""
    return Estimate(value, value, value, method, 1.0 if abs(value) <= ROUNDING else p)


def _p_of_signs(count: int) -> float:
    """The two-sided p of a sign test if all `count` signs agree."""
    return 0.5 ** (count - 1)
