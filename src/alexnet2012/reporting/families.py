"""The tests of a ledger in two families, over seeds and over images, each adjusted by Holm apart from the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from statsmodels.stats.multitest import multipletests

from alexnet2012 import paper
from alexnet2012.evaluation.statistics import detectable_difference, equivalence_p
from alexnet2012.reporting.outcomes import Measurement, Outcome

SIGNIFICANT = 0.05
SMALLEST_EFFECT = 0.01  # what counts as an effect where the paper states no size: one point

Family = Literal["seeds", "images"]


@dataclass(frozen=True)
class Adjusted:
    """A claim's p, adjusted over the `size` tests of its family.

    `detectable`: the true difference that the test would have found four times in five, a fraction or a logarithm; None
    where that is not known. `margin`: effects smaller than that count as none, a fraction; `p_equivalence` is for the
    hypothesis that the effect is not smaller, adjusted over those tests of the family. Both None without such a test.
    """

    family: Family
    size: int
    p: float
    p_holm: float
    detectable: float | None = None
    margin: float | None = None
    p_equivalence: float | None = None


def run_tests(claims: Sequence[paper.Claim], outcomes: Sequence[Outcome]) -> list[Adjusted | None]:
    """Every claim's test, None for those without one."""
    found: dict[int, Adjusted] = {}
    for family in ("seeds", "images"):
        places = [index for index, each in enumerate(outcomes) if family_of(each) == family]
        found |= dict(zip(places, run_family(family, [(claims[each], outcomes[each]) for each in places]), strict=True))
    return [found.get(index) for index in range(len(outcomes))]


def family_of(outcome: Outcome) -> Family | None:
    """A test of few seeds is one over images, or over the kernels of few nets."""
    if not isinstance(outcome, Measurement) or outcome.tested_p is None:
        return None
    return "images" if outcome.scope.few else "seeds"


def run_family(family: Family, tests: list[tuple[paper.Claim, Measurement]]) -> list[Adjusted]:
    """The tests of one family, in the order given."""
    ps = [outcome.tested_p for _, outcome in tests]
    margins = [margin_of(claim, outcome) for claim, outcome in tests]
    equivalence = adjust(
        [p_of_no_effect(*each) for each in zip((outcome for _, outcome in tests), margins, strict=True)]
    )
    return [
        Adjusted(family, len(tests), p, p_holm, find_detectable(outcome, level), margin, p_equivalence)
        for p, p_holm, level, margin, p_equivalence, (_, outcome) in zip(
            ps, adjust(ps), levels(ps), margins, equivalence, tests, strict=True
        )
    ]


def adjust(ps: list[float | None]) -> list[float | None]:
    """Holm's adjustment over those that are not None."""
    tested = [p for p in ps if p is not None]
    adjusted = iter(multipletests(tested, method="holm")[1].tolist() if tested else ())
    return [None if p is None else next(adjusted) for p in ps]


def levels(ps: list[float]) -> list[float]:
    """The level that Holm's step compares each p with: 0.05 / m for the smallest of m, 0.05 for the largest."""
    order = sorted(range(len(ps)), key=lambda index: ps[index])
    return [SIGNIFICANT / (len(ps) - order.index(index)) for index in range(len(ps))]


def margin_of(claim: paper.Claim, outcome: Measurement) -> float | None:
    """Half the top-1 effect that the paper states, or one point: effects below it count as none. None for a ratio, and
    where there is no estimate over seeds."""
    if outcome.unit != "points" or outcome.top1 is None or outcome.top1.standard_error is None:
        return None
    return SMALLEST_EFFECT if claim.stated.top1 is None else claim.stated.top1 / 2


def p_of_no_effect(outcome: Measurement, margin: float | None) -> float | None:
    """The p of the equivalence test; of the smallest of several differences it is multiplied by their number."""
    if margin is None:
        return None
    return min(1.0, outcome.chosen_from * equivalence_p(outcome.top1, margin))


def find_detectable(outcome: Measurement, level: float) -> float | None:
    """What a test at `level` finds four times in five; a level is divided by what p was multiplied by."""
    if outcome.top1 is None or not outcome.top1.standard_error:
        return None
    multiplied = outcome.chosen_from if outcome.top1.value <= 0 else 1
    return detectable_difference(outcome.top1, level / multiplied)
