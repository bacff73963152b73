import math
import re

import numpy as np
import pytest
import yaml
from fake_results import change

from alexnet2012 import paper
from alexnet2012.claims.ledger import settle_claim
from alexnet2012.claims.measurement import describe_outcome
from alexnet2012.claims.verdicts import Adjusted, judge

CLAIMS = {claim.id: claim for claim in paper.CLAIMS}


@pytest.fixture
def cifar(fake):
    fake.kind, fake.departures = "cifar10", ("datasets.size_px", "net.crop_px")
    return fake


def settled(fake, claim: str):
    return settle_claim(CLAIMS[claim], fake.load(), "cifar10")


def add(fake, key: str, epochs: list[float | None], rate: float, total: int = 60) -> None:
    """A net that came to 25 % training error after so many epochs of two seconds, seed by seed; None: never."""
    fake.add(key, {seed: {} for seed in range(len(epochs))}, ("in_text",), dataset="cifar10")
    for seed, each in enumerate(epochs):
        target = {"train_error": 0.25, "epochs": each, "seconds": each and 2 * each}
        run = fake.folder / f"runs/cifar10/{key}-00000000/seed{seed}/record.json"
        change(run, target=target, learning_rate=rate, epochs=total if each is None else math.ceil(each))


def add_both(fake, relu: list[float | None], tanh: list[float | None]) -> None:
    add(fake, "four-layer-relu", relu, 0.01)
    add(fake, "four-layer-tanh", tanh, 0.003)


def test_c11_is_the_ratio_of_epochs_by_the_logarithms_of_three_seeds(cifar):
    """20/4, 24/4, 36/5 = 5, 6, 7.2: the geometric mean is 216^(1/3) = 6. Both variants' logarithms have one spread."""
    add_both(cifar, [4.0, 4.0, 5.0], [20.0, 24.0, 36.0])
    outcome = settled(cifar, "C11")
    variance = np.mean([np.var(np.log(each), ddof=1) for each in ((4, 4, 5), (20, 24, 36))])
    half = 2.776445 * math.sqrt(variance * 2 / 3)  # 4 degrees of freedom
    assert math.exp(outcome.top1.value) == pytest.approx(6)
    assert outcome.top1.low == pytest.approx(math.log(6) - half, abs=1e-6)
    measured, conditions = describe_outcome(outcome)
    assert measured == (
        "6.00x [3.55, 10.14]; ReLU 4.3 epochs at learning rate 0.01; tanh 26.7 epochs at learning rate 0.003; "
        "6.00x in seconds"
    )
    assert conditions == (
        "cifar10; epochs to 25 % training error, tanh over ReLU; 4 to 36 epochs; seeds 0-2; t, one spread of 2 "
        "variants, over 3 and 3 seeds"
    )
    verdict = judge(CLAIMS["C11"], outcome, Adjusted("seeds", 1, 0.01, 0.01))
    assert verdict.text == "sign supported, size agrees on cifar10, four-layer nets, 4 to 36 epochs, 3 seeds"


@pytest.mark.parametrize(
    ("tanh", "colour", "words"),
    [
        ([20.0, 24.0], "indicative", "indicative: sign supported"),
        ([2.0, 3.0], "indicative", "indicative: sign contradicted"),
        ([20.0, 3.0], "inconclusive", "inconclusive"),
    ],
)
def test_c11_of_two_seeds_is_their_ratios_without_a_test(cifar, tanh, colour, words):
    add_both(cifar, [4.0, 4.0], tanh)
    outcome = settled(cifar, "C11")
    assert outcome.text == f"{tanh[0] / 4:.2f}x (seed 0), {tanh[1] / 4:.2f}x (seed 1)"
    assert outcome.tested_p is None
    verdict = judge(CLAIMS["C11"], outcome, None)
    assert verdict.colour == colour and verdict.text.startswith(f"{words} on cifar10")


def test_c11_where_tanh_never_came_to_25_percent_is_a_bound(cifar):
    """60 epochs in vain over 8 are at least 7.5; the smallest of all is 40 / 8 = 5."""
    add_both(cifar, [8.0, 8.0, 8.0], [None, 40.0, None])
    outcome = settled(cifar, "C11")
    assert outcome.text == "at least 5.00x (7.50x (seed 0), 5.00x (seed 1), 7.50x (seed 2))"
    assert outcome.conditions.endswith("; no test: tanh never reached it with seeds 0, 2")
    assert "tanh over 53.3 epochs" in outcome.beside and "seconds" not in outcome.beside
    verdict = judge(CLAIMS["C11"], outcome, None)
    assert verdict.text == "indicative: sign supported on cifar10, four-layer nets, 8 to 60 epochs, 3 seeds"
    assert outcome.tested_p is None


def test_a_bound_below_1_contradicts_nothing(cifar):
    add_both(cifar, [50.0, 50.0, 50.0], [None, None, 40.0])
    assert settled(cifar, "C11").sign == "inconclusive"


