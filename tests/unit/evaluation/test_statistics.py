import math

import numpy as np
import pytest
from scipy import stats

from alexnet2012.evaluation.linear_model import part_of_images, part_of_seeds
from alexnet2012.evaluation.statistics import (
    estimate_difference,
    estimate_error,
    estimate_gap,
    estimate_over_images,
    estimate_over_seeds,
    p_of_disagreements,
)

THESE_NETS = "these nets, not the method"


def mistakes(wrong: int, images: int) -> np.ndarray:
    """The first `wrong` of `images` answers are wrong."""
    return np.arange(images) < wrong


@pytest.mark.parametrize(
    ("wrong", "images", "low", "high"),
    [
        (10, 100, 0.0552, 0.1744),
        # Newcombe 1998, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_one_net_has_the_published_wilson_interval(wrong, images, low, high):
    estimate = estimate_error([mistakes(wrong, images)])
    assert estimate.value == wrong / images
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=5e-5)
    assert estimate.method == f"Wilson over {images} images"


def test_an_error_over_seeds_is_of_crossed_random_effects():
    """Three nets, four images. Errors 1/2, 1/2, 1/4; the images' means 1, 2/3, 0, 0.

    Mean squares: seeds 4 * 1/48 = 1/12, images 3 * 1/4 = 3/4 (variance of the means: (7/12)^2 + (1/4)^2 + 2 (5/12)^2 =
    3/4, over 3), total sum of squares 12 * 5/12 * 7/12 = 35/12, left 35/12 - 2/12 - 27/12 = 1/2, over 6: 1/12.
    V = (1/12 + 3/4 - 1/12) / 12 = 1/16; parts 1/144 with 2 degrees and (3/4 - 1/12) / 12 = 1/18 with 3: a ninth of 1/2
    and eight of 1/3.
    """
    nets = [np.array(each, dtype=bool) for each in ([1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0])]
    estimate = estimate_error(nets)
    assert estimate.value == pytest.approx(5 / 12)
    assert estimate.standard_error == pytest.approx(1 / 4)
    assert estimate.freedom == pytest.approx(1 / (1 / 18 + 8 / 27))
    half = stats.t.ppf(0.975, estimate.freedom) / 4
    assert (estimate.low, estimate.high) == (max(0.0, 5 / 12 - half), min(1.0, 5 / 12 + half))
    assert estimate.low == 0.0


def test_three_seeds_are_enough_for_the_method_and_two_are_not():
    nets = [mistakes(wrong, 100) for wrong in (10, 20, 30)]
    three = estimate_error(nets)
    assert three.method == "t over 3 seeds and 100 images"
    two = estimate_error(nets[:2])
    assert two.method == f"bootstrap over 100 images: {THESE_NETS}"
    assert two.value == pytest.approx(0.15)
    assert (two.standard_error, two.freedom) == (None, None)
    assert [estimate_error(nets[:count]).p for count in (1, 2, 3)] == [None] * 3


def test_students_p_is_the_one_of_the_t_distribution():
    """1, 2, 3: mean 2, deviation 1, t = 2 * sqrt(3) = 3.4641; P(|T| > t) with 2 degrees is 1 - t / sqrt(2 + t^2)."""
    estimate = estimate_over_seeds([1.0, 2.0, 3.0])
    t = 2 * math.sqrt(3)
    assert estimate.p == pytest.approx(1 - t / math.sqrt(2 + t * t), rel=1e-9)
    assert estimate.p == pytest.approx(0.0742, abs=5e-5)


@pytest.mark.parametrize(("value", "count", "p"), [(0.0, 3, 1.0), (0.25, 3, 0.25), (-0.25, 3, 0.25), (0.25, 5, 0.0625)])
def test_equal_seeds_have_no_width_and_the_p_of_a_sign_test(value, count, p):
    """Twice 1/2 to the power of the number of seeds."""
    estimate = estimate_over_seeds([value] * count)
    assert (estimate.value, estimate.low, estimate.high) == (value, value, value)
    assert estimate.p == pytest.approx(p, rel=1e-12)
    assert estimate.method == f"t over {count} seeds"


def test_seeds_that_differ_by_rounding_are_equal():
    values = [0.3 - 0.2, 0.2 - 0.1, 0.1]  # 0.09999999999999998, 0.1, 0.1: t would be 10^16
    assert len(set(values)) > 1
    assert estimate_over_seeds(values).p == pytest.approx(0.25)
    assert estimate_over_seeds([0.3 - 0.2 - 0.1, 0.0, 0.0]).p == 1.0


def test_the_bootstrap_is_near_the_normal_interval():
    values = np.random.default_rng(3).random(1000) < 0.3
    estimate = estimate_over_images(values.astype(np.float64))
    mean = values.mean()
    half = 1.96 * math.sqrt(mean * (1 - mean) / 1000)
    assert estimate.value == mean
    assert (estimate.low, estimate.high) == pytest.approx((mean - half, mean + half), abs=0.15 * half)
    assert estimate.method == f"bootstrap over 1,000 images, t test over them: {THESE_NETS}"
    assert estimate_over_images(values.astype(np.float64), "queries").method.startswith("bootstrap over 1,000 queries")


def test_the_bootstrap_is_seeded():
    generator = np.random.default_rng(0)
    nets = [generator.random(500) < 0.4, generator.random(500) < 0.35]
    state = np.random.get_state()[1].tolist()
    first, second = estimate_error(nets), estimate_error(nets)
    assert first == second
    assert first.low < first.value < first.high
    assert np.random.get_state()[1].tolist() == state


def test_a_difference_pairs_the_images():
    # Both are wrong on half the images, and differ on the ten images that only the first gets wrong.
    worse, better = mistakes(510, 1000), mistakes(500, 1000)
    estimate = estimate_difference([worse], [better])
    assert estimate.value == pytest.approx(0.01)
    assert estimate_difference([better], [worse]).value == pytest.approx(-0.01)
    paired = 1.96 * math.sqrt(0.01 * 0.99 / 1000)  # unpaired it would be seven times as wide
    assert estimate.high - estimate.low == pytest.approx(2 * paired, rel=0.2)
    assert estimate.low > 0
    assert estimate.method == f"bootstrap over 1,000 images, McNemar's test: {THESE_NETS}"
    assert estimate.p == pytest.approx(2 / 2**10)  # all ten disagreements on one side


def disagreements(only_worse: int, only_better: int) -> tuple[np.ndarray, np.ndarray]:
    """Two answers to 200 images that disagree on so many, and are wrong together on five."""
    place = np.arange(200)
    both = place >= 195
    return (place < only_worse) | both, ((place >= only_worse) & (place < only_worse + only_better)) | both


@pytest.mark.parametrize(
    ("only_worse", "only_better", "p"),
    [
        (0, 0, 1.0),
        (8, 2, 2 * (1 + 10 + 45) / 2**10),  # exact: at most 2 of 10, both tails
        (5, 5, 1.0),
        # From 25 on chi-squared with continuity correction: (|30 - 10| - 1)^2 / 40 = 9.025 with one degree
        (30, 10, math.erfc(math.sqrt(9.025 / 2))),
        (10, 30, math.erfc(math.sqrt(9.025 / 2))),
    ],
)
def test_mcnemars_p(only_worse, only_better, p):
    assert p_of_disagreements(*disagreements(only_worse, only_better)) == pytest.approx(p, rel=1e-9)


def test_two_pairs_are_tested_over_their_images():
    """Of 200 images one pair disagrees on 30 + 10, the other on none, so that the means are 0.5, -0.5 and 0."""
    worse, better = disagreements(30, 10)
    estimate = estimate_difference([worse, worse], [better, worse])
    assert estimate.value == pytest.approx(0.05)
    spread = math.sqrt((40 * 0.25 - 200 * 0.05**2) / 199)
    t = 0.05 / (spread / math.sqrt(200))
    assert t == pytest.approx(3.2363, abs=1e-4)
    assert estimate.p == pytest.approx(0.00142, abs=2e-5)  # t with 199 degrees
    assert estimate.low > 0
    assert estimate.method == f"bootstrap over 200 images, t test over them: {THESE_NETS}"


def test_three_pairs_have_students_interval_of_their_differences():
    # 5, 6 and 7 points, although the errors themselves spread over 40.
    worse = [mistakes(wrong, 100) for wrong in (15, 36, 57)]
    better = [mistakes(wrong, 100) for wrong in (10, 30, 50)]
    estimate = estimate_difference(worse, better)
    half = 4.302653 * 0.01 / math.sqrt(3)
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((0.06, 0.06 - half, 0.06 + half), abs=1e-7)
    t = 6 * math.sqrt(3)
    assert estimate.p == pytest.approx(1 - t / math.sqrt(2 + t * t), rel=1e-6)


def test_a_pair_without_its_partner_is_refused():
    with pytest.raises(ValueError):
        estimate_difference([mistakes(1, 10)] * 2, [mistakes(1, 10)])


def test_a_gap_draws_from_both_samples():
    """val 0.4 of 500 images, train 0.1 of 2,000: standard error sqrt(0.24 / 500 + 0.09 / 2000) = 0.0229."""
    val, train = mistakes(200, 500).astype(float), mistakes(200, 2000).astype(float)
    estimate = estimate_gap([val], [train])
    half = 1.96 * math.sqrt(0.24 / 500 + 0.09 / 2000)
    assert estimate.value == pytest.approx(0.3)
    assert (estimate.low, estimate.high) == pytest.approx((0.3 - half, 0.3 + half), abs=0.1 * half)
    assert estimate.method == f"bootstrap over 500 and 2,000 images, Welch's t test: {THESE_NETS}"
    assert estimate.p < 1e-20


def test_a_gap_of_three_seeds_has_a_part_from_either_sample():
    generator = np.random.default_rng(1)
    val, train = ([generator.random(images) < error for error in (0.5, 0.6, 0.7)] for images in (60, 90))
    estimate = estimate_gap(val, train)
    parts = [part_of_seeds([float(a.mean() - b.mean()) for a, b in zip(val, train, strict=True)])]
    parts += [part_of_images(val), part_of_images(train)]
    assert estimate.standard_error == pytest.approx(math.sqrt(sum(each.variance for each in parts)))
    assert estimate.method == "t over 3 seeds, 60 and 90 images"


@pytest.mark.parametrize("count", [1, 2, 3])
def test_no_difference_and_no_gap_have_no_width_and_a_p_of_1(count):
    wrong = np.random.default_rng(0).random(200) < 0.5
    gap = estimate_gap([np.zeros(10)] * count, [np.zeros(20)] * count)
    for found in (estimate_difference([wrong] * count, [wrong.copy()] * count), gap):
        assert (found.value, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)


def test_a_gap_between_a_constant_and_a_sample_is_no_nan():
    estimate = estimate_gap([mistakes(5, 10).astype(float)], [np.zeros(20)])
    assert estimate.low < 0.5 < estimate.high
    assert 0 < estimate.p < 0.05


def test_a_bootstrap_of_equal_values_has_no_width():
    found = estimate_over_images(np.full(10, 0.25))
    assert (found.value, found.low, found.high) == (0.25, 0.25, 0.25)
