import numpy as np
import pytest

from alexnet2012.baselines.fisher import Mixture, encode_fisher, normalise

RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def learnt():
    """scikit-image's mixture of three Gaussians in four dimensions, and ours of the same numbers."""
    from skimage.feature import learn_gmm

    samples, settings = [RANDOM.normal(k, 1 + k, (100, 4)) for k in range(3)], {"random_state": 0}
    gaussians = learn_gmm(samples, n_modes=3, gm_args=settings | {"covariance_type": "diag"})
    parts = (gaussians.weights_, gaussians.means_, gaussians.covariances_)
    return gaussians, Mixture(*(each.astype(np.float32) for each in parts))


@pytest.mark.parametrize("count", [1, 7, 300])
def test_vectors_are_those_of_scikit_image(learnt, count):
    """Without the weights' part; the variances' part has the other sign there. Each is normalised after that."""
    from skimage.feature import fisher_vector

    gaussians, mixture = learnt
    descriptors = RANDOM.normal(1, 2, (count, 4)).astype(np.float32)
    expected = fisher_vector(descriptors.astype(np.float64), gaussians)[3:]
    expected = normalise(np.concatenate([expected[:12], -expected[12:]]))
    (found,) = encode_fisher(descriptors, mixture, np.ones((1, count), bool))
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-5)


def test_each_cell_is_encoded_by_its_own_descriptors(learnt):
    _, mixture = learnt
    descriptors = RANDOM.normal(1, 2, (20, 4)).astype(np.float32)
    cells = np.array([np.ones(20, bool), np.arange(20) < 5, np.zeros(20, bool)])
    found = encode_fisher(descriptors, mixture, cells)
    assert found.shape == (3, 2 * 3 * 4) and found.dtype == np.float32
    np.testing.assert_allclose(found[1], encode_fisher(descriptors[:5], mixture, cells[:1, :5])[0], atol=1e-6)
    assert (found[2] == 0).all()


def test_shares_are_probabilities_even_far_from_all_gaussians(learnt):
    gaussians, mixture = learnt
    descriptors = np.concatenate([RANDOM.normal(0, 1, (5, 4)), np.full((1, 4), 1e3)]).astype(np.float32)
    shares = mixture.share(descriptors)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(shares[:5], gaussians.predict_proba(descriptors[:5].astype(np.float64)), atol=1e-4)


def test_signed_roots_of_length_one():
    np.testing.assert_allclose(normalise(np.array([9.0, -16.0])), [3 / 5, -4 / 5])
    assert (normalise(np.zeros(3)) == 0).all()
