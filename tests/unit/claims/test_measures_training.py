import math

import numpy as np
import pandas as pd
import pytest
import yaml
from fake_results import change

from alexnet2012 import paper
from alexnet2012.claims.ledger import settle_claim
from alexnet2012.claims.measures_training import epochs_at_first_rate, epochs_to_loss, epochs_to_one_loss
from alexnet2012.errors import RecordError

CLAIMS = {claim.id: claim for claim in paper.CLAIMS}
# Of 20 training and 10 val images; the base net's gaps are 50 - 20, 40 - 15 and 60 - 25 %: 30, 25 and 35 points.
BASE = {0: (4, 5), 1: (3, 4), 2: (5, 6)}


def settled(fake, claim: str):
    return settle_claim(CLAIMS[claim], fake.load(), "photos")


def add(fake, key: str, seeds: dict[int, tuple[int, int]], losses=(2.0, 1.0), rates=None) -> None:
    fake.add(key, {seed: {} for seed in seeds}, ("in_text",))
    fake.train(key, seeds, losses, rates=rates)


@pytest.mark.parametrize(("claim", "key"), [("C08", "no-dropout"), ("C09", "no-crops")])
def test_overfitting_is_the_wider_gap_between_val_and_training_error(fake, claim, key):
    """Its gaps are 70 - 5, 60 - 0 and 70 - 10 %: 65, 60 and 60, mean 61.67; the base net's 30, 25, 35 and 30: 30."""
    add(fake, "cnn", BASE | {3: (4, 5)})
    add(fake, key, {0: (1, 7), 1: (0, 6), 2: (2, 7)})
    outcome = settled(fake, claim)
    assert outcome.top1.value == pytest.approx(0.95 / 3)
    squares = 2 * np.var([0.65, 0.60, 0.60], ddof=1) + 3 * np.var([0.30, 0.25, 0.35, 0.30], ddof=1)
    assert outcome.shared.spread.deviation == pytest.approx((squares / 5) ** 0.5)
    assert outcome.top1.standard_error > (squares / 5 * (1 / 3 + 1 / 4)) ** 0.5  # images add to it
    assert outcome.beside.startswith(f"gaps 61.67 ({key}) and 30.00 (cnn) points")
    assert outcome.conditions == (
        f"photos; val minus training error, centre crop, {key} minus cnn; 4 epochs; seeds 0-2 against 0-3"
    )


def test_one_seeds_gap_is_drawn_from_the_images_of_both_splits(fake):
    add(fake, "cnn", {0: (4, 5)})
    add(fake, "no-crops", {0: (1, 7)})
    outcome = settled(fake, "C09")
    assert outcome.top1.value == pytest.approx(0.35)  # 70 - 5 - (50 - 20)
    assert outcome.top1.low < 0.35 < outcome.top1.high
    assert outcome.top1.method == "bootstrap over 10 and 20 images, Welch's t test: these nets, not the method"
    assert outcome.scope.few


RATES = (0.01, 0.01, 0.01, 0.001)


def test_c08_tells_how_many_times_as_long_the_net_with_dropout_takes(fake):
    """After the first rate the losses are 1.0 and 0.5. The base net has 1.0 after 3 epochs, the other after 1.5."""
    add(fake, "cnn", BASE, (3.0, 2.0, 1.0, 0.5), RATES)
    add(fake, "no-dropout", BASE, (1.5, 0.5, 0.5, 0.1), RATES)
    assert settled(fake, "C08").beside.endswith(" cnn takes 3.0 epochs, no-dropout 1.5: 2.00x [2.00, 2.00]")


def test_c08_is_a_geometric_mean_over_the_seeds_that_both_have(fake):
    """Ratios 3 / 1.5 = 2 and 3 / 3 = 1; two seeds have no interval, and cnn's third no partner."""
    add(fake, "cnn", BASE, (3.0, 2.0, 1.0, 0.5), RATES)
    add(fake, "no-dropout", {0: (4, 5)}, (1.5, 0.5, 0.5, 0.1), RATES)
    add(fake, "no-dropout", {1: (4, 5)}, (3.0, 2.0, 1.0, 0.5), RATES)
    assert settled(fake, "C08").beside.endswith(f": {math.sqrt(2):.2f}x")


@pytest.mark.parametrize(
    ("losses", "loss", "epochs"), [((1.0,), 1.0, 1.0), ((2.0, 1.0), 1.5, 1.5), ((2.0, 3.0, 1.0), 2.0, 1.0)]
)
def test_epochs_to_a_loss_lie_on_lines_between_epoch_ends(losses, loss, epochs):
    assert epochs_to_loss(np.array(losses), loss) == epochs


@pytest.mark.parametrize(("rates", "epochs"), [((0.1, 0.1, 0.01), 2), ((0.1, 0.1), 2), ((0.1, 0.01, 0.001), 1)])
def test_the_first_rate_lasts_until_it_first_falls(rates, epochs):
    assert epochs_at_first_rate(pd.DataFrame({"learning_rate": rates})) == epochs


def test_the_slower_net_sets_the_loss_whichever_it_is():
    slow, fast = (
        pd.DataFrame({"train_loss_evaluation_mode": losses, "learning_rate": RATES})
        for losses in ((3.0, 2.0, 1.0, 0.5), (2.0, 0.5, 0.4, 0.1))
    )
    assert epochs_to_one_loss(slow, fast) == (3.0, pytest.approx(1 + 1 / 1.5))
    assert epochs_to_one_loss(fast, slow) == (pytest.approx(1 + 1 / 1.5), 3.0)


def test_c19_is_the_training_error(fake):
    """Of 20: 6 - 4, 6 - 3, 9 - 5."""
    add(fake, "cnn", BASE)
    add(fake, "no-weight-decay", {0: (6, 0), 1: (6, 5), 2: (9, 0)})
    outcome = settled(fake, "C19")
    assert outcome.top1.value == pytest.approx(0.15)
    assert outcome.conditions == "photos; training error, centre crop, no-weight-decay minus cnn; 4 epochs; seeds 0-2"


def test_c19_takes_the_decay_that_compares_with_the_papers(fake):
    """Of 20: 7 - 6 with three seeds; momentum 0.9, 2 epochs of 500 steps at 0.01: 0.01 * 0.01 * 1000 / 0.1 = 1."""
    add(fake, "cnn", BASE)
    for key, wrong, decay in (("no-weight-decay", 7, 0.0), ("strong-decay", 6, 0.01)):
        add(fake, key, dict.fromkeys(range(3), (wrong, 0)), (2.0, 1.0, 0.5), (0.01, 0.01, 0.001))
        for run in fake.folder.glob(f"runs/photos/{key}-00000000/*"):
            change(run / "record.json", steps=1500, epochs=3, learning_rate=0.01)
            training = {"weight_decay": decay, "momentum": 0.9}
            (run / "config.yaml").write_text(yaml.safe_dump({"training": training}), encoding="utf-8")
    outcome = settled(fake, "C19")
    assert outcome.top1.value == pytest.approx(0.05)
    assert "no-weight-decay minus strong-decay" in outcome.conditions
    assert outcome.conditions.endswith(": no-weight-decay 0, strong-decay 1, the paper's 11.5")


def test_c06_tells_of_overfitting_where_answers_were_kept(fake):
    fake.add("cnn", {0: {}}, ("in_text",)).add("pool-2x2", {0: {}}, ("in_text",))
    assert settled(fake, "C06").beside == ""
    fake.train("cnn", {0: (4, 5)})
    fake.train("pool-2x2", {0: (3, 5)})
    assert "pool-2x2 minus cnn: 5.00 [" in settled(fake, "C06").beside


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
