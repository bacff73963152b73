"""What a measurement says of its claim, by rules that are written down here, in families.py and in docs/claims.md.

Sign: d > 0 is the claimed direction, and the verdict follows the p that Holm adjusted over its family of tests. No
effect: an equivalence test over seeds. Size: s is what the paper states, [l, u] the unadjusted interval; it is judged
on the paper's data and recipe alone. One or two seeds speak of these nets only: their verdict is at most "indicative".
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from alexnet2012 import paper
from alexnet2012.evaluation.statistics import Estimate
from alexnet2012.reporting.families import SIGNIFICANT, Adjusted
from alexnet2012.reporting.outcomes import Measurement, NotMeasured, Outcome, Sign

NO_EFFECT: Literal["no effect"] = "no effect"

Colour = Literal["supported", "contradicted", "no effect", "inconclusive", "indicative", "not measured"]


@dataclass(frozen=True)
class Verdict:
    """The verdict with what it holds for, and its kind.

    `note`: what an open test could have found, and why a verdict is not what its interval seems to say.
    """

    text: str
    colour: Colour
    note: str = ""


def judge(claim: paper.Claim, outcome: Outcome, tested: Adjusted | None) -> Verdict:
    """The verdict on one claim, by its test where it has one."""
    if isinstance(outcome, NotMeasured):
        return Verdict(": ".join(part for part in ("not measured", outcome.short) if part), "not measured")
    if outcome.scope is None:
        return Verdict(outcome.sign, outcome.sign)
    if outcome.unit == "%":
        return judge_number(claim, outcome)
    if claim.bound == "at most":
        return judge_bound(claim, outcome)
    if tested is None:
        return scoped(outcome, outcome.sign, words_of(claim, outcome, outcome.sign))
    sign = sign_of(outcome, tested)
    note = "; ".join(explain(outcome, tested, sign))
    return scoped(outcome, sign, words_of(claim, outcome, sign, tested), note)


def sign_of(outcome: Measurement, tested: Adjusted) -> Sign:
    """What the tests say: of the sign, else of an effect that is too small to count, else nothing."""
    if tested.p_holm < SIGNIFICANT:
        # A test without an estimate looks in the claimed direction alone.
        return "supported" if outcome.top1 is None or outcome.top1.value > 0 else "contradicted"
    if tested.p_equivalence is not None and tested.p_equivalence < SIGNIFICANT:
        return NO_EFFECT
    return "inconclusive"


def words_of(claim: paper.Claim, outcome: Measurement, sign: Sign, tested: Adjusted | None = None) -> str:
    """The sign in words, with the size where it compares: "sign supported, size agrees", "no effect above 1 point"."""
    if sign == NO_EFFECT:
        return f"no effect above {points(tested.margin)}"
    words = sign if sign == "inconclusive" else f"sign {sign}"
    return f"{words}{size_words(claim, outcome)}"


def explain(outcome: Measurement, tested: Adjusted, sign: Sign) -> Iterator[str]:
    """What an open test would have found, and how a verdict and its interval go together where they seem not to."""
    found = outcome.top1
    if found is None:
        return
    leaves_out_0 = found.low > 0 or found.high < 0
    if sign == "inconclusive":
        if leaves_out_0:
            yield f"the interval leaves out 0, but it is one of many: p is {tested.p_holm:.2g} after adjustment"
        if tested.detectable is not None:
            yield f"a difference of {size_of(outcome, tested.detectable)} would have been found four times in five"
    elif sign == NO_EFFECT:
        if leaves_out_0:
            yield "the interval leaves out 0: there may be a smaller effect"
        if max(abs(found.low), abs(found.high)) > tested.margin:
            yield "the interval, of 95 % on two sides, reaches further than the test, of 95 % on one"
    elif not leaves_out_0:
        yield "the interval holds 0, the test speaks against it: they are made by different methods"


def size_of(outcome: Measurement, value: float) -> str:
    """A difference in points, or a logarithm as the ratio that it is of."""
    return f"{100 * value:.2g} points" if outcome.unit == "points" else f"{math.exp(value):.2f}x"


def points(fraction: float) -> str:
    value = f"{100 * fraction:g}"
    return f"{value} point{'s' if value != '1' else ''}"


def judge_number(claim: paper.Claim, outcome: Measurement) -> Verdict:
    """C01, C02, C13 to C17: is the paper's error in the prediction interval of one more net?

    Of fewer than three seeds, and of averages: is it in their interval over images?
    """
    if not outcome.scope.sized:
        return Verdict("not compared: its recipe is not the paper's", "not measured")
    size = compare_size(claim.stated.top1, outcome.one_net or outcome.top1)
    return scoped(outcome, "supported" if size == "agrees" else "contradicted", size_of_number(claim, size))


def size_of_number(claim: paper.Claim, size: str) -> str:
    stated = f"{100 * claim.stated.top1:.1f} %"
    return f"agrees with {stated}" if size == "agrees" else f"{size} than {stated}"


def judge_bound(claim: paper.Claim, outcome: Measurement) -> Verdict:
    """C26: does the whole interval lie within -s..s, outside, or neither?"""
    found, limit = outcome.top1, claim.stated.top1
    if -limit <= found.low and found.high <= limit:
        return scoped(outcome, "supported", "supported")
    if found.low > limit or found.high < -limit:
        return scoped(outcome, "contradicted", "contradicted")
    return scoped(outcome, "inconclusive", "inconclusive")


def size_words(claim: paper.Claim, outcome: Measurement) -> str:
    """ ", size agrees" where sizes compare and the paper states one."""
    stated = math.log(claim.factor) if claim.factor else claim.stated.top1
    if not outcome.scope.sized or stated is None or outcome.top1 is None:
        return ""
    size = compare_size(stated, outcome.top1, claim.bound)
    return ", size agrees" if size == "agrees" else f", size {size} than stated"


def compare_size(stated: float, found: Estimate, bound: str = "") -> Literal["agrees", "smaller", "larger"]:
    if found.high < stated:
        return "smaller"
    return "larger" if found.low > stated and bound != "at least" else "agrees"


def scoped(outcome: Measurement, sign: Sign, words: str, note: str = "") -> Verdict:
    """The verdict with its conditions, which of its nets did not learn, and not above "indicative" for a few nets."""
    text = "; ".join(part for part in (f"{words} on {outcome.scope.words}", outcome.scope.learned) if part)
    if outcome.scope.few and sign != "inconclusive":
        return Verdict(f"indicative: {text}", "indicative", note)
    return Verdict(text, sign, note)
