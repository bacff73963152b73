import math
from dataclasses import replace

import pytest

from alexnet2012 import paper
from alexnet2012.evaluation.statistics import Estimate
from alexnet2012.reporting.outcomes import Measurement, NotMeasured, Scope
from alexnet2012.reporting.verdicts import Verdict, adjust, judge

CLAIMS = {claim.id: claim for claim in paper.CLAIMS}
SCOPE = Scope("cifar10", "scaled net", "20 epochs", "3 seeds", few=False, sized=False)
FEW = replace(SCOPE, sample="1 seed", few=True)
SIZED = Scope("ilsvrc2010", "the paper's net", "90 epochs", "3 seeds", few=False, sized=True)
ON, ON_FEW, ON_ILSVRC = (f"on {each.words}" for each in (SCOPE, FEW, SIZED))


def found(value: float, low: float, high: float, scope: Scope = SCOPE, unit: str = "points") -> Measurement:
    return Measurement(Estimate(value, low, high, "t over 3 seeds", 0.01), unit=unit, scope=scope)


def test_the_conditions_of_a_verdict_in_words():
    assert ON == "on cifar10, scaled net, 20 epochs, 3 seeds"


@pytest.mark.parametrize(
    ("value", "p_holm", "scope", "verdict"),
    [
        (0.02, 0.049, SCOPE, Verdict(f"sign supported {ON}", "supported")),
        (0.02, 0.05, SCOPE, Verdict(f"inconclusive {ON}", "inconclusive")),
        (-0.02, 0.049, SCOPE, Verdict(f"sign contradicted {ON}", "contradicted")),
        (-0.02, 0.05, SCOPE, Verdict(f"inconclusive {ON}", "inconclusive")),
        (0.02, 1e-9, FEW, Verdict(f"indicative: sign supported {ON_FEW}", "indicative")),
        (-0.02, 1e-9, FEW, Verdict(f"indicative: sign contradicted {ON_FEW}", "indicative")),
        (0.02, 0.2, FEW, Verdict(f"inconclusive {ON_FEW}", "inconclusive")),
    ],
)
def test_the_sign_follows_the_adjusted_p(value, p_holm, scope, verdict):
    """The measurement's own p is 0.01 and its interval excludes 0 throughout."""
    assert judge(CLAIMS["C05"], found(value, value - 0.01, value + 0.01, scope), p_holm) == verdict


@pytest.mark.parametrize(
    ("claim", "low", "high", "words"),
    [
        ("C03", 0.010, 0.0149, "sign supported, size smaller than stated"),  # 1.5 points
        ("C03", 0.010, 0.015, "sign supported, size agrees"),
        ("C03", 0.015, 0.020, "sign supported, size agrees"),
        ("C03", 0.0151, 0.020, "sign supported, size larger than stated"),
        ("C07", 0.005, 0.0099, "sign supported, size smaller than stated"),  # over 1 point
        ("C07", 0.030, 0.040, "sign supported, size agrees"),
        ("C09", 0.030, 0.040, "sign supported"),  # the paper states no size
    ],
)
def test_sizes_are_judged_on_the_papers_data_alone(claim, low, high, words):
    value = (low + high) / 2
    assert judge(CLAIMS[claim], found(value, low, high, SIZED), 0.01).text == f"{words} {ON_ILSVRC}"
    assert judge(CLAIMS[claim], found(value, low, high), 0.01).text == f"sign supported {ON}"


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(5.0, 7.0, "size agrees"), (2.0, 5.9, "size smaller than stated"), (6.1, 9.0, "size larger than stated")],
)
def test_a_ratio_is_compared_on_its_own_scale(low, high, words):
    logs = (math.log(each) for each in (math.sqrt(low * high), low, high))
    assert judge(CLAIMS["C11"], found(*logs, SIZED, "x"), 0.01).text == f"sign supported, {words} {ON_ILSVRC}"


@pytest.mark.parametrize(
    ("low", "high", "scope", "verdict"),
    [
        (0.37, 0.38, SIZED, Verdict(f"agrees with 37.5 % {ON_ILSVRC}", "supported")),
        (0.36, 0.37, SIZED, Verdict(f"smaller than 37.5 % {ON_ILSVRC}", "contradicted")),
        (0.38, 0.39, SIZED, Verdict(f"larger than 37.5 % {ON_ILSVRC}", "contradicted")),
        (
            *(0.37, 0.38, replace(SIZED, few=True, sample="1 seed")),
            Verdict("indicative: agrees with 37.5 % on ilsvrc2010, the paper's net, 90 epochs, 1 seed", "indicative"),
        ),
        (0.37, 0.38, SCOPE, Verdict("not compared: its recipe is not the paper's", "not measured")),
    ],
)
def test_a_number_is_judged_by_its_size(low, high, scope, verdict):
    measured = Measurement(Estimate((low + high) / 2, low, high, ""), unit="%", scope=scope)
    assert judge(CLAIMS["C01"], measured, None) == verdict


@pytest.mark.parametrize(
    ("low", "high", "colour"),
    [
        (-0.0005, 0.0009, "supported"),
        (-0.0005, 0.0011, "inconclusive"),
        (0.0011, 0.003, "contradicted"),
        (-0.003, -0.0011, "contradicted"),
        (-0.0011, 0.0, "inconclusive"),
    ],
)
def test_c26_asks_whether_the_difference_is_small(low, high, colour):
    """No more than 0.1 point."""
    measured = Measurement(Estimate((low + high) / 2, low, high, ""), scope=SIZED)
    assert judge(CLAIMS["C26"], measured, None) == Verdict(f"{colour} {ON_ILSVRC}", colour)


@pytest.mark.parametrize(("p_holm", "colour"), [(0.01, "supported"), (0.2, "inconclusive")])
def test_a_test_that_looks_one_way_never_contradicts(p_holm, colour):
    assert judge(CLAIMS["C21"], Measurement(text="means", p=0.01, scope=SCOPE), p_holm).colour == colour


@pytest.mark.parametrize(
    ("sign", "scope", "colour"),
    [
        ("supported", SCOPE, "supported"),
        ("supported", FEW, "indicative"),
        ("contradicted", FEW, "indicative"),
        ("inconclusive", FEW, "inconclusive"),
    ],
)
def test_a_sign_without_a_test_stands_by_its_rule(sign, scope, colour):
    assert judge(CLAIMS["C11"], Measurement(text="6x", sign=sign, scope=scope), None).colour == colour


def test_what_was_not_measured_says_so():
    assert judge(CLAIMS["C05"], NotMeasured("why"), None) == Verdict("not measured", "not measured")
    short = NotMeasured("cnn seed 0 ...", "under-trained")
    assert judge(CLAIMS["C05"], short, None) == Verdict("not measured: under-trained", "not measured")


def test_arithmetic_holds_everywhere():
    assert judge(CLAIMS["C25"], Measurement(text="", sign="contradicted"), None) == Verdict(
        "contradicted", "contradicted"
    )


def test_holm_steps_down_over_the_claims_that_are_tested():
    """Sorted 0.01, 0.02, 0.03: times 3, 2, 1 is 0.03, 0.04, 0.03, which may not fall: 0.03, 0.04, 0.04."""
    assert adjust([0.03, None, 0.01, 0.02]) == [
        *(pytest.approx(0.04), None, pytest.approx(0.03), pytest.approx(0.04)),
    ]
    assert adjust([0.6, 0.7]) == [1.0, 1.0]
    assert adjust([None, None]) == [None, None]
