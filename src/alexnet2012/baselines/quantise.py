"""Product quantisation (Jégou et al. 2011), used by the paper's [24] to store Fisher vectors: a byte for 8 numbers."""

from dataclasses import dataclass

import numpy as np
from sklearn.cluster import MiniBatchKMeans

PART, CENTROIDS = 8, 256


@dataclass(frozen=True)
class Quantiser:
    """A product quantiser. `centroids`: float32 (parts, 256, 8); vectors are padded with zeros to a multiple of 8."""

    centroids: np.ndarray
    dimensions: int

    @classmethod
    def learn(cls, vectors: np.ndarray, seed: int) -> "Quantiser":
        """A quantiser from float32 (n, dimensions), by k-means on each part; up to 256 vectors all become centroids."""
        parts = cut_parts(vectors)
        centroids = np.zeros((parts.shape[1], CENTROIDS, PART), np.float32)
        for index in range(parts.shape[1]):
            own = parts[:, index]
            if len(own) <= CENTROIDS:
                centroids[index, : len(own)] = own
                centroids[index, len(own) :] = own[0]
                continue
            means = MiniBatchKMeans(CENTROIDS, batch_size=4096, n_init=1, max_iter=20, random_state=seed + index)
            centroids[index] = means.fit(own).cluster_centers_
        return cls(centroids, vectors.shape[1])

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Codes, uint8 (n, parts): the index of the nearest centroid for each part."""
        parts = cut_parts(vectors)
        codes = np.empty(parts.shape[:2], np.uint8)
        for index, centroids in enumerate(self.centroids):
            distances = (centroids**2).sum(1) - 2 * parts[:, index] @ centroids.T
            codes[:, index] = distances.argmin(axis=1)
        return codes

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """The quantised vectors, float32 (n, dimensions)."""
        found: np.ndarray = self.centroids[np.arange(codes.shape[1]), codes]
        return found.reshape(len(codes), -1)[:, : self.dimensions]


def cut_parts(vectors: np.ndarray) -> np.ndarray:
    """The vectors cut into parts, float32 (n, parts, 8); the last part is padded with zeros."""
    missing = -vectors.shape[1] % PART
    filled = np.pad(vectors, ((0, 0), (0, missing))) if missing else vectors
    return np.ascontiguousarray(filled, np.float32).reshape(len(vectors), -1, PART)
