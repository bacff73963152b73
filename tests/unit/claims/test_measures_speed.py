import math

import pandas as pd
import pytest

from alexnet2012 import paper
from alexnet2012.claims.ledger import settle_claim
from alexnet2012.claims.verdicts import judge

GPU = {"device": "cuda", "processes": 1}


def add(fake, key: str, speeds: dict[int, list[float]], training: dict) -> None:
    """A variant whose seeds trained at these images per second, epoch by epoch."""
    fake.add(key, {seed: {} for seed in speeds}, ("claims",), training=training)
    for seed, each in speeds.items():
        run = fake.folder / f"runs/photos/{key}-00000000/seed{seed}"
        history = {"epoch": range(1, len(each) + 1), "images_per_second": each}
        others = dict.fromkeys(("learning_rate", "train_loss", "train_top1_error", "val_top1_error"), 1.0)
        pd.DataFrame(history | others).to_parquet(run / "history.parquet")


C20 = next(claim for claim in paper.CLAIMS if claim.id == "C20")


def settled(fake):
    return settle_claim(C20, fake.load(), "photos")


def test_three_pairs_on_gpus_are_tested_by_the_medians_of_their_epochs(fake):
    add(fake, "one-gpu", {0: [90, 100, 900], 1: [100] * 3, 2: [100] * 3}, GPU)
    add(fake, "cnn-two-devices", {0: [110] * 3, 1: [110] * 3, 2: [121] * 3}, GPU | {"processes": 2})
    outcome = settled(fake)
    assert outcome.unit == "x"
    assert math.exp(outcome.top1.value) == pytest.approx((1.1 * 1.1 * 1.21) ** (1 / 3))
    assert outcome.top1.method == "t over 3 seeds"
    assert outcome.beside == "110, 110, 121 images/s as two processes, 100, 100, 100 of one-gpu"


@pytest.mark.parametrize(("speed", "sign"), [(110, "supported"), (90, "contradicted")])
def test_one_pair_is_indicative_at_most(fake, speed, sign):
    add(fake, "one-gpu", {0: [100]}, GPU)
    add(fake, "cnn-two-devices", {0: [speed]}, GPU | {"processes": 2})
    outcome = settled(fake)
    assert (outcome.sign, outcome.scope.few, outcome.text) == (sign, True, f"{speed / 100:.2f}x (seed 0)")
    assert outcome.conditions.endswith("no test of fewer than 3 seeds")
    assert judge(C20, outcome, None).colour == "indicative"


def test_a_fallback_to_one_gpu_is_not_the_claim(fake):
    add(fake, "one-gpu", {0: [100]}, GPU)
    add(fake, "cnn-two-devices", {0: [100]}, GPU)
    assert settled(fake).reason == "cnn-two-devices was trained on one GPU; run it with --resources gpu=2"
