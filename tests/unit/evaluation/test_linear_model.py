import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW, ttost_paired

from alexnet2012.evaluation.linear_model import Spread, pool_spread
from alexnet2012.evaluation.statistics import (
    detectable_difference,
    equivalence_p,
    estimate_contrast,
    estimate_contrast_of_values,
    estimate_gap_contrast,
    estimate_over_images,
    estimate_over_seeds,
    predict_one,
)

VARIANTS = {
    "cnn": [0.224, 0.226, 0.221, 0.228, 0.225],
    "one-gpu": [0.231, 0.236, 0.233],
    "tanh": [0.252],
    "no-lrn": [0.227, 0.219, 0.224, 0.229],
}


def test_the_spread_and_a_contrast_are_those_of_ordinary_least_squares():
    rows = [(variant, value) for variant, values in VARIANTS.items() for value in values]
    model = smf.ols("error ~ C(variant)", pd.DataFrame(rows, columns=["variant", "error"])).fit()
    spread = pool_spread(VARIANTS)
    assert (spread.deviation, spread.freedom) == (pytest.approx(math.sqrt(model.scale)), model.df_resid)
    assert spread.groups == 3  # one seed of tanh tells nothing
    several = [VARIANTS[name] for name in ("cnn", "one-gpu", "no-lrn")]
    assert spread.bartlett_p == pytest.approx(stats.bartlett(*several).pvalue)
    assert spread.pooled
    expected = model.t_test("C(variant)[T.one-gpu] = 0")
    found = estimate_contrast_of_values(VARIANTS["one-gpu"], VARIANTS["cnn"], spread)
    assert (found.value, found.standard_error) == pytest.approx((expected.effect.item(), expected.sd.item()))
    assert found.p == pytest.approx(expected.pvalue.item())
    assert (found.low, found.high) == pytest.approx(expected.conf_int().ravel())


@pytest.mark.parametrize("spread", [None, Spread(0.1, 9, 0.01, 3, pooled=False)])
def test_without_one_spread_a_contrast_is_welchs(spread):
    worse, better = VARIANTS["one-gpu"], VARIANTS["cnn"]
    expected = CompareMeans(DescrStatsW(worse), DescrStatsW(better))
    t, p, freedom = expected.ttest_ind(usevar="unequal")
    found = estimate_contrast_of_values(worse, better, spread)
    assert (found.value / found.standard_error, found.p, found.freedom) == pytest.approx((t, p, freedom))
    assert (found.low, found.high) == pytest.approx(expected.tconfint_diff(usevar="unequal"))


def test_spreads_that_differ_are_not_pooled():
    assert not pool_spread({"a": [0.1, 0.1001, 0.1002, 0.1001], "b": [0.1, 0.3, 0.5, 0.2]}).pooled


def test_two_one_sided_tests_are_those_of_statsmodels():
    values = [0.002, -0.001, 0.004, 0.001, 0.0]
    p, _, _ = ttost_paired(np.array(values), np.zeros(5), -0.005, 0.005)
    assert equivalence_p(estimate_over_seeds(values), 0.005) == pytest.approx(p)


def test_an_estimate_over_images_has_no_equivalence_and_no_power():
    found = estimate_over_images(np.array([0.0, 1.0, 1.0]))
    with pytest.raises(ValueError, match="bootstrap"):
        equivalence_p(found, 0.1)
    with pytest.raises(ValueError, match="bootstrap"):
        detectable_difference(found, 0.05)


def test_the_detectable_difference_is_that_of_a_power_table():
    """Cohen 1988: two groups of 64, d = 0.5 has a power of 0.80 at 0.05."""
    worse, better = (list(stats.norm.ppf((np.arange(64) + 0.5) / 64)) for _ in range(2))
    found = estimate_contrast_of_values(worse, better, pool_spread({"a": worse, "b": better}))
    assert detectable_difference(found, 0.05) / np.std(worse, ddof=1) == pytest.approx(0.5, abs=0.002)


def test_one_more_net_by_the_textbook_formula():
    found = predict_one([0.41, 0.44, 0.44])
    half = 4.302653 * 0.01 * math.sqrt(3) * math.sqrt(4 / 3)
    assert (found.value, found.low, found.high) == pytest.approx((0.43, 0.43 - half, 0.43 + half), abs=1e-7)


def test_a_contrast_has_a_part_from_seeds_and_one_from_images():
    generator = np.random.default_rng(0)
    worse, better = ([generator.random(50) < p for p in errors] for errors in ((0.6, 0.5, 0.7, 0.6), (0.3, 0.4, 0.3)))
    found = estimate_contrast(worse, better)
    a, b = np.array(worse, dtype=float), np.array(better, dtype=float)
    seeds = a.mean(1).var(ddof=1) / 4 + b.mean(1).var(ddof=1) / 3

    def interaction(y):
        """By the two-way analysis of variance."""
        return y.size * (y.var() - y.mean(1).var() - y.mean(0).var()) / (len(y) - 1) / (y.shape[1] - 1)

    images = (a.mean(0) - b.mean(0)).var(ddof=1) - interaction(a) / 4 - interaction(b) / 3
    assert found.standard_error == pytest.approx(math.sqrt(seeds + max(0.0, images) / 50))
    assert found.method == "Welch's t over 4 and 3 seeds and 50 images"
    gap = estimate_gap_contrast([(net, np.zeros(9)) for net in worse], [(net, np.zeros(9)) for net in better])
    assert (gap.value, gap.p) == pytest.approx((found.value, found.p))
