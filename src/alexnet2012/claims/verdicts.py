"""What a measurement says of its claim, by rules that are written down here and in docs/claims.md.

The tests of a ledger are of two families, over seeds and over images, each adjusted by Holm apart from the other.
Sign: d > 0 is the claimed direction, and the verdict follows the p that Holm adjusted over its family of tests. No
effect: an equivalence test over seeds. Size: s is what the paper states, [l, u] the unadjusted interval; it is judged
on the paper's data and recipe alone. One or two seeds speak of these nets only: their verdict is at most "indicative".
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from statsmodels.stats.multitest import multipletests

from alexnet2012 import paper
from alexnet2012.claims.measurement import Arithmetic, Measurement, NotMeasured, Outcome, Sign
from alexnet2012.evaluation.statistics import Estimate, detectable_difference, equivalence_p

SIGNIFICANT = 0.05
SMALLEST_EFFECT = 0.01  # what counts as an effect where the paper states no size: one point
NO_EFFECT: Literal["no effect"] = "no effect"

Colour = Literal["supported", "contradicted", "no effect", "inconclusive", "indicative", "not measured"]
Family = Literal["seeds", "images"]
Test = tuple[paper.Claim, Measurement, float]  # with its p


@dataclass(frozen=True)
class Adjusted:
    """A claim's p, adjusted over the `size` tests of its family.

    `detectable`: the true difference that the test would have found four times in five, a fraction or a logarithm; None
    where that is not known. `p_equivalence`: for the hypothesis that the effect is large enough to count, adjusted over
    those tests of the family; None without such a test.
    """

    family: Family
    size: int
    p: float
    p_holm: float
    detectable: float | None = None
    p_equivalence: float | None = None


def run_tests(claims: Sequence[paper.Claim], outcomes: Sequence[Outcome]) -> list[Adjusted | None]:
    """Every claim's test, None for those without one."""
    families: dict[Family, dict[int, Test]] = {"seeds": {}, "images": {}}
    for index, (claim, outcome) in enumerate(zip(claims, outcomes, strict=True)):
        if isinstance(outcome, Measurement) and outcome.tested_p is not None:
            families[family_of(outcome)][index] = (claim, outcome, outcome.tested_p)
    found: dict[int, Adjusted] = {}
    for family, tests in families.items():
        found |= dict(zip(tests, run_family(family, list(tests.values())), strict=True))
    return [found.get(index) for index in range(len(outcomes))]


def family_of(outcome: Measurement) -> Family:
    """A test of few seeds is one over images, or over the kernels of few nets."""
    return "images" if outcome.scope.few else "seeds"


def run_family(family: Family, tests: list[Test]) -> list[Adjusted]:
    """The tests of one family, in the order given."""
    ps = [p for _, _, p in tests]
    equivalence = adjust([p_of_no_effect(claim, outcome) for claim, outcome, _ in tests])
    return [
        Adjusted(family, len(tests), p, p_holm, find_detectable(outcome, level), p_equivalence)
        for (_, outcome, p), p_holm, level, p_equivalence in zip(
            tests, adjust_by_holm(ps), levels(ps), equivalence, strict=True
        )
    ]


def adjust(ps: list[float | None]) -> list[float | None]:
    """Holm's adjustment over those that are not None."""
    adjusted = iter(adjust_by_holm([p for p in ps if p is not None]))
    return [None if p is None else next(adjusted) for p in ps]


def adjust_by_holm(ps: list[float]) -> list[float]:
    return list(multipletests(ps, method="holm")[1].tolist()) if ps else []


def levels(ps: list[float]) -> list[float]:
    """The level that Holm's step compares each p with: 0.05 / m for the smallest of m, 0.05 for the largest."""
    order = sorted(range(len(ps)), key=lambda index: ps[index])
    return [SIGNIFICANT / (len(ps) - order.index(index)) for index in range(len(ps))]


def margin_of(claim: paper.Claim) -> float:
    """Half the top-1 effect that the paper states, or one point: effects below it count as none."""
    return SMALLEST_EFFECT if claim.stated.top1 is None else claim.stated.top1 / 2


def p_of_no_effect(claim: paper.Claim, outcome: Measurement) -> float | None:
    """The p of the equivalence test; of the smallest of several differences it is multiplied by their number.

    None for a ratio, and where there is no estimate over seeds.
    """
    if outcome.unit != "points" or outcome.top1 is None or outcome.top1.standard_error is None:
        return None
    return min(1.0, outcome.chosen_from * equivalence_p(outcome.top1, margin_of(claim)))


