import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW, ttost_paired

from alexnet2012.evaluation.linear_model import Part, Spread, add_parts, part_of_images, part_of_seeds, pool_spread
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


def interaction(answers: np.ndarray) -> float:
    """The mean square of seeds by images, by the two-way analysis of variance."""
    of_means = answers.mean(axis=0).var() + answers.mean(axis=1).var()
    return answers.size * (answers.var() - of_means) / (len(answers) - 1) / (answers.shape[1] - 1)


def test_the_parts_of_a_mean_are_those_of_the_two_way_analysis_of_variance():
    answers = np.random.default_rng(0).random((4, 30)) < np.linspace(0.1, 0.9, 30)
    rows = [(s, i, float(answers[s, i])) for s in range(4) for i in range(30)]
    model = smf.ols("wrong ~ C(seed) + C(image)", pd.DataFrame(rows, columns=["seed", "image", "wrong"])).fit()
    table = anova_lm(model)["mean_sq"]
    assert part_of_seeds(answers.mean(axis=1)) == Part(pytest.approx(table["C(seed)"] / 120), 3)
    assert part_of_images(answers) == Part(pytest.approx((table["C(image)"] - table["Residual"]) / 120), 29)
    assert interaction(answers.astype(float)) == pytest.approx(table["Residual"])


def test_degrees_of_freedom_are_their_harmonic_mean_by_size():
    """3/5 with 2 degrees and 2/5 with 100: 1 / (0.3 + 0.004)."""
    assert add_parts([Part(3.0, 2), Part(2.0, 100)]) == Part(5.0, pytest.approx(1 / 0.304))
    assert add_parts([Part(3.0, 2), Part(0.0, 100)]) == Part(3.0, 2)


def test_a_contrast_has_a_part_from_seeds_and_one_from_images():
    generator, harder = np.random.default_rng(0), np.linspace(-0.3, 0.3, 50)
    worse = [generator.random(50) < error + harder for error in (0.6, 0.5, 0.7, 0.6)]
    better = [generator.random(50) < error for error in (0.3, 0.4, 0.3)]
    found = estimate_contrast(worse, better)
    a, b = np.array(worse, dtype=float), np.array(better, dtype=float)
    seeds = a.mean(axis=1).var(ddof=1) / 4 + b.mean(axis=1).var(ddof=1) / 3
    images = (a.mean(axis=0) - b.mean(axis=0)).var(ddof=1) - interaction(a) / 4 - interaction(b) / 3
    assert images > 0
    assert found.standard_error == pytest.approx(math.sqrt(seeds + images / 50))
    assert found.method == "Welch's t over 4 and 3 seeds and 50 images"


def test_a_contrast_of_gaps_has_a_part_from_either_sample():
    generator = np.random.default_rng(0)
    worse, better = (
        [(generator.random(40) < error, generator.random(60) < error / 2) for error in errors]
        for errors in ((0.7, 0.5, 0.6), (0.3, 0.4, 0.2, 0.3))
    )
    spread = Spread(0.02, 20, 0.5, 6, pooled=True)
    found = estimate_gap_contrast(worse, better, spread)
    gaps = [np.mean([val.mean() - train.mean() for val, train in nets]) for nets in (worse, better)]
    assert found.value == pytest.approx(gaps[0] - gaps[1])
    val, train = (part_of_images([net[k] for net in worse], [net[k] for net in better]) for k in (0, 1))
    assert val.variance > 0
    variance = 0.02**2 * (1 / 3 + 1 / 4) + val.variance + train.variance
    assert found.standard_error == pytest.approx(math.sqrt(variance))
    assert found.method == "t, one spread of 6 variants, over 3 and 4 seeds, 40 and 60 images"


SAME, OTHER = (np.arange(20) < count for count in (8, 5))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("worse", "better", "value", "p"),
    [
        ([SAME] * 3, [SAME] * 5, 0.0, 1.0),
        ([np.ones(20, dtype=bool)] * 3, [np.zeros(20, dtype=bool)] * 3, 1.0, 2 / 20),  # one order of six in 20
        ([np.array([True])] * 5, [np.array([False])] * 10, 1.0, 2 / 3003),
        # Seeds agree, and three images of 20 tell: their part has t = 0.15 / sqrt(0.1342 / 20)
        ([SAME] * 3, [OTHER] * 3, 0.15, 2 * stats.t.sf(0.15 / math.sqrt(3 * 17 / 20 / 19 / 20), 19)),
        ([np.array([each]) for each in (True, True, False)], [np.array([False])] * 3, 2 / 3, 2 * stats.t.sf(2.0, 2)),
    ],
)
def test_without_variance_between_seeds_or_images_a_contrast_is_finite(worse, better, value, p):
    found = estimate_contrast(worse, better, pool_spread({"a": [0.4] * 3, "b": [0.3] * 3}))
    assert (found.value, found.p) == pytest.approx((value, p))
    assert found.low <= found.value <= found.high
    assert np.isfinite([found.low, found.high, found.standard_error, found.freedom]).all()
    assert 0 <= equivalence_p(found, 0.01) <= 1
    assert np.isfinite(detectable_difference(found, 0.05))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ({}, Spread(0.0, 0, 1.0, 0, pooled=False)),
        ({"a": [0.1], "b": [0.2]}, Spread(0.0, 0, 1.0, 0, pooled=False)),
        ({"a": [0.1, 0.1, 0.1], "b": [0.2, 0.2]}, Spread(0.0, 0, 1.0, 0, pooled=False)),
        ({"a": [0.1, 0.2, 0.3]}, Spread(pytest.approx(0.1), 2, 1.0, 1, pooled=True)),
        # The second did not learn, and is always at chance
        ({"a": [0.1, 0.2, 0.3], "b": [0.9] * 5}, Spread(pytest.approx(0.1), 2, 1.0, 1, pooled=True)),
    ],
)
def test_the_spread_of_seeds_that_tell_little(groups, expected):
    assert pool_spread(groups) == expected


@pytest.mark.parametrize(("value", "p"), [(0.002, 0.125), (0.02, 1.0)])
def test_equal_seeds_are_equivalent_by_their_number_alone(value, p):
    """Three seeds within the margin: one in eight, were they as often beyond."""
    assert equivalence_p(estimate_over_seeds([value] * 3), 0.01) == p
