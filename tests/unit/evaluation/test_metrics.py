import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from alexnet2012.errors import RecordError
from alexnet2012.evaluation import metrics
from alexnet2012.evaluation.metrics import (
    Chance,
    chance_of,
    has_learned,
    is_chance_error,
    is_chance_loss,
    measure_chance,
    rank_truth,
)

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


def test_a_tie_counts_against_the_net_wherever_the_label_stands():
    probabilities = np.array([[0.4, 0.4, 0.2], [0.4, 0.4, 0.2], [0.6, 0.2, 0.2]], dtype=np.float32)
    assert (rank_truth(probabilities, np.array([0, 1, 2])) >= 1).tolist() == [True, True, True]
    # Rank 2 by the tie; and a tie of the last two puts the label third.
    assert (rank_truth(probabilities, np.array([0, 1, 2])) >= 2).tolist() == [False, False, True]


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


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("chunk", "rows"), [(2**18, "0..4"), (14, "4..4")])
def test_probabilities_that_are_not_finite_are_refused_with_their_rows(monkeypatch, bad, chunk, rows):
    monkeypatch.setattr(metrics, "CHUNK_VALUES", chunk)
    probabilities = BY_HAND.copy()
    probabilities[4, 6] = bad
    with pytest.raises(RecordError, match=f"rows {rows} hold probabilities that are not finite"):
        rank_truth(probabilities, LABELS)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 2, 5], "5 rows of probabilities for 4 labels"),
        ([0, 1, 2, 5, 6, 0], "5 rows of probabilities for 6 labels"),
        ([0, 1, 2, 5, -1], "labels from -1 to 5 do not fit 7 classes"),
        ([0, 1, 2, 5, 7], "labels from 0 to 7 do not fit 7 classes"),
        ([], "no images"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, message):
    with pytest.raises(RecordError, match=message):
        rank_truth(BY_HAND, np.array(labels, dtype=np.int64))


REFERENCES = Path(__file__).parents[3] / "results" / "reference"
TEN = Chance(math.log(10), 0.9)


def make_record(loss: float = 0.8, error: float = 0.3, **changes) -> dict:
    """A training's record with these last values, of ten classes and 5,000 val images."""
    record = {"variant": "cnn", "learning_rate": 0.01, "classes": 10, "dataset": {"counts": {"val": 5000}}}
    return record | {"final": {"train_loss": loss, "val_top1_error": error}, "diverged": False} | changes


def make_prediction(error: float) -> dict:
    return {"images": 1000, "errors": {"centre": {"top1": error}}}


def test_chance_of_classes_of_one_size():
    labels = np.repeat(np.arange(10), 50)
    chance = measure_chance(labels, labels[::5])
    assert (chance.train_loss, chance.val_error) == (pytest.approx(math.log(10)), pytest.approx(0.9))
    assert chance_of({"classes": 10}) == Chance(math.log(10), 0.9)


def test_chance_of_classes_of_unlike_sizes_is_that_of_their_shares():
    """Half, a quarter, a quarter: (ln 2) / 2 + (ln 4) / 2; always naming val's largest class errs on 4 of 10."""
    chance = measure_chance(np.repeat([0, 1, 2], [20, 10, 10]), np.repeat([0, 1, 2], [1, 6, 3]))
    assert (chance.train_loss, chance.val_error) == (pytest.approx(1.5 * math.log(2)), pytest.approx(0.4))
    assert chance_of({"classes": 3, "chance": {"train_loss": 1.04, "val_error": 0.4}}) == Chance(1.04, 0.4)


@pytest.mark.parametrize(("factor", "at_chance"), [(0.989, False), (0.991, True), (1.0, True), (1.009, True)])
def test_a_loss_within_one_percent_of_the_constants_is_a_chance_loss(factor, at_chance):
    assert is_chance_loss(factor * math.log(10), TEN) is at_chance


@pytest.mark.parametrize("classes", [2, 10, 1000])
@pytest.mark.parametrize("images", [20, 1000])
def test_an_error_is_chance_where_wilsons_interval_reaches_it(classes, images):
    """The rule in one line against scipy's interval, for every number of wrong answers."""
    chance = Chance(math.log(classes), 1 - 1 / classes)
    for wrong in range(images + 1):
        interval = stats.binomtest(wrong, images).proportion_ci(method="wilson")
        assert is_chance_error(wrong / images, images, chance) == (interval.high > chance.val_error), wrong
    assert is_chance_error(1.0, images, chance)  # ties of all classes count against a net


@pytest.mark.parametrize(
    ("record", "learned"),
    [
        (make_record(), True),
        (make_record(loss=2.3038, error=0.9), False),
        (make_record(loss=2.3038), False),  # of a last epoch at chance, whatever the error
        (make_record(error=0.892), False),  # within 1.96 * sqrt(0.9 * 0.1 / 5000) = 0.0083 of 0.9
        (make_record(error=0.891), True),
        (make_record(error=0.7, chance={"train_loss": 1.5, "val_error": 0.7}), False),  # the largest class has 30 %
        (make_record(diverged=True), False),
        (make_record(diverged=True, final=None), False),
        (make_record(final=None), None),
        (make_record(loss=2.3038, error=0.9, variant="relu-rate-0.01"), None),  # tries a learning rate
        (make_record(loss=2.3038, error=0.9, variant="relu-rate-0.02"), False),
    ],
)
def test_the_rule(record, learned):
    assert has_learned(record) is learned


@pytest.mark.parametrize(("error", "learned"), [(0.3, True), (0.9, False)])
def test_a_baseline_is_judged_by_its_error_on_val_alone(error, learned):
    record = make_record(final=None)
    del record["learning_rate"]
    assert has_learned(record, make_prediction(error)) is learned


def test_of_the_committed_nets_tanh_alone_did_not_learn():
    """Older records say neither their chance level nor whether they learned; all are of classes of one size."""
    records = [json.loads(path.read_text(encoding="utf-8")) for path in REFERENCES.glob("*/runs/*/*/*/record.json")]
    learned = {(each["variant"], each["seed"]): has_learned(each) for each in records if each["kind"] == "training"}
    assert [net for net, found in learned.items() if found is False] == [("tanh", 0)]
    assert {variant.rpartition("-")[0] for (variant, _), found in learned.items() if found is None} == {
        "four-layer-relu-rate",
        "four-layer-tanh-rate",
    }
