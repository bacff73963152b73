import numpy as np
import pytest

from alexnet2012.baselines.sparse import code, encode_sparse

RANDOM = np.random.default_rng(0)
ATOMS = RANDOM.normal(size=(12, 5)).astype(np.float32)
DESCRIPTORS = RANDOM.normal(size=(30, 5)).astype(np.float32)


def test_a_code_is_what_a_projection_has_above_the_threshold():
    """Both signs apart: the first step of iterative shrinkage from zeros, x <- shrink(D^T d, threshold)."""
    found = code(DESCRIPTORS, ATOMS, 0.5)
    assert (found.shape, found.dtype) == ((30, 24), np.float32)
    projections = DESCRIPTORS.astype(float) @ ATOMS.astype(float).T
    shrunk = np.sign(projections) * np.maximum(np.abs(projections) - 0.5, 0)
    np.testing.assert_allclose(found[:, :12] - found[:, 12:], shrunk, atol=1e-5)
    assert (found >= 0).all() and (np.minimum(found[:, :12], found[:, 12:]) == 0).all()


def test_cells_keep_the_largest_codes():
    cells = np.array([np.ones(30, bool), np.arange(30) < 3, np.zeros(30, bool)])
    found = encode_sparse(DESCRIPTORS, ATOMS, 1.0, cells)
    expected = np.sqrt(code(DESCRIPTORS[:3], ATOMS, 1.0).max(axis=0))
    np.testing.assert_allclose(found[1], expected / np.linalg.norm(expected), atol=1e-6)
    assert (found[2] == 0).all() and np.linalg.norm(found[0]) == pytest.approx(1, abs=1e-5)


def test_nothing_above_the_threshold_is_zeros():
    assert (encode_sparse(DESCRIPTORS, ATOMS, 1e3, np.ones((1, 30), bool)) == 0).all()
