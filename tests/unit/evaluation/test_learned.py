import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from alexnet2012.evaluation.metrics import (
    Chance,
    chance_of,
    has_learned,
    is_chance_error,
    is_chance_loss,
    measure_chance,
)

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


def test_what_is_worse_than_chance_has_not_learned():
    """A net that answers every image alike exactly ties all classes, and ties count against it."""
    assert is_chance_error(1.0, 5000, TEN)


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
