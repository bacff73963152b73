import gc

import numpy as np
import pytest
from scipy import stats

from alexnet2012.reporting.compare.errors import Errors
from alexnet2012.reporting.compare.judgement import judge


def test_three_seeds_are_tested_by_welch():
    (found,) = judge([Errors("photos", "cnn", "test", "centre", (0.40, 0.45, 0.50), (0.60, 0.65, 0.70), (20, 20))], [])
    # Variances 0.0025, so that the standard error is sqrt(0.0025 * 2 / 3) = 0.040825 and t = -4.899 with 4 degrees.
    assert (found.difference, found.low, found.high) == pytest.approx((-0.2, -0.31335, -0.08665), abs=1e-5)
    assert (found.p, found.p_holm) == pytest.approx((0.00805, 0.00805), abs=1e-5)
    assert (found.different, found.samples) == (True, "3 and 3 seeds")


@pytest.mark.filterwarnings("ignore:Precision loss")  # the seeds of B do not vary
def test_variances_need_not_be_equal():
    (found,) = judge([Errors("photos", "cnn", "test", "centre", (0.40, 0.45, 0.50), (0.60,) * 4, (20, 20))], [])
    # All of the standard error, 0.05 / sqrt(3), is A's, with its 2 degrees of freedom: t = -0.15 / 0.028868 = -5.196.
    assert (found.p, found.samples) == (pytest.approx(0.0351, abs=1e-4), "3 and 4 seeds")
    assert found.high - found.low == pytest.approx(2 * 4.30265 * 0.0288675, abs=1e-5)


@pytest.mark.parametrize("others", [0, 400])
def test_what_would_be_seen_has_a_chance_of_four_in_five(others):
    near = Errors("photos", "cnn", "test", "centre", (0.40, 0.45, 0.50), (0.40, 0.45, 0.50), (20, 20))
    found = judge([near] * (1 + others), [])[0]
    critical = stats.t.ppf(1 - 0.025 / (1 + others), 4)
    # t exceeds `critical` when a normal of mean visible / 0.040825 exceeds it times sqrt(chi2 / 4).
    chance = stats.chi2.expect(lambda x: stats.norm.sf(critical * (x / 4) ** 0.5, found.visible / 0.0408248), args=(4,))
    assert chance == pytest.approx(0.8, abs=1e-4)


def test_nets_of_one_method_are_rarely_called_different(monkeypatch):
    """Seeds spread by 1.5 points, as in the rehearsal; 20,000 images alone would tell half of all pairs apart."""
    monkeypatch.setattr(gc, "collect", lambda: 0)  # multipletests calls it each time, for 60 ms
    random, families, wrong = np.random.default_rng(2012), 500, 0
    for _ in range(families):
        sides = [(key, random.normal(0.45, 0.015, (2, seeds)).tolist()) for key, seeds in (("cnn", 5), ("one-gpu", 1))]
        family = [Errors("photos", key, "test", "centre", tuple(a), tuple(b), (20_000,) * 2) for key, (a, b) in sides]
        wrong += any(each.different for each in judge(family, family))
    assert 0.02 < wrong / families < 0.07  # 5 % +- 2 standard errors of 1 %


def test_holm_counts_all_tests():
    near = Errors("photos", "cnn", "test", "centre", (0.40, 0.45, 0.50), (0.51, 0.56, 0.61), (20, 20))
    far = Errors("photos", "cnn", "test", "ten_crop", (0.40, 0.45, 0.50), (0.60, 0.65, 0.70), (20, 20))
    alone, (first, second, third) = judge([near], []), judge([near, far, near], [])
    assert alone[0].p == first.p == third.p == pytest.approx(0.0544, abs=1e-4)
    assert (first.p_holm, second.p_holm) == pytest.approx((2 * first.p, 3 * second.p))
    assert (first.different, second.different) == (False, True)
    assert first.visible > alone[0].visible


def test_single_nets_are_tested_over_images():
    (found,) = judge([Errors("photos", "cnn", "test", "centre", (0.42,), (0.45,), (10_000, 10_000))], [])
    # z = 0.03 / sqrt(0.435 * 0.565 * 2 / 10,000) = 4.279
    assert (found.difference, found.p) == pytest.approx((-0.03, 1.88e-5), abs=1e-7)
    assert (found.low, found.high) == pytest.approx((-0.0437, -0.0163), abs=1e-4)
    assert (found.different, found.samples) == (True, "10,000 images")
    # (1.95996 + 0.84162) standard errors of 0.0070113
    assert found.visible == pytest.approx(0.019643, abs=1e-5)


def test_two_seeds_count_as_one_set_of_images():
    alone, two = (
        judge([Errors("photos", "cnn", "test", "centre", a, (0.45,), (10_000, 10_000))], [])[0]
        for a in ((0.42,), (0.42, 0.42))
    )
    assert two.p == alone.p


def test_a_difference_within_the_spread_of_seeds_is_none():
    single = Errors("photos", "one-gpu", "test", "centre", (0.42,), (0.45,), (10_000, 10_000))
    spread = Errors("photos", "cnn", "test", "centre", (0.43, 0.45, 0.47), (0.44, 0.46, 0.48), (10_000, 10_000))
    (found,) = judge([single], [single, spread])
    # Pooled standard deviation 0.02 with 4 degrees of freedom: t = 0.03 / (0.02 * sqrt(2)) = 1.0607
    assert (found.p, found.different, found.samples) == (pytest.approx(0.34866, abs=1e-4), False, "spread of 8 nets")
    assert found.high - found.low == pytest.approx(2 * 2.77645 * 0.0282843, abs=1e-5)
    identical = Errors("photos", "cnn", "test", "centre", spread.a, spread.a, (10_000, 10_000))
    (fewer,) = judge([single], [single, identical])
    assert fewer.p == pytest.approx(2 * stats.t.sf(1.0607, 2), abs=1e-4)  # the same nets twice are not six
    elsewhere = Errors("drawings", "cnn", "test", "centre", spread.a, spread.b, (10_000, 10_000))
    assert judge([single], [single, elsewhere])[0].different


@pytest.mark.parametrize("errors", [(0.0, 0.0), (1.0, 1.0), (0.5, 0.5)])
def test_equal_errors_have_p_1(errors):
    (found,) = judge([Errors("photos", "cnn", "test", "centre", (errors[0],), (errors[1],), (20, 20))], [])
    assert (found.difference, found.p, found.different) == (0, 1, False)


def test_seeds_that_do_not_vary_are_tested_over_images():
    (found,) = judge([Errors("photos", "cnn", "test", "centre", (0.1,) * 3, (0.9,) * 3, (20, 20))], [])
    assert (found.samples, found.different) == ("20 images", True)
