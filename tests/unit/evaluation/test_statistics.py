import math

import numpy as np
import pytest

from alexnet2012.evaluation.statistics import (
    bootstrap_over_images,
    estimate_difference,
    estimate_error,
    interval_over_seeds,
)


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


def test_wilson_by_its_formula():
    n, p, z = 10_000, 0.1234, 1.959963984540054
    centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    estimate = estimate_error([mistakes(1234, n)])
    assert estimate.low == pytest.approx((centre - half) / (1 + z * z / n), rel=1e-9)
    assert estimate.high == pytest.approx((centre + half) / (1 + z * z / n), rel=1e-9)
    assert estimate.method == "Wilson over 10,000 images"


def test_five_seeds_have_students_interval():
    # 40..44 %: mean 42 %, deviation sqrt(2.5), times t(4) = 2.776 over sqrt(5)
    estimate = estimate_error([mistakes(wrong, 100) for wrong in (44, 40, 42, 41, 43)])
    half = 2.776445 * math.sqrt(2.5) / 100 / math.sqrt(5)
    assert estimate.value == pytest.approx(0.42)
    assert (estimate.low, estimate.high) == pytest.approx((0.42 - half, 0.42 + half), abs=1e-7)
    assert (estimate.low, estimate.high) == pytest.approx((0.400368, 0.439632), abs=1e-6)
    assert estimate.method == "t over 5 seeds"


def test_three_seeds_are_enough_for_the_method_and_two_are_not():
    nets = [mistakes(wrong, 100) for wrong in (10, 20, 30)]
    three = estimate_error(nets)
    assert three.method == "t over 3 seeds"
    assert three.high - 0.2 == pytest.approx(4.302653 * 0.1 / math.sqrt(3), rel=1e-6)
    two = estimate_error(nets[:2])
    assert two.method == "bootstrap over 100 images: these nets, not the method"
    assert two.value == pytest.approx(0.15)


def test_equal_seeds_have_an_interval_without_width():
    estimate = interval_over_seeds([0.25, 0.25, 0.25])
    assert (estimate.value, estimate.low, estimate.high) == (0.25, 0.25, 0.25)
    assert estimate.method == "t over 3 seeds"


def test_the_bootstrap_is_near_the_normal_interval():
    values = np.random.default_rng(3).random(1000) < 0.3
    estimate = bootstrap_over_images(values.astype(np.float64))
    mean = values.mean()
    half = 1.96 * math.sqrt(mean * (1 - mean) / 1000)
    assert estimate.value == mean
    assert (estimate.low, estimate.high) == pytest.approx((mean - half, mean + half), abs=0.15 * half)
    assert estimate.method == "bootstrap over 1,000 images: these nets, not the method"


def test_the_bootstrap_is_seeded():
    generator = np.random.default_rng(0)
    nets = [generator.random(500) < 0.4, generator.random(500) < 0.35]
    state = np.random.get_state()[1].tolist()
    first, second = estimate_error(nets), estimate_error(nets)
    assert first == second
    assert first.low < first.value < first.high
    assert np.random.get_state()[1].tolist() == state


def test_a_difference_is_worse_minus_better():
    worse, better = [mistakes(30, 100)], [mistakes(20, 100)]
    assert estimate_difference(worse, better).value == pytest.approx(0.10)
    assert estimate_difference(better, worse).value == pytest.approx(-0.10)


def test_a_difference_pairs_the_images():
    # Both are wrong on half the images, and differ on the ten images that only the first gets wrong.
    worse, better = mistakes(510, 1000), mistakes(500, 1000)
    estimate = estimate_difference([worse], [better])
    assert estimate.value == pytest.approx(0.01)
    paired = 1.96 * math.sqrt(0.01 * 0.99 / 1000)  # unpaired it would be seven times as wide
    assert estimate.high - estimate.low == pytest.approx(2 * paired, rel=0.2)
    assert estimate.low > 0
    assert estimate.method == "bootstrap over 1,000 images: these nets, not the method"


def test_no_difference_has_no_width():
    wrong = np.random.default_rng(0).random(200) < 0.5
    estimate = estimate_difference([wrong], [wrong.copy()])
    assert (estimate.value, estimate.low, estimate.high) == (0.0, 0.0, 0.0)


def test_three_pairs_have_students_interval_of_their_differences():
    # 5, 6 and 7 points, although the errors themselves spread over 40.
    worse = [mistakes(wrong, 100) for wrong in (15, 36, 57)]
    better = [mistakes(wrong, 100) for wrong in (10, 30, 50)]
    estimate = estimate_difference(worse, better)
    half = 4.302653 * 0.01 / math.sqrt(3)
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((0.06, 0.06 - half, 0.06 + half), abs=1e-7)
    assert estimate.method == "t over 3 seeds"


def test_a_pair_without_its_partner_is_refused():
    with pytest.raises(ValueError):
        estimate_difference([mistakes(1, 10)] * 2, [mistakes(1, 10)])
