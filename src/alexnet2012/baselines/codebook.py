"""The unsupervised part of a baseline: principal directions of descriptors, and a Gaussian mixture or dictionary."""

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA, MiniBatchDictionaryLearning
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from alexnet2012.baselines.fisher import Mixture, encode_fisher
from alexnet2012.baselines.sparse import encode_sparse
from alexnet2012.config.nets import FisherConfig, SparseConfig

VARIANCE_FLOOR = 1e-4  # minimum of a Gaussian's variance, relative to the reduced descriptors' mean variance
EM_STEPS = 100
# The choice of atoms matters little for classification (Coates and Ng, ICML 2011), and learning them is slow: one pass
# over 20,000 descriptors, in batches, learns 1,024 atoms in a minute.
DICTIONARY_SAMPLE, BATCH = 20_000, 256


@dataclass(frozen=True)
class Codebook:
    """The coding of descriptors: subtract `mean` (D,), project on `axes` (D, d), then code by `parts`, which are a
    mixture's weights, means and variances, or atoms. All float32."""

    mean: np.ndarray
    axes: np.ndarray
    parts: dict[str, np.ndarray]

    def reduce(self, descriptors: np.ndarray) -> np.ndarray:
        reduced: np.ndarray = (descriptors - self.mean) @ self.axes
        return reduced

    def encode(self, descriptors: np.ndarray, cells: np.ndarray, config: FisherConfig | SparseConfig) -> np.ndarray:
        """The code of an image, float32 (dimensions,), of length 1 at most, from its descriptors (n, D), pooled over
        `cells`, bool (c, n)."""
        reduced = self.reduce(descriptors)
        if isinstance(config, FisherConfig):
            codes = encode_fisher(reduced, Mixture(**self.parts), cells)
        else:
            codes = encode_sparse(reduced, self.parts["atoms"], config.penalty, cells)
        codes /= np.sqrt(len(cells), dtype=np.float32)
        return codes.reshape(-1)

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays by name, to be stored."""
        return {"mean": self.mean, "axes": self.axes, **self.parts}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "Codebook":
        parts = {name: each for name, each in arrays.items() if name not in ("mean", "axes")}
        return cls(arrays["mean"], arrays["axes"], parts)


def learn_codebook(descriptors: np.ndarray, config: FisherConfig | SparseConfig, seed: int) -> Codebook:
    """The codebook learned from a sample of descriptors, float32 (n, D)."""
    directions = min(config.dimensions, *descriptors.shape)
    pca = PCA(directions, svd_solver="covariance_eigh").fit(descriptors)
    axes = pca.components_.T
    if isinstance(config, SparseConfig):  # whitened: unit variance in each direction
        axes = axes / np.sqrt(pca.explained_variance_ + 1e-2 * pca.explained_variance_.mean())
    mean, axes = pca.mean_.astype(np.float32), axes.astype(np.float32)
    reduced = (descriptors - mean) @ axes
    if isinstance(config, FisherConfig):
        return Codebook(mean, axes, learn_mixture(reduced, config, seed))
    return Codebook(mean, axes, learn_atoms(reduced, config, seed))


def learn_mixture(reduced: np.ndarray, config: FisherConfig, seed: int) -> dict[str, np.ndarray]:
    floor = VARIANCE_FLOOR * float(reduced.var(axis=0).mean())
    found = GaussianMixture(
        config.gaussians, covariance_type="diag", max_iter=EM_STEPS, reg_covar=floor, random_state=seed
    ).fit(reduced)
    parts = {"weights": found.weights_, "means": found.means_, "variances": found.covariances_}
    return {name: each.astype(np.float32) for name, each in parts.items()}


def learn_atoms(reduced: np.ndarray, config: SparseConfig, seed: int) -> dict[str, np.ndarray]:
    learning = MiniBatchDictionaryLearning(
        config.atoms, alpha=config.penalty, batch_size=BATCH, max_iter=1, random_state=seed
    )
    with warnings.catch_warnings():  # an inner solver warns in each batch
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = learning.fit(reduced[:DICTIONARY_SAMPLE].astype(np.float64))
    return {"atoms": found.components_.astype(np.float32)}
