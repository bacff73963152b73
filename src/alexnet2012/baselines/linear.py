"""One-vs-rest linear classifiers for vectors that do not fit into memory: scikit-learn's SGD in chunks, averaged."""

from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
from sklearn.linear_model import SGDClassifier

from alexnet2012.config.nets import LinearConfig
from alexnet2012.data.augment import stream
from alexnet2012.files import replacing

Chunk = Callable[[], np.ndarray]


def fit(
    chunks: list[Chunk],
    labels: list[np.ndarray],
    classes: int,
    config: LinearConfig,
    seed: int,
    threads: int,
    state: Path,
    on_epoch: Callable[[int], None] = lambda epoch: None,
) -> dict[str, np.ndarray]:
    """Fit one classifier per class by hinge loss and L2: {"weights": (classes, dimensions), "biases": (classes,)}.

    `chunks` return vectors, float32 (n, dimensions), when called; `labels`: those of each chunk. Each epoch shuffles
    the chunks, and the vectors in them, by (seed, epoch). The result is the mean of the models after each chunk from
    the second epoch on. Model and mean are saved to the file `state` after each epoch; the same call resumes from it.
    """
    mean, deviation = measure_scale(chunks[0]()) if config.standardised else (np.float32(0), np.float32(1))
    # scikit-learn's own averaging confuses the biases of classes in partial_fit (version 1.9).
    model = SGDClassifier(loss="hinge", alpha=config.alpha, n_jobs=threads, random_state=seed, shuffle=False)
    done, model, total, count = joblib.load(state) if state.exists() else (0, model, 0.0, 0)
    for epoch in range(done, config.epochs):
        random = stream(seed, "baseline", epoch)
        for index in random.permutation(len(chunks)):
            rows = random.permutation(len(labels[index]))
            vectors = (chunks[index]()[rows] - mean) / deviation
            model.partial_fit(vectors, labels[index][rows], classes=np.arange(classes))
            if epoch > 0 or config.epochs == 1:
                total, count = total + np.column_stack([model.coef_, model.intercept_]), count + 1
        with replacing(state) as path:
            joblib.dump((epoch + 1, model, total, count), path)
        on_epoch(epoch + 1)
    averaged = np.asarray(total / count)
    weights = averaged[:, :-1] / deviation  # for vectors that are not standardised
    biases = averaged[:, -1] - (weights * mean).sum(axis=1)
    return {"weights": weights.astype(np.float32), "biases": biases.astype(np.float32)}


def measure_scale(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scale of each dimension of vectors (n, dimensions), float32; scaled vectors have a length of about 1."""
    deviation = vectors.std(axis=0)
    floor = 0.1 * deviation.mean() + np.finfo(np.float32).tiny
    return vectors.mean(axis=0), (deviation + floor) * np.sqrt(vectors.shape[1], dtype=np.float32)


def decide(vectors: np.ndarray, weights: np.ndarray, biases: np.ndarray) -> np.ndarray:
    """The decision values of each vector for each class, float32 (n, classes)."""
    decisions: np.ndarray = vectors @ weights.T + biases
    return decisions


def as_probabilities(decisions: np.ndarray) -> np.ndarray:
    """The softmax of decision values, float32, so that several models can be averaged."""
    powers: np.ndarray = np.exp(decisions - decisions.max(axis=1, keepdims=True))
    powers /= powers.sum(axis=1, keepdims=True)
    return powers.astype(np.float32)
