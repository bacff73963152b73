import numpy as np
import pytest

from alexnet2012.baselines.quantise import Quantiser, split

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("dimensions", [8, 20, 64])
def test_what_is_left_is_near_and_a_byte_for_eight_numbers(dimensions):
    vectors = RANDOM.normal(size=(2000, dimensions)).astype(np.float32)
    quantiser = Quantiser.learn(vectors, seed=0)
    codes = quantiser.encode(vectors)
    assert (codes.dtype, codes.shape) == (np.uint8, (2000, -(-dimensions // 8)))
    found = quantiser.decode(codes)
    assert found.shape == vectors.shape and found.dtype == np.float32
    # 256 centroids of eight normal numbers leave about 60 % of their variance's root.
    assert np.linalg.norm(found - vectors) < 0.75 * np.linalg.norm(vectors)


def test_few_vectors_are_kept_as_they_are():
    vectors = RANDOM.normal(size=(40, 12)).astype(np.float32)
    quantiser = Quantiser.learn(vectors, seed=0)
    np.testing.assert_array_equal(quantiser.decode(quantiser.encode(vectors)), vectors)


def test_each_part_takes_its_nearest_centroid():
    vectors = RANDOM.normal(size=(600, 16)).astype(np.float32)
    quantiser = Quantiser.learn(vectors, seed=1)
    parts, codes = split(vectors), quantiser.encode(vectors)
    for part in range(2):
        distances = np.linalg.norm(parts[:, part][:, None] - quantiser.centroids[part], axis=2)
        np.testing.assert_allclose(distances[np.arange(600), codes[:, part]], distances.min(axis=1), atol=2e-3)


def test_it_is_the_same_for_the_same_seed():
    vectors = RANDOM.normal(size=(700, 8)).astype(np.float32)
    first, second, other = (Quantiser.learn(vectors, seed).centroids for seed in (0, 0, 5))
    assert np.array_equal(first, second) and not np.array_equal(first, other)
