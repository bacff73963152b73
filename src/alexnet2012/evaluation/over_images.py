"""What the images alone tell of nets at hand: a percentile bootstrap, and McNemar's test."""

from collections.abc import Callable

import numpy as np
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

CONFIDENCE = 0.95
RESAMPLES = 2000
FEW_DISAGREEMENTS = 25  # below this McNemar's test is the exact binomial one


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
