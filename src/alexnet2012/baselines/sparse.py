"""Codes over a dictionary that sparse coding has learnt, by soft thresholds, maximum-pooled over cells.

A soft threshold of the projections is the first step of an iterative solver of sparse coding, and does as well for
classification as its solution (Coates and Ng, ICML 2011), at the price of a product of matrices.
"""

import numpy as np


def code(descriptors: np.ndarray, atoms: np.ndarray, threshold: float) -> np.ndarray:
    """Float32 (n, 2 K): by how much each projection on the atoms (K, D) exceeds the threshold, positive ones first."""
    projections = descriptors @ atoms.T
    return np.maximum(np.concatenate([projections, -projections], axis=1) - threshold, 0)


def encode_sparse(descriptors: np.ndarray, atoms: np.ndarray, threshold: float, cells: np.ndarray) -> np.ndarray:
    """Float32 (cells, 2 K): of each cell, bool (cells, n), each atom's and sign's largest code among its descriptors,
    square-rooted and of length 1; zeros for a cell without descriptors or codes."""
    codes, pooled = code(descriptors, atoms, threshold), np.zeros((len(cells), 2 * len(atoms)), np.float32)
    for vector, cell in zip(pooled, cells, strict=True):
        if not cell.any():
            continue
        vector[:] = np.sqrt(codes[cell].max(axis=0))
        length = np.linalg.norm(vector)
        if length > 0:
            vector /= length
    return pooled
