import pytest

from alexnet2012 import paper
from alexnet2012.claims.ledger import settle_claim
from alexnet2012.claims.measurement import describe_outcome
from alexnet2012.claims.verdicts import Adjusted, judge
from alexnet2012.errors import RecordError

CLAIMS = {claim.id: claim for claim in paper.CLAIMS}


def settled(fake, claim: str):
    return settle_claim(CLAIMS[claim], fake.load(), "photos")


def add(fake, seeds: dict[int, dict], untouched: int = 0) -> None:
    """cnn with these seeds' analyses, and `untouched` more seeds without one."""
    fake.add("cnn", {seed: {} for seed in range(len(seeds) + untouched)}, ("in_text",))
    for seed, analysis in seeds.items():
        fake.analyse("cnn", seed, analysis)


def towers(first: float, second: float, p: float) -> dict:
    return {"chroma": {"towers": [[first], [second]], "means": [first, second], "p": p}, "neighbours": None}


def hits(features: list[int], pixels: list[int]) -> dict:
    found = {"k": 5, "queries": len(features), "gallery": 900, "features_hits": features, "pixels_hits": pixels}
    precision = {
        f"{name}_precision": sum(each) / 5 / len(each) for name, each in (("features", features), ("pixels", pixels))
    }
    return {"chroma": None, "neighbours": found | precision}


def test_c21_takes_the_largest_p_of_all_runs(fake):
    add(fake, {0: towers(0.5, 0.1, 0.001), 1: towers(0.2, 0.4, 0.03), 2: towers(0.1, 0.3, 0.002)}, untouched=1)
    outcome = settled(fake, "C21")
    assert outcome.tested_p == 0.03
    assert describe_outcome(outcome) == [
        "mean chroma of the two towers 0.100 and 0.500 (seed 0), 0.200 and 0.400 (seed 1), 0.100 and 0.300 (seed 2)",
        "photos; chroma of the two towers' first kernels, permutation test, the largest p; it cannot contradict the "
        "claim; 4 epochs; seeds 0-2",
    ]
    assert judge(CLAIMS["C21"], outcome, Adjusted("seeds", 2, 0.03, 0.03)).colour == "supported"
    assert judge(CLAIMS["C21"], outcome, Adjusted("seeds", 2, 0.03, 0.06)).colour == "inconclusive"


def test_c22_of_three_seeds_covers_seeds_and_queries(fake):
    """Of 2 x 5: 6 - 3, 7 - 3, 8 - 3: 30, 40 and 50 points."""
    add(fake, {0: hits([3, 3], [1, 2]), 1: hits([4, 3], [2, 1]), 2: hits([4, 4], [3, 0])})
    outcome = settled(fake, "C22")
    assert outcome.top1.value == pytest.approx(0.40)
    assert outcome.top1.method == "t over 3 seeds and 2 queries"
    assert outcome.top1.standard_error >= 0.1 / 3**0.5
    assert outcome.beside == "precision 70.0 against 30.0 %"
    assert outcome.conditions == (
        "photos; precision at 5 of same-class neighbours, features minus pixels, 2 queries among 900 images; "
        "4 epochs; seeds 0-2"
    )


def test_c22_of_one_seed_is_a_bootstrap_over_its_queries(fake):
    add(fake, {0: hits([5, 4, 3, 4], [1, 2, 3, 2])})
    outcome = settled(fake, "C22")
    assert outcome.top1.value == pytest.approx(0.40)
    assert outcome.top1.method == "bootstrap over 4 queries, t test over them: these nets, not the method"
    assert outcome.scope.few


def test_an_analysis_of_other_weights_is_refused(fake):
    add(fake, {0: towers(0.5, 0.1, 0.001) | {"weights_sha256": "of an older training"}})
    with pytest.raises(RecordError, match=r"analysis.json is of other weights than .* analyse this net again"):
        settled(fake, "C21")
