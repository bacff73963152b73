import numpy as np
import pytest

from alexnet2012.baselines.quantise import Quantiser, cut_parts

VECTORS = np.random.default_rng(0).normal(size=(600, 20)).astype(np.float32)


@pytest.fixture(scope="module")
def quantiser():
    return Quantiser.learn(VECTORS, seed=0)


def test_what_is_left_is_near_and_a_byte_for_eight_numbers(quantiser):
    codes = quantiser.encode(VECTORS)
    assert (codes.dtype, codes.shape) == (np.uint8, (600, 3))
    found = quantiser.decode(codes)
    assert found.shape == VECTORS.shape and found.dtype == np.float32
    # 256 centroids of eight normal numbers leave about 60 % of their variance's root.
    assert np.linalg.norm(found - VECTORS) < 0.75 * np.linalg.norm(VECTORS)
    parts = cut_parts(VECTORS)
    for part in range(3):  # each takes its nearest centroid
        distances = np.linalg.norm(parts[:, part][:, None] - quantiser.centroids[part], axis=2)
        np.testing.assert_allclose(distances[np.arange(600), codes[:, part]], distances.min(axis=1), atol=2e-3)


def test_few_vectors_are_kept_as_they_are():
    few = VECTORS[:40, :12]
    quantiser = Quantiser.learn(few, seed=0)
    np.testing.assert_array_equal(quantiser.decode(quantiser.encode(few)), few)
