import numpy as np
import pandas as pd
import pytest
from fake_results import change

from alexnet2012 import paper
from alexnet2012.errors import RecordError
from alexnet2012.reporting.cells import outcome_cells
from alexnet2012.reporting.claims import settle
from alexnet2012.reporting.measures_training import epochs_to_converge
from alexnet2012.reporting.outcomes import NotMeasured
from alexnet2012.reporting.results import load_results

CLAIMS = {claim.id: claim for claim in paper.CLAIMS}
# Of 20 training and 10 val images; the base net's gaps are 50 - 20, 40 - 15 and 60 - 25 %: 30, 25 and 35 points.
BASE = {0: (4, 5), 1: (3, 4), 2: (5, 6)}


def settled(fake, claim: str):
    return settle(CLAIMS[claim], load_results(fake.folder, fake.data), "photos")


def add(fake, key: str, seeds: dict[int, tuple[int, int]], losses=(2.0, 1.0)) -> None:
    fake.add(key, {seed: {} for seed in seeds}, ("in_text",))
    fake.train(key, seeds, losses)


@pytest.mark.parametrize(("claim", "key"), [("C08", "no-dropout"), ("C09", "no-crops")])
def test_overfitting_is_the_wider_gap_between_val_and_training_error(fake, claim, key):
    """Its gaps are 70 - 5, 60 - 0 and 70 - 10 %: 65, 60 and 60, wider by 35, 35 and 25: mean 31.67 points."""
    add(fake, "cnn", BASE | {3: (20, 0)})
    add(fake, key, {0: (1, 7), 1: (0, 6), 2: (2, 7)})
    outcome = settled(fake, claim)
    assert outcome.top1.value == pytest.approx(0.95 / 3)
    half = 4.302653 * np.std([0.35, 0.35, 0.25], ddof=1) / 3**0.5
    assert outcome.top1.low == pytest.approx(0.95 / 3 - half, abs=1e-6)
    assert outcome.beside.startswith(f"gaps 61.67 ({key}) and 30.00 (cnn) points")
    assert outcome.conditions == (
        f"photos; val minus training error, centre crop, {key} minus cnn; 4 epochs; seeds 0, 1, 2"
    )


def test_one_seeds_gap_is_drawn_from_the_images_of_both_splits(fake):
    add(fake, "cnn", {0: (4, 5)})
    add(fake, "no-crops", {0: (1, 7)})
    outcome = settled(fake, "C09")
    assert outcome.top1.value == pytest.approx(0.35)  # 70 - 5 - (50 - 20)
    assert outcome.top1.low < 0.35 < outcome.top1.high
    assert outcome.top1.method == "bootstrap over 10 and 20 images, Welch's t test: these nets, not the method"
    assert outcome.scope.few


def test_c08_tells_how_many_times_as_long_the_net_with_dropout_takes(fake):
    add(fake, "cnn", BASE, losses=(3.0, 2.0, 1.0, 0.505, 0.5))  # at most 0.505 from epoch 4
    add(fake, "no-dropout", BASE, losses=(2.0, 0.1009, 0.3, 0.1))  # at most 0.101 from epoch 2
    assert settled(fake, "C08").beside.endswith("; cnn converges in 4.0 epochs, no-dropout in 2.0: 2.0x")


@pytest.mark.parametrize(("losses", "epoch"), [((1.0,), 1), ((2.0, 1.02, 1.01, 1.0), 3), ((0.5, 2.0, 1.0), 1)])
def test_a_net_has_converged_within_1_percent_of_its_final_loss(losses, epoch):
    history = pd.DataFrame({"epoch": range(1, len(losses) + 1), "train_loss": losses})
    assert epochs_to_converge(history) == epoch


def test_c19_is_the_training_error(fake):
    """Of 20: 6 - 4, 6 - 3, 9 - 5."""
    add(fake, "cnn", BASE)
    add(fake, "no-weight-decay", {0: (6, 0), 1: (6, 5), 2: (9, 0)})
    outcome = settled(fake, "C19")
    assert outcome.top1.value == pytest.approx(0.15)
    assert outcome_cells(outcome) == [
        "15.00 [2.58, 27.42] points",
        "photos; training error, centre crop, no-weight-decay minus cnn; 4 epochs; seeds 0, 1, 2; t over 3 seeds",
    ]


def test_c06_tells_of_overfitting_where_answers_were_kept(fake):
    fake.add("cnn", {0: {}}, ("in_text",)).add("pool-2x2", {0: {}}, ("in_text",))
    assert settled(fake, "C06").beside == ""
    fake.train("cnn", {0: (4, 5)})
    fake.train("pool-2x2", {0: (3, 5)})
    assert settled(fake, "C06").beside.startswith(
        "the gap between val and training error of pool-2x2 is wider by 5.00 ["
    )


def test_a_run_without_answers_is_named(fake):
    fake.add("cnn", {0: {}}, ("in_text",)).add("no-crops", {0: {}}, ("in_text",))
    run = fake.folder / "runs/photos/no-crops-00000000/seed0"
    assert settled(fake, "C09") == NotMeasured(f"{run} has no answers.npz; train this net anew")


def test_answers_that_contradict_their_record_are_refused(fake):
    add(fake, "cnn", {0: (4, 5)})
    add(fake, "no-crops", {0: (4, 5)})
    run = fake.folder / "runs/photos/cnn-00000000/seed0"
    change(run / "record.json", final={"train_loss": 1.0, "train_top1_error": 0.2, "val_top1_error": 0.4})
    with pytest.raises(RecordError) as caught:
        settled(fake, "C09")
    assert str(caught.value) == (
        f"{run / 'answers.npz'}: val has an error of 0.5000, record.json beside it says 0.4000; train this net anew"
    )


@pytest.mark.parametrize("content", [b"", b"no arrays"])
def test_answers_that_cannot_be_read_are_named(fake, content):
    add(fake, "cnn", {0: (4, 5)})
    add(fake, "no-crops", {0: (4, 5)})
    path = fake.folder / "runs/photos/cnn-00000000/seed0/answers.npz"
    path.write_bytes(content)
    with pytest.raises(RecordError, match=f"{path} cannot be read .*; train this net anew"):
        settled(fake, "C09")
