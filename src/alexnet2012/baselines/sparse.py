"""Sparse codes by soft thresholding over a learned dictionary, max-pooled over cells.

Soft thresholding of the projections is the first step of an iterative solver for sparse coding. It classifies as well
as the full solution (Coates and Ng, ICML 2011), and costs only one matrix product.
"""

import numpy as np


def code(descriptors: np.ndarray, atoms: np.ndarray, threshold: float) -> np.ndarray:
    """Soft-thresholded projections on the atoms (K, D), float32 (n, 2 K): positive parts first, then negative ones."""
    projections = descriptors @ atoms.T
    return np.maximum(np.concatenate([projections, -projections], axis=1) - threshold, 0)


def encode_sparse(descriptors: np.ndarray, atoms: np.ndarray, threshold: float, cells: np.ndarray) -> np.ndarray:
    """Max-pooled codes, float32 (cells, 2 K), of the descriptors (n, D) in each of `cells`, bool (cells, n).

    Square roots are taken, then each vector is scaled to length 1; zeros for a cell without descriptors or codes."""
    codes, pooled = code(descriptors, atoms, threshold), np.zeros((len(cells), 2 * len(atoms)), np.float32)
    for vector, cell in zip(pooled, cells, strict=True):
        if not cell.any():
            continue
        vector[:] = np.sqrt(codes[cell].max(axis=0))
        length = np.linalg.norm(vector)
        if length > 0:
            vector /= length
    return pooled
