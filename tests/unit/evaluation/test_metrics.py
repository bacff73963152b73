import numpy as np
import pytest

from alexnet2012.errors import RecordError
from alexnet2012.evaluation import metrics
from alexnet2012.evaluation.metrics import rank_truth

# Labels stand at rank 1, 2, 3, 6 and 7 of seven classes.
BY_HAND = np.array(
    [
        [0.40, 0.20, 0.10, 0.10, 0.08, 0.07, 0.05],
        [0.40, 0.20, 0.10, 0.10, 0.08, 0.07, 0.05],
        [0.30, 0.25, 0.15, 0.10, 0.08, 0.07, 0.05],
        [0.30, 0.25, 0.15, 0.10, 0.08, 0.07, 0.05],
        [0.30, 0.25, 0.15, 0.10, 0.08, 0.07, 0.05],
    ],
    dtype=np.float32,
)
LABELS = np.array([0, 1, 2, 5, 6])


def error(probabilities: np.ndarray, labels: np.ndarray, k: int) -> float:
    """The fraction of `labels` not among the k most probable."""
    return float((rank_truth(probabilities, labels) >= k).mean())


@pytest.mark.parametrize(
    ("k", "wrong"),
    [(1, [0, 1, 1, 1, 1]), (2, [0, 0, 1, 1, 1]), (5, [0, 0, 0, 1, 1]), (6, [0, 0, 0, 0, 1]), (7, [0, 0, 0, 0, 0])],
)
def test_errors_worked_by_hand(k, wrong):
    found = rank_truth(BY_HAND, LABELS) >= k
    assert found.dtype == bool
    assert found.tolist() == [bool(each) for each in wrong]
    assert error(BY_HAND, LABELS, k) == sum(wrong) / 5


@pytest.mark.parametrize(("classes", "top1", "top5"), [(1, 0.0, 0.0), (4, 1.0, 0.0), (5, 1.0, 0.0), (6, 1.0, 1.0)])
def test_a_net_that_says_nothing_is_not_credited(classes, top1, top5):
    probabilities = np.full((classes, classes), 1 / classes, dtype=np.float32)
    labels = np.arange(classes)
    assert error(probabilities, labels, 1) == top1
    assert error(probabilities, labels, 5) == top5


def test_all_equal_probabilities_over_ten_classes_are_wrong_at_one_and_five():
    probabilities = np.full((10, 10), 0.1, dtype=np.float32)
    assert (rank_truth(probabilities, np.arange(10)) >= 1).all()
    assert (rank_truth(probabilities, np.arange(10)) >= 5).all()
    assert not (rank_truth(probabilities, np.arange(10)) >= 10).any()


def test_a_tie_counts_against_the_net_wherever_the_label_stands():
    probabilities = np.array([[0.4, 0.4, 0.2], [0.4, 0.4, 0.2], [0.6, 0.2, 0.2]], dtype=np.float32)
    assert (rank_truth(probabilities, np.array([0, 1, 2])) >= 1).tolist() == [True, True, True]
    # Rank 2 by the tie; and a tie of the last two puts the label third.
    assert (rank_truth(probabilities, np.array([0, 1, 2])) >= 2).tolist() == [False, False, True]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_probabilities_that_are_not_finite_are_refused(bad):
    probabilities = BY_HAND.copy()
    probabilities[3, 6] = bad
    with pytest.raises(RecordError, match="rows 0..4 hold probabilities that are not finite"):
        rank_truth(probabilities, LABELS)


@pytest.mark.parametrize("labels", [4, 6])
def test_another_number_of_labels_is_refused(labels):
    with pytest.raises(RecordError, match=f"5 rows of probabilities for {labels} labels"):
        rank_truth(BY_HAND, np.zeros(labels, dtype=np.int64))


@pytest.mark.parametrize("rows", [1, 3, 4, 8, 9])
def test_chunks_change_nothing(monkeypatch, tmp_path, rows):
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(9), 8).astype(np.float32)
    labels = generator.integers(0, 9, 8)
    ranks = [int((row > row[label]).sum()) for row, label in zip(probabilities, labels, strict=True)]
    np.save(tmp_path / "p.npy", probabilities)
    monkeypatch.setattr(metrics, "CHUNK_VALUES", 9 * rows + 8)
    mapped = np.load(tmp_path / "p.npy", mmap_mode="r")
    for k in (1, 3, 5):
        assert (rank_truth(mapped, labels) >= k).tolist() == [rank >= k for rank in ranks]
    assert 0 < sum(rank >= 3 for rank in ranks) < 8


def test_the_refusal_names_the_rows_of_the_last_chunk(monkeypatch):
    monkeypatch.setattr(metrics, "CHUNK_VALUES", 14)
    probabilities = BY_HAND.copy()
    probabilities[4, 0] = np.nan
    with pytest.raises(RecordError, match=r"rows 4\.\.4 hold"):
        rank_truth(probabilities, LABELS)


@pytest.mark.parametrize("label", [-1, 7])
def test_a_label_that_is_no_class_is_refused(label):
    with pytest.raises(RecordError, match=f"labels from .*{label}.* do not fit 7 classes"):
        rank_truth(BY_HAND, np.array([0, 1, 2, 5, label]))


def test_no_images_are_refused():
    with pytest.raises(RecordError, match="no images"):
        error(BY_HAND[:0], LABELS[:0], 1)
