import math
from dataclasses import replace

import pytest

from alexnet2012 import paper
from alexnet2012.claims.measurement import Arithmetic, Measurement, NotMeasured, Scope
from alexnet2012.claims.verdicts import Adjusted, Verdict, judge
from alexnet2012.evaluation.statistics import Estimate

CLAIMS = {claim.id: claim for claim in paper.CLAIMS}
SCOPE = Scope("cifar10", "scaled net", "20 epochs", "3 seeds", few=False, sized=False, nets=3)
FEW = replace(SCOPE, sample="1 seed", few=True)
SIZED = Scope("ilsvrc2010", "the paper's net", "90 epochs", "3 seeds", few=False, sized=True, nets=3)
ON, ON_FEW, ON_ILSVRC = (f"on {each.words}" for each in (SCOPE, FEW, SIZED))


def found(value: float, low: float, high: float, scope: Scope = SCOPE, unit: str = "points") -> Measurement:
    return Measurement(top1=Estimate(value, low, high, "t over 3 seeds", 0.01), unit=unit, scope=scope)


def adjusted(p_holm: float, **others) -> Adjusted:
    return Adjusted("seeds", 8, p_holm / 8, p_holm, **others)


def kind(verdict: Verdict) -> tuple[str, str]:
    return verdict.text, verdict.colour


@pytest.mark.parametrize(
    ("value", "p_holm", "scope", "verdict"),
    [
        (0.02, 0.049, SCOPE, (f"sign supported {ON}", "supported")),
        (0.02, 0.05, SCOPE, (f"inconclusive {ON}", "inconclusive")),
        (-0.02, 0.049, SCOPE, (f"sign contradicted {ON}", "contradicted")),
        (-0.02, 0.05, SCOPE, (f"inconclusive {ON}", "inconclusive")),
        (0.02, 1e-9, FEW, (f"indicative: sign supported {ON_FEW}", "indicative")),
        (-0.02, 1e-9, FEW, (f"indicative: sign contradicted {ON_FEW}", "indicative")),
        (0.02, 0.2, FEW, (f"inconclusive {ON_FEW}", "inconclusive")),
    ],
)
def test_the_sign_follows_the_adjusted_p(value, p_holm, scope, verdict):
    """The measurement's own p is 0.01 and its interval excludes 0 throughout."""
    assert kind(judge(CLAIMS["C05"], found(value, value - 0.01, value + 0.01, scope), adjusted(p_holm))) == verdict


@pytest.mark.parametrize(
    ("p_holm", "p_equivalence", "colour"),
    [
        (0.5, 0.049, "no effect"),
        (0.5, 0.05, "inconclusive"),
        (0.049, 0.049, "supported"),  # an effect, though a small one
        (0.5, None, "inconclusive"),
    ],
)
def test_an_effect_that_is_too_small_to_count_is_no_effect(p_holm, p_equivalence, colour):
    measured = found(0.002, -0.003, 0.006)
    verdict = judge(CLAIMS["C05"], measured, adjusted(p_holm, p_equivalence=p_equivalence))
    assert verdict.colour == colour
    assert verdict.text.startswith("no effect above 0.7 points on cifar10") == (colour == "no effect")


@pytest.mark.parametrize(("unit", "value", "words"), [("points", 0.0123, "1.2 points"), ("x", math.log(1.3), "1.30x")])
def test_an_open_row_says_what_it_would_have_found(unit, value, words):
    verdict = judge(CLAIMS["C09"], found(0.002, -0.003, 0.006, unit=unit), adjusted(0.5, detectable=value))
    assert words in verdict.note