def find_detectable(outcome: Measurement, level: float) -> float | None:
    """What a test at `level` finds four times in five; a level is divided by what p was multiplied by."""
    if outcome.top1 is None or not outcome.top1.standard_error:
        return None
    multiplied = outcome.chosen_from if outcome.top1.value <= 0 else 1
    return detectable_difference(outcome.top1, level / multiplied)


@dataclass(frozen=True)
class Verdict:
    """The verdict with what it holds for, and its kind; `brief` without what it holds for.

    `note`: what an open test could have found, and why a verdict is not what its interval seems to say.
    """

    text: str
    colour: Colour
    brief: str
    note: str = ""


def judge(claim: paper.Claim, outcome: Outcome, tested: Adjusted | None) -> Verdict:
    """The verdict on one claim, by its test where it has one."""
    if isinstance(outcome, NotMeasured):
        text = ": ".join(part for part in ("not measured", outcome.short) if part)
        return Verdict(text, "not measured", text)
    if isinstance(outcome, Arithmetic):
        return Verdict(outcome.sign, outcome.sign, outcome.sign)
    stated, found = claim.stated.top1, outcome.top1
    if stated is not None and found is not None:
        if outcome.unit == "%":
            return judge_number(stated, outcome.one_net or found, outcome)
        if claim.bound == "at most":
            return judge_bound(stated, found, outcome)
    if tested is None:
        return scoped(outcome, outcome.sign, words_of(claim, outcome, outcome.sign))
    sign = sign_of(outcome, tested)
    note = "; ".join(explain(claim, outcome, tested, sign))
    return scoped(outcome, sign, words_of(claim, outcome, sign), note)


def sign_of(outcome: Measurement, tested: Adjusted) -> Sign:
    """What the tests say: of the sign, else of an effect that is too small to count, else nothing."""
    if tested.p_holm < SIGNIFICANT:
        # A test without an estimate looks in the claimed direction alone.
        return "supported" if outcome.top1 is None or outcome.top1.value > 0 else "contradicted"
    if tested.p_equivalence is not None and tested.p_equivalence < SIGNIFICANT:
        return NO_EFFECT
    return "inconclusive"


def words_of(claim: paper.Claim, outcome: Measurement, sign: Sign) -> str:
    """The sign in words, with the size where it compares: "sign supported, size agrees", "no effect above 1 point"."""
    if sign == NO_EFFECT:
        return f"no effect above {points(margin_of(claim))}"
    words = sign if sign == "inconclusive" else f"sign {sign}"
    return f"{words}{size_words(claim, outcome)}"


def explain(claim: paper.Claim, outcome: Measurement, tested: Adjusted, sign: Sign) -> Iterator[str]:
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
        if max(abs(found.low), abs(found.high)) > margin_of(claim):
            yield "the interval, of 95 % on two sides, reaches further than the test, of 95 % on one"
    elif not leaves_out_0:
        yield "the interval holds 0, the test speaks against it: they are made by different methods"


def size_of(outcome: Measurement, value: float) -> str:
    """A difference in points, or a logarithm as the ratio that it is of."""
    return f"{100 * value:.2g} points" if outcome.unit == "points" else f"{math.exp(value):.2f}x"


def points(fraction: float) -> str:
    value = f"{100 * fraction:g}"
    return f"{value} point{'s' if value != '1' else ''}"


def judge_number(stated: float, found: Estimate, outcome: Measurement) -> Verdict:
    """C01, C02, C13 to C17: is the paper's error in the prediction interval of one more net?

    Of fewer than three seeds, and of averages: is it in their interval over images?
    """
    if not outcome.scope.sized:
        text = "not compared: its recipe is not the paper's"
        return Verdict(text, "not measured", text)
    size = compare_size(stated, found)
    if size == "agrees":
        return scoped(outcome, "supported", f"agrees with {100 * stated:.1f} %")
    return scoped(outcome, "contradicted", f"{size} than {100 * stated:.1f} %")


def judge_bound(limit: float, found: Estimate, outcome: Measurement) -> Verdict:
    """C26: does the whole interval lie within -s..s, outside, or neither?"""
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
    few = outcome.scope.few and sign != "inconclusive"
    words = f"indicative: {words}" if few else words
    text, brief = (
        "; ".join(part for part in (each, outcome.scope.learned) if part)
        for each in (f"{words} on {outcome.scope.words}", words)
    )
    return Verdict(text, "indicative" if few else sign, brief, note)
