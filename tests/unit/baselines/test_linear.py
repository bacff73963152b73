import numpy as np
import pytest
from sklearn.svm import LinearSVC

from alexnet2012.baselines.linear import as_probabilities, decide, fit, measure_scale
from alexnet2012.config.nets import LinearConfig

RANDOM = np.random.default_rng(0)
CENTRES = RANDOM.normal(size=(4, 12))
LABELS = np.repeat(np.arange(4), 60)
VECTORS = (CENTRES[LABELS] + 0.8 * RANDOM.normal(size=(240, 12))).astype(np.float32)
ORDER = RANDOM.permutation(240)
ROWS = np.array_split(ORDER, 5)


def learn(tmp_path, vectors=VECTORS, name="state", threads=1, on_epoch=lambda epoch: None, **config):
    chunks = [lambda rows=rows: vectors[rows] for rows in ROWS]
    settings = LinearConfig(**{"alpha": 1e-3, "epochs": 10} | config)
    return fit(chunks, [LABELS[rows] for rows in ROWS], 4, settings, 0, threads, tmp_path / name, on_epoch)


def error(found, vectors=VECTORS) -> float:
    return float((decide(vectors, **found).argmax(axis=1) != LABELS).mean())


@pytest.mark.parametrize("standardised", [False, True])
def test_it_errs_about_as_a_support_vector_machine_of_all_vectors_at_once(tmp_path, standardised):
    shifted = VECTORS * np.linspace(0.2, 3, 12, dtype=np.float32) + 1
    given = shifted if standardised else VECTORS
    expected = float((LinearSVC().fit(given, LABELS).predict(given) != LABELS).mean())
    assert error(learn(tmp_path, given, standardised=standardised), given) <= expected + 0.03


def test_hyperplanes_are_of_the_vectors_as_they_are(tmp_path):
    """Standardised within, they decide as over standardised vectors."""
    shifted = VECTORS * np.linspace(0.2, 3, 12, dtype=np.float32) + 1
    mean, deviation = measure_scale(shifted[ROWS[0]])
    outside = learn(tmp_path, (shifted - mean) / deviation, "outside")
    within = learn(tmp_path, shifted, "within", standardised=True)
    np.testing.assert_allclose(
        decide(shifted, **within), decide((shifted - mean) / deviation, **outside), rtol=1e-3, atol=1e-3
    )


def test_threads_and_kills_change_nothing(tmp_path):
    class Died(BaseException):
        pass

    def die(epoch: int) -> None:
        if epoch in (3, 9):
            raise Died

    whole = learn(tmp_path, name="whole")
    threaded = learn(tmp_path, name="threaded", threads=4)
    for _ in range(2):
        with pytest.raises(Died):
            learn(tmp_path, name="killed", on_epoch=die)
    killed = learn(tmp_path, name="killed")
    for name in ("weights", "biases"):
        assert np.array_equal(whole[name], threaded[name]) and np.array_equal(whole[name], killed[name])


def test_shares_are_softmax():
    decisions = np.array([[0.0, np.log(3)], [1000.0, 0.0]], np.float32)
    np.testing.assert_allclose(as_probabilities(decisions), [[0.25, 0.75], [1.0, 0.0]], atol=1e-6)