@pytest.mark.parametrize(
    ("interval", "test", "notes"),
    [
        ((0.002, -0.003, 0.007), adjusted(0.5), 0),
        ((0.020, 0.003, 0.037), adjusted(0.08), 1),  # leaves out 0, but p is adjusted
        ((-0.02, -0.037, -0.003), adjusted(0.08), 1),
        ((0.002, -0.003, 0.006), adjusted(0.5, p_equivalence=0.01), 0),
        ((0.002, 0.0005, 0.0035), adjusted(0.5, p_equivalence=0.01), 1),  # leaves out 0
        ((0.002, -0.003, 0.0071), adjusted(0.5, p_equivalence=0.04), 1),  # reaches beyond
        ((-0.002, -0.0071, 0.003), adjusted(0.5, p_equivalence=0.04), 1),
        ((0.020, 0.003, 0.037), adjusted(0.01), 0),
        ((0.020, -0.001, 0.041), adjusted(0.01), 1),  # another method than the test's
    ],
)
def test_a_verdict_that_its_interval_seems_to_contradict_is_explained(interval, test, notes):
    verdict = judge(CLAIMS["C05"], found(*interval), test)
    assert len(verdict.note.split("; ") if verdict.note else []) == notes


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
    assert judge(CLAIMS[claim], found(value, low, high, SIZED), adjusted(0.01)).text == f"{words} {ON_ILSVRC}"
    assert judge(CLAIMS[claim], found(value, low, high), adjusted(0.01)).text == f"sign supported {ON}"


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(5.0, 7.0, "size agrees"), (2.0, 5.9, "size smaller than stated"), (6.1, 9.0, "size larger than stated")],
)
def test_a_ratio_is_compared_on_its_own_scale(low, high, words):
    logs = (math.log(each) for each in (math.sqrt(low * high), low, high))
    assert judge(CLAIMS["C11"], found(*logs, SIZED, "x"), adjusted(0.01)).text == f"sign supported, {words} {ON_ILSVRC}"


@pytest.mark.parametrize(
    ("low", "high", "scope", "verdict"),
    [
        (0.37, 0.38, SIZED, (f"agrees with 37.5 % {ON_ILSVRC}", "supported")),
        (0.36, 0.37, SIZED, (f"smaller than 37.5 % {ON_ILSVRC}", "contradicted")),
        (0.38, 0.39, SIZED, (f"larger than 37.5 % {ON_ILSVRC}", "contradicted")),
        (
            *(0.37, 0.38, replace(SIZED, few=True, sample="1 seed")),
            ("indicative: agrees with 37.5 % on ilsvrc2010, the paper's net, 90 epochs, 1 seed", "indicative"),
        ),
        (0.37, 0.38, SCOPE, ("not compared: its recipe is not the paper's", "not measured")),
    ],
)
def test_a_number_is_judged_by_its_size(low, high, scope, verdict):
    measured = Measurement(top1=Estimate((low + high) / 2, low, high, ""), unit="%", scope=scope)
    assert kind(judge(CLAIMS["C01"], measured, None)) == verdict


def test_a_number_of_one_net_is_compared_with_where_one_more_would_be():
    """The mean is known to 0.1 point and leaves out 37.5 %, one net varies by a whole one."""
    mean, one_net = (Estimate(0.38, 0.38 - half, 0.38 + half, "") for half in (0.001, 0.01))
    measured = Measurement(top1=mean, unit="%", scope=SIZED, one_net=one_net)
    assert judge(CLAIMS["C01"], measured, None).colour == "supported"
    assert judge(CLAIMS["C01"], replace(measured, one_net=None), None).colour == "contradicted"


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
    measured = Measurement(top1=Estimate((low + high) / 2, low, high, ""), scope=SIZED)
    assert kind(judge(CLAIMS["C26"], measured, None)) == (f"{colour} {ON_ILSVRC}", colour)


@pytest.mark.parametrize(("p_holm", "colour"), [(0.01, "supported"), (0.2, "inconclusive")])
def test_a_test_that_looks_one_way_never_contradicts(p_holm, colour):
    assert judge(CLAIMS["C21"], Measurement(text="means", p=0.01, scope=SCOPE), adjusted(p_holm)).colour == colour


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
    assert kind(judge(CLAIMS["C05"], NotMeasured("why"), None)) == ("not measured", "not measured")
    short = NotMeasured("cnn seed 0 ...", "under-trained")
    assert kind(judge(CLAIMS["C05"], short, None)) == ("not measured: under-trained", "not measured")


def test_arithmetic_holds_everywhere():
    outcome = Arithmetic("", "", "contradicted")
    assert kind(judge(CLAIMS["C25"], outcome, None)) == ("contradicted", "contradicted")
