"""Each interval in its declared use, on simulated nets whose seeds and images both vary: 95 % of 1,000 cover.

An image has a difficulty and a net a clumsiness, both normal; a net errs on an image where the two and noise of its own
exceed a threshold. Two methods differ in the mean clumsiness of their nets; all images are equally hard for both.
"""

import numpy as np
import pytest
from scipy.stats import norm

from alexnet2012.evaluation import over_images, statistics
from alexnet2012.evaluation.statistics import estimate_difference, estimate_error, estimate_gap

REPETITIONS = 1000
DIFFICULTY, SEED_SPREAD, WORSE_BY = 1.0, 0.1, 0.1
SPREAD = np.sqrt(1 + DIFFICULTY**2)  # of the net's own noise and the difficulty together
THRESHOLD = 0.7


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(over_images, "RESAMPLES", 200)


def draw_nets(generator: np.random.Generator, mean: float, seeds: int) -> np.ndarray:
    return generator.normal(mean, SEED_SPREAD, seeds)


def draw_wrong(generator: np.random.Generator, clumsiness: float, difficulty: np.ndarray) -> np.ndarray:
    return clumsiness + difficulty + generator.normal(size=len(difficulty)) > THRESHOLD


def expected_error(clumsiness: float | np.ndarray, seed_spread: float = 0.0) -> float | np.ndarray:
    """The error of a net over all images, or of a method over all seeds too."""
    return norm.cdf((clumsiness - THRESHOLD) / np.hypot(SPREAD, seed_spread))


def simulate_pairs(generator: np.random.Generator, seeds: int, images: int):
    """Answers of two methods' nets to the same images, and each net's clumsiness."""
    difficulty = generator.normal(0, DIFFICULTY, images)
    nets = [draw_nets(generator, mean, seeds) for mean in (WORSE_BY, 0.0)]
    answers = [[draw_wrong(generator, clumsiness, difficulty) for clumsiness in each] for each in nets]
    return answers, nets


def coverage(cover) -> float:
    generator = np.random.default_rng(2012)
    return float(np.mean([cover(generator) for _ in range(REPETITIONS)]))


def covers(estimate: statistics.Estimate, truth: float) -> bool:
    return bool(estimate.low <= truth <= estimate.high)


@pytest.mark.parametrize("seeds", [3, 5])
def test_t_over_seeds_covers_the_methods_difference(seeds):
    truth = expected_error(WORSE_BY, SEED_SPREAD) - expected_error(0.0, SEED_SPREAD)

    def cover(generator) -> bool:
        answers, _ = simulate_pairs(generator, seeds, 400)
        return covers(estimate_difference(*answers), truth)

    assert 0.93 <= coverage(cover) <= 0.97


@pytest.mark.parametrize("seeds", [1, 2])
def test_the_bootstrap_over_images_covers_these_nets_difference_and_not_the_methods(seeds):
    method = expected_error(WORSE_BY, SEED_SPREAD) - expected_error(0.0, SEED_SPREAD)
    of_the_method = []

    def cover(generator) -> bool:
        answers, nets = simulate_pairs(generator, seeds, 250)
        estimate = estimate_difference(*answers)
        of_the_method.append(covers(estimate, method))
        return covers(estimate, np.mean(expected_error(nets[0]) - expected_error(nets[1])))

    assert 0.93 <= coverage(cover) <= 0.97
    assert np.mean(of_the_method) < 0.9


def test_wilson_covers_one_nets_error():
    def cover(generator) -> bool:
        (clumsiness,) = draw_nets(generator, 0.0, 1)
        wrong = draw_wrong(generator, clumsiness, generator.normal(0, DIFFICULTY, 400))
        return covers(estimate_error([wrong]), expected_error(clumsiness))

    assert 0.93 <= coverage(cover) <= 0.97


def test_the_bootstrap_of_two_samples_covers_these_nets_difference_of_gaps():
    """On training images both methods' nets err less, and the worse method's much less."""

    def cover(generator) -> bool:
        samples, truth = {}, 0.0
        nets = [draw_nets(generator, mean, seeds=2) for mean in (WORSE_BY, 0.0)]
        for split, images, learnt in (("val", 150, (0.0, 0.0)), ("train", 200, (-0.8, -0.3))):
            difficulty = generator.normal(0, DIFFICULTY, images)
            worse, better = ([clumsiness + each for clumsiness in net] for net, each in zip(nets, learnt, strict=True))
            pairs = list(zip(worse, better, strict=True))
            samples[split] = [
                draw_wrong(generator, a, difficulty).astype(float) - draw_wrong(generator, b, difficulty)
                for a, b in pairs
            ]
            found = np.mean([expected_error(a) - expected_error(b) for a, b in pairs])
            truth += found if split == "val" else -found
        return covers(estimate_gap(samples["val"], samples["train"]), truth)

    assert 0.93 <= coverage(cover) <= 0.97
