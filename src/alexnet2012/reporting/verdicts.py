"""What a measurement says of its claim, by rules that are written down here and nowhere else.

Sign: d > 0 is the claimed direction, and the verdict follows the p that Holm adjusted over all claims tested in a
ledger. Size: s is what the paper states, [l, u] the unadjusted interval; it is judged on the paper's data and recipe
alone. One or two seeds speak of these nets only, and their verdict is at most "indicative".
"""

import math
from dataclasses import dataclass
from typing import Literal

from statsmodels.stats.multitest import multipletests

from alexnet2012 import paper
from alexnet2012.evaluation.statistics import Estimate
from alexnet2012.reporting.outcomes import Measurement, NotMeasured, Outcome, Sign

SIGNIFICANT = 0.05

Colour = Literal["supported", "contradicted", "inconclusive", "indicative", "not measured"]


@dataclass(frozen=True)
class Verdict:
    """The verdict with what it holds for, and its kind."""

    text: str
    colour: Colour


def adjust(ps: list[float | None]) -> list[float | None]:
    """Holm's adjustment over those that are not None."""
    tested = [p for p in ps if p is not None]
    adjusted = iter(multipletests(tested, method="holm")[1].tolist() if tested else ())
    return [None if p is None else next(adjusted) for p in ps]


def judge(claim: paper.Claim, outcome: Outcome, p_holm: float | None) -> Verdict:
    """The verdict on one claim; `p_holm` is its adjusted p where it has one."""
    if isinstance(outcome, NotMeasured):
        return Verdict(": ".join(part for part in ("not measured", outcome.short) if part), "not measured")
    if outcome.scope is None:
        return Verdict(outcome.sign, outcome.sign)
    if outcome.unit == "%":
        return judge_number(claim, outcome)
    if claim.bound == "at most":
        return judge_bound(claim, outcome)
    sign = outcome.sign or sign_of(outcome, p_holm)
    words = sign if sign == "inconclusive" else f"sign {sign}"
    return scoped(outcome, sign, f"{words}{size_words(claim, outcome)}")


def sign_of(outcome: Measurement, p_holm: float) -> Sign:
    if p_holm >= SIGNIFICANT:
        return "inconclusive"
    # A test without an estimate looks in the claimed direction alone.
    return "supported" if outcome.top1 is None or outcome.top1.value > 0 else "contradicted"


def judge_number(claim: paper.Claim, outcome: Measurement) -> Verdict:
    """C01, C02, C13, C14: is the paper's error in the interval?"""
    if not outcome.scope.sized:
        return Verdict("not compared: its recipe is not the paper's", "not measured")
    size = compare_size(claim.stated.top1, outcome.top1)
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


def scoped(outcome: Measurement, sign: Sign, words: str) -> Verdict:
    """The verdict with its conditions, which of its nets did not learn, and not above "indicative" for a few nets."""
    text = "; ".join(part for part in (f"{words} on {outcome.scope.words}", outcome.scope.learned) if part)
    if outcome.scope.few and sign != "inconclusive":
        return Verdict(f"indicative: {text}", "indicative")
    return Verdict(text, sign)