def test_c11_where_relu_never_came_to_25_percent_is_a_bound_from_above(cifar):
    """20 over more than 60 are at most 1/3, and 24 over 48 is 0.5."""
    add_both(cifar, [None, 48.0, 60.0], [20.0, 24.0, 24.0])
    outcome = settled(cifar, "C11")
    assert outcome.text == "at most 0.50x (0.33x (seed 0), 0.50x (seed 1), 0.40x (seed 2))"
    assert outcome.conditions.endswith("; no test: ReLU never reached it with seed 0")
    verdict = judge(CLAIMS["C11"], outcome, None)
    assert verdict.text.startswith("indicative: sign contradicted on cifar10")


def test_an_upper_bound_above_1_supports_nothing(cifar):
    add_both(cifar, [None, None], [120.0, 120.0])
    assert settled(cifar, "C11").sign == "inconclusive"


def test_c11_without_either_time_has_no_ratio(cifar):
    add_both(cifar, [4.0, None], [None, 24.0])
    assert settled(cifar, "C11").reason.startswith("neither ReLU nor tanh reached 25 % training error with every seed")


def test_c11_of_a_net_that_diverged_says_so(cifar):
    add_both(cifar, [4.0], [20.0])
    path = cifar.folder / "runs/cifar10/four-layer-tanh-00000000/seed0/record.json"
    change(path, diverged=True, target={"train_error": 0.25, "epochs": None, "seconds": None})
    assert settled(cifar, "C11").reason == (
        "four-layer-tanh seed 0 diverged at learning rate 0.003; leave that rate out of its search"
    )


@pytest.mark.parametrize(("chosen", "edge"), [(0.002, ""), (0.004, ", the edge of what was tried")])
def test_c11_says_what_its_rates_were_chosen_from(cifar, chosen, edge):
    add_both(cifar, [4.0], [20.0])
    search = [{"learning_rate": rate, "target_epochs": 20.0} for rate in (0.002, 0.004, 0.001)]
    path = cifar.folder / "runs/cifar10/four-layer-tanh-00000000/seed0/record.json"
    change(path, learning_rate=chosen, search=search)
    assert f"at learning rate {chosen:g} (best of 0.001, 0.002, 0.004{edge})" in settled(cifar, "C11").beside


@pytest.mark.parametrize(("reached", "said"), [(None, True), (20.0, False)])
def test_c11_tells_of_a_search_that_ended_before_the_target(cifar, reached, said):
    add_both(cifar, [4.0], [20.0])
    run = cifar.folder / "runs/cifar10/four-layer-tanh-00000000/seed0"
    change(run / "record.json", search=[{"learning_rate": 0.003, "target_epochs": reached}])
    training = {"learning_rate_search": {"epochs": 3}}
    (run / "config.yaml").write_text(yaml.safe_dump({"training": training}), encoding="utf-8")
    words = "the learning rate of four-layer-tanh was chosen by the training error after 3 epochs, before the target"
    assert (words in settled(cifar, "C11").conditions) is said


def test_c11_needs_a_target(cifar):
    for key in ("four-layer-relu", "four-layer-tanh"):
        cifar.add(key, {0: {}}, ("in_text",), dataset="cifar10")
    assert settled(cifar, "C11").reason.endswith("was trained to no target; give its schedule kind: target")


def add_lrn_nets(fake, *keys: str) -> None:
    wrong = {"cifar-13pct": (3, 4, 5), "cifar-13pct-lrn": (2, 2, 2), "cifar-11pct": (1, 1, 1)}
    for key in keys:
        seeds = {seed: {("test", "ten_crop"): (count, 0)} for seed, count in enumerate(wrong[key])}
        fake.add(key, seeds, ("in_text",), dataset="cifar10")


def test_c12_is_the_pair_that_differs_in_the_normalisation_alone(cifar):
    """Of 20: 1, 2 and 3, mean 10 points; as shipped 2, 3 and 4, mean 15; errors 20, 10 and 5 %."""
    add_lrn_nets(cifar, "cifar-13pct", "cifar-13pct-lrn", "cifar-11pct")
    outcome = settled(cifar, "C12")
    assert outcome.top1.value == pytest.approx(0.10)
    numbers = r" \[[-0-9., ]+\]"
    assert re.sub(numbers, "", outcome.beside) == (
        "the pair as shipped (cifar-13pct minus cifar-11pct) 15.00 points; errors cifar-13pct 20.00 % (paper 13 %), "
        "cifar-13pct-lrn 10.00 %, cifar-11pct 5.00 % (paper 11 %)"
    )
    assert outcome.conditions == ("cifar10; test, ten crops, cifar-13pct minus cifar-13pct-lrn; 4 epochs; seeds 0-2")
    words = "on cifar10, four-layer nets, 4 epochs, 3 seeds"
    test = Adjusted("seeds", 1, 0.01, 0.01)
    assert judge(CLAIMS["C12"], outcome, test).text == f"sign supported {words}"
    # Its size is judged at the author's own length of training alone.
    change(cifar.folder / "experiments.json", experiments=[each | {"length": "published"} for each in cifar.entries])
    assert judge(CLAIMS["C12"], settled(cifar, "C12"), test).text == f"sign supported, size agrees {words}"


def test_a_part_of_cifar_10_says_nothing_of_sizes(cifar):
    cifar.part = "5 of 10 classes"
    add_lrn_nets(cifar, "cifar-13pct", "cifar-13pct-lrn")
    assert not settled(cifar, "C12").scope.sized
