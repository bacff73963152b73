"""Improved Fisher vectors: the gradient of a mixture's log-likelihood by its means and variances (Perronnin et al.).

The paper's [24] encodes images this way. Differences from skimage.feature.fisher_vector: there is no part for the
weights, as in the literature; the part for the variances has the opposite sign; and one call encodes all cells.
"""

from dataclasses import dataclass

import numpy as np

NEGLIGIBLE = 1e-4  # smaller posterior probabilities are set to 0


@dataclass(frozen=True)
class Mixture:
    """K Gaussians with diagonal covariances in D dimensions: weights float32 (K,), means and variances (K, D)."""

    weights: np.ndarray
    means: np.ndarray
    variances: np.ndarray

    def share(self, descriptors: np.ndarray) -> np.ndarray:
        """The posterior probability of each Gaussian for each descriptor, float32 (n, K)."""
        precision = 1 / self.variances
        constant = np.log(self.weights) - 0.5 * (np.log(2 * np.pi * self.variances) + self.means**2 * precision).sum(1)
        logarithms = descriptors @ (self.means * precision).T - 0.5 * (descriptors**2 @ precision.T) + constant
        logarithms -= logarithms.max(axis=1, keepdims=True)
        shares: np.ndarray = np.exp(logarithms)
        shares /= shares.sum(axis=1, keepdims=True)
        return shares


def encode_fisher(descriptors: np.ndarray, mixture: Mixture, cells: np.ndarray) -> np.ndarray:
    """Fisher vectors, float32 (cells, 2 K D), of the descriptors (n, D) in each of `cells`, bool (cells, n).

    Signed square roots are taken, then each vector is scaled to length 1; zeros for a cell without descriptors.
    """
    shares = mixture.share(descriptors)
    shares[shares < NEGLIGIBLE] = 0
    weights, means, variances = mixture.weights[:, None], mixture.means, mixture.variances
    squares, vectors = descriptors**2, np.zeros((len(cells), 2 * means.size), np.float32)
    for vector, cell in zip(vectors, cells, strict=True):
        own, count = shares[cell], int(cell.sum())
        if count == 0:
            continue
        total, first, second = own.sum(0)[:, None], own.T @ descriptors[cell], own.T @ squares[cell]
        by_means = (first - total * means) / (count * np.sqrt(weights * variances))
        centred = second - 2 * means * first + total * (means**2 - variances)
        by_variances = centred / (count * variances * np.sqrt(2 * weights))
        vector[:] = normalise(np.concatenate([by_means.ravel(), by_variances.ravel()]))
    return vectors


def normalise(vector: np.ndarray) -> np.ndarray:
    """Signed square roots of a vector, scaled to Euclidean length 1; zeros stay zeros."""
    rooted: np.ndarray = np.sign(vector) * np.sqrt(np.abs(vector))
    length = np.linalg.norm(rooted)
    if length > 0:
        rooted /= length
    return rooted
