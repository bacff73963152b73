import numpy as np
import pytest

from alexnet2012.data.pixel_statistics import add, derive_statistics, sum_images


@pytest.mark.parametrize("side", [6, 258, 259])  # up to 258 the products are summed in float32, and exactly
def test_statistics_are_those_of_a_direct_computation(side):
    images = np.random.default_rng(5).integers(0, 256, (37 if side == 6 else 3, side, side, 3)).astype(np.uint8)
    images[..., 1] = images[..., 0] // 2 + images[..., 1] // 2
    found = derive_statistics(add([sum_images(images[:2]), sum_images(images[2:])]))
    direct = images.astype(np.float64)
    np.testing.assert_array_equal(found.mean_image, direct.mean(axis=0).astype(np.float32))
    covariance = np.cov(direct.reshape(-1, 3).T, bias=True)
    vectors, deviations = found.colour_vectors, found.colour_deviations
    np.testing.assert_allclose(vectors @ np.diag(deviations**2) @ vectors.T, covariance, rtol=1e-9, atol=1e-7)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(3), atol=1e-12)
    assert deviations[0] > deviations[1] > deviations[2]
    assert (vectors[np.abs(vectors).argmax(axis=0), range(3)] > 0).all()


def test_sums_are_exact_at_the_largest_values():
    """258 white rows: 258 x 255^2 = 16,776,450, just below 2^24; one more would not fit into float32's 24 bits."""
    sums = sum_images(np.full((70, 258, 258, 3), 255, np.uint8))
    assert sums.total.tolist()[0][0] == [70 * 255] * 3
    assert sums.moment.tolist() == [[70 * 258 * 258 * 255.0**2] * 3] * 3


def test_parts_add_up_whatever_their_order():
    images = np.random.default_rng(1).integers(0, 256, (50, 9, 9, 3), dtype=np.uint8)
    whole = sum_images(images)
    parts = add([sum_images(images[30:]), sum_images(images[:30])])
    assert parts.images == 50
    np.testing.assert_array_equal(parts.total, whole.total)
    np.testing.assert_array_equal(parts.moment, whole.moment)
