"""What the tests of contrasts find on simulated nets: the standard error of a share is 0.6 points at 5, 1.0 at 80 %."""

import math
from functools import cache

import numpy as np
import pytest
from scipy.stats import norm
from simulated_nets import OF_IMAGES, OF_THE_SEED, draw_ledgers, error_of_the_method

from alexnet2012.evaluation.statistics import Estimate, detectable_difference, equivalence_p, estimate_contrast


@cache
def contrasts(worse_by: float, seeds: int, base_seeds: int, seed: int = 2012) -> list[Estimate]:
    ledgers = draw_ledgers(np.random.default_rng(seed), worse_by, seeds, base_seeds)
    return [estimate_contrast(*each) for each in ledgers]


@pytest.mark.parametrize(("seeds", "base_seeds"), [(5, 10), (3, 3)])
def test_equal_variants_differ_in_five_of_a_hundred(seeds, base_seeds):
    found = contrasts(0.0, seeds, base_seeds)
    assert 0.03 <= np.mean([each.p < 0.05 for each in found]) <= 0.06
    assert all((each.p < 0.05) == (each.low > 0 or each.high < 0) for each in found)


def test_variants_at_the_margin_are_equivalent_in_five_of_a_hundred():
    worse_by = 0.4
    margin = error_of_the_method(worse_by) - error_of_the_method(0.0)
    found = contrasts(worse_by, 5, 10)
    assert 0.03 <= np.mean([equivalence_p(each, margin) < 0.05 for each in found]) <= 0.06
    assert np.mean([equivalence_p(each, margin) < 0.05 for each in contrasts(0.0, 5, 10)]) > 0.8


@pytest.mark.parametrize("level", [0.05, 0.05 / 16])
@pytest.mark.parametrize(("seeds", "base_seeds"), [(5, 10), (3, 3)])
def test_the_detectable_difference_is_found_four_times_in_five(seeds, base_seeds, level):
    """Of a design whose standard error is known: the estimates' deviation, which is known to 2 points of power."""
    none = contrasts(0.0, seeds, base_seeds)
    error, freedom = np.std([each.value for each in none]), np.median([each.freedom for each in none])
    difference = detectable_difference(Estimate(0.0, 0.0, 0.0, "t", None, float(error), float(freedom)), level)
    worse_by = norm.ppf(0.5 + difference) * math.hypot(OF_IMAGES, OF_THE_SEED)
    found = contrasts(worse_by, seeds, base_seeds, seed=2013)
    assert 0.75 <= np.mean([each.p < level and each.value > 0 for each in found]) <= 0.85
