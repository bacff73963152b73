from dataclasses import replace

import pytest

from alexnet2012 import paper
from alexnet2012.claims.measurement import Arithmetic, Measurement, NotMeasured, Scope
from alexnet2012.claims.verdicts import adjust, levels, margin_of, run_tests
from alexnet2012.evaluation.statistics import Estimate, detectable_difference, equivalence_p

CLAIMS = {claim.id: claim for claim in paper.CLAIMS}
SEEDS = Scope("photos", "scaled net", "4 epochs", "3 seeds", few=False, sized=False, nets=3)
FEW = replace(SEEDS, sample="1 seed", few=True)


def over_seeds(p: float, value: float = 0.002, error: float = 0.003, freedom: float = 20.0, **others) -> Measurement:
    estimate = Estimate(value, value - 2 * error, value + 2 * error, "t", p, error, freedom)
    return Measurement(top1=estimate, scope=SEEDS, **others)


def over_images(p: float) -> Measurement:
    return Measurement(top1=Estimate(0.002, -0.004, 0.008, "bootstrap", p), scope=FEW)


def run(**outcomes):
    tests = run_tests([CLAIMS[name] for name in outcomes], list(outcomes.values()))
    return dict(zip(outcomes, tests, strict=True))


def test_holm_steps_down_over_the_claims_that_are_tested():
    """Sorted 0.01, 0.02, 0.03: times 3, 2, 1 is 0.03, 0.04, 0.03, which may not fall: 0.03, 0.04, 0.04."""
    assert adjust([0.03, None, 0.01, 0.02]) == [
        *(pytest.approx(0.04), None, pytest.approx(0.03), pytest.approx(0.04)),
    ]
    assert adjust([0.6, 0.7]) == [1.0, 1.0]
    assert adjust([None, None]) == [None, None]


def test_each_p_is_compared_with_the_level_of_its_step():
    assert levels([0.3, 0.01, 0.2]) == [0.05, pytest.approx(0.05 / 3), 0.025]
    assert levels([]) == []


def test_seeds_and_images_are_families_of_their_own():
    """Three tests over seeds: 0.01 times 3; one over images: 0.02 times 1. C26 has no p, C25 is arithmetic."""
    arithmetic = Arithmetic("", "", "contradicted")
    no_p = Measurement(top1=Estimate(0.0, 0.0, 0.0, ""), scope=SEEDS)
    found = run(
        C03=over_seeds(0.01),
        C04=over_images(0.02),
        C09=over_seeds(0.5),
        C10=NotMeasured("why"),
        C21=Measurement(text="means", p=0.2, scope=SEEDS),
        C25=arithmetic,
        C26=no_p,
    )
    assert [found[name] for name in ("C10", "C25", "C26")] == [None] * 3
    assert {name: (each.family, each.size) for name, each in found.items() if each} == {
        **dict.fromkeys(("C03", "C09", "C21"), ("seeds", 3)),
        "C04": ("images", 1),
    }
    assert (found["C03"].p_holm, found["C04"].p_holm) == (pytest.approx(0.03), pytest.approx(0.02))


@pytest.mark.parametrize(
    ("claim", "margin"),
    [("C03", 0.0075), ("C04", 0.0085), ("C05", 0.007), ("C06", 0.002), ("C07", 0.005), ("C08", 0.01), ("C10", 0.01)]
    + [("C12", 0.01), ("C18", 0.041), ("C19", 0.01), ("C22", 0.01)],
)
def test_half_the_papers_effect_or_one_point_counts_as_none(claim, margin):
    (found,) = run(**{claim: over_seeds(0.5)}).values()
    assert margin_of(CLAIMS[claim]) == pytest.approx(margin)
    assert found.p_equivalence == pytest.approx(equivalence_p(over_seeds(0.5).top1, margin))


def test_neither_a_ratio_nor_a_test_over_images_has_an_equivalence_test():
    found = run(C11=over_seeds(0.5, unit="x"), C04=over_images(0.5), C21=Measurement(text="", p=0.2, scope=SEEDS))
    assert [each.p_equivalence for each in found.values()] == [None] * 3
    assert found["C11"].detectable is not None and found["C04"].detectable is None


def test_equivalence_is_adjusted_over_those_tests_of_the_family():
    """Margins of 1 point; errors of 0.2 and 0.9 points. A ratio and C21 are in the family, but have no such test."""
    tight, loose = over_seeds(0.4, error=0.002), over_seeds(0.9, error=0.009)
    found = run(C08=tight, C09=loose, C11=over_seeds(0.5, unit="x"), C21=Measurement(text="", p=0.2, scope=SEEDS))
    assert found["C08"].p_equivalence == pytest.approx(2 * equivalence_p(tight.top1, 0.01))
    assert found["C09"].p_equivalence == pytest.approx(equivalence_p(loose.top1, 0.01))


def test_what_would_have_been_found_follows_the_step_of_holm():
    first, last = over_seeds(0.01), over_seeds(0.5)
    found = run(C08=first, C09=last)
    assert found["C08"].detectable == pytest.approx(detectable_difference(first.top1, 0.025))
    assert found["C09"].detectable == pytest.approx(detectable_difference(last.top1, 0.05))


def test_the_smallest_of_four_differences_counts_four_times():
    """Its equivalence p in any case; its level where it is negative, for then its p was multiplied too."""
    up, down = (over_seeds(0.5, value, chosen_from=4) for value in (0.001, -0.001))
    (above,), (below,) = (run(C10=each).values() for each in (up, down))
    assert above.p_equivalence == pytest.approx(4 * equivalence_p(up.top1, 0.01))
    assert above.detectable == pytest.approx(detectable_difference(up.top1, 0.05))
    assert below.detectable == pytest.approx(detectable_difference(down.top1, 0.05 / 4))
