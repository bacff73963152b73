import numpy as np
import pytest

from alexnet2012.evaluation.analysis import chroma_energy, compare_towers


def kernel(red: float, green: float, blue: float) -> np.ndarray:
    """(3, 2, 2), the same colour everywhere."""
    return np.array([red, green, blue])[:, None, None] * np.ones((1, 2, 2))


def test_grey_has_no_chroma_and_opponent_colours_nothing_else():
    kernels = np.stack([kernel(2, 2, 2), kernel(1, -1, 0), kernel(3, 0, 0), kernel(0, 0, 0)])
    # (3, 0, 0) is 1 everywhere and (2, -1, -1): 6 of 9
    assert chroma_energy(kernels).tolist() == pytest.approx([0, 1, 2 / 3, 0])


def test_the_grey_part_is_taken_at_each_position():
    """A black-and-white edge is grey; one from red to cyan is not, although its mean is."""
    edge = np.array([1.0, -1.0])[None, None, None, :]
    grey, coloured = (np.array(colour)[None, :, None, None] * edge for colour in ([1, 1, 1], [1, -0.5, -0.5]))
    assert chroma_energy(grey).tolist() == pytest.approx([0])
    assert chroma_energy(coloured).tolist() == pytest.approx([1])


def test_a_grey_and_a_coloured_tower_differ():
    kernels = np.stack([kernel(1, 1, 1 + k / 100) for k in range(4)] + [kernel(1, -1, k / 100) for k in range(4)])
    found = compare_towers(kernels)
    assert [len(each) for each in found.towers] == [4, 4]
    assert found.means == pytest.approx([np.mean(each) for each in found.towers])
    assert found.means[0] < 0.001 and found.means[1] > 0.99
    assert found.difference == pytest.approx(found.means[1] - found.means[0])
    # Of the 70 ways to choose four of eight, this one and its mirror image are the extreme ones.
    assert found.p == pytest.approx(2 / 70)


def test_towers_of_the_same_kernels_do_not_differ():
    half = [kernel(1, 1, 1), kernel(1, -1, 0), kernel(3, 0, 0)]
    found = compare_towers(np.stack(half + half))
    assert found.difference == pytest.approx(0) and found.p == 1.0


def test_many_kernels_are_permuted_at_random_but_reproducibly():
    kernels = np.random.default_rng(0).normal(size=(96, 3, 3, 3))
    first, second = compare_towers(kernels), compare_towers(kernels)
    assert first == second and 0.05 < first.p <= 1
