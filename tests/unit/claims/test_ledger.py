import json
import math

import pytest

from alexnet2012 import paper
from alexnet2012.claims.ledger import list_numbers, make_ledgers, settle_claim, to_data
from alexnet2012.claims.measurement import Measurement, Scope
from alexnet2012.evaluation.statistics import Estimate
from alexnet2012.files import SCHEMA

TABLES = ("table1", "in_text")
COLOURS = {"supported", "contradicted", "no effect", "inconclusive", "indicative", "not measured"}


def wrong(ten_crop: int, centre: int = 0) -> dict:
    return {("test", "ten_crop"): (ten_crop, 0), ("test", "centre"): (centre, 0)}


@pytest.fixture
def results(fake):
    """Of 20: C03 10 and 10, 9, 9, 8 more of the centre crop; C04 4, 5, 6 of one-gpu; C05 1, 2, 3 of no-lrn; C07 10."""
    fake.departures = ("net.conv1",)
    fake.add("cnn", {seed: wrong(8, 8 + more) for seed, more in enumerate((10, 10, 9, 9, 8))}, TABLES)
    fake.add("one-gpu", {seed: wrong(8 + more) for seed, more in enumerate((4, 5, 6))}, TABLES)
    fake.add("no-lrn", {seed: wrong(8 + more) for seed, more in enumerate((1, 2, 3))}, TABLES)
    fake.add("no-colour", {0: wrong(18)}, TABLES)
    return fake.load()


def test_every_row_has_a_verdict_and_conditions_or_a_reason(results):
    (ledger,) = make_ledgers(results)
    assert [row.id for row in ledger.claims] == [claim.id for claim in paper.CLAIMS]
    assert all(row.verdict and row.conditions and row.measured for row in ledger.claims)
    assert {row.colour for row in ledger.claims} <= COLOURS
    for row in ledger.claims:
        assert (row.measured == "not measured") == (row.colour == "not measured")
        assert (row.p is None) == (row.p_holm is None)


def test_verdicts_follow_holm_over_the_family_of_each_test(results):
    """Three tests over seeds, C03's p the smallest, C04's times 2; one over images, of 10 images and 1 net."""
    rows = {row.id: row for row in reversed(make_ledgers(results)[0].claims)}
    tested = {key: row.family for key, row in rows.items() if row.p is not None}
    assert tested == {"C03": "seeds", "C04": "seeds", "C05": "seeds", "C07": "images"}
    assert rows["C03"].p_holm == pytest.approx(3 * rows["C03"].p) and rows["C03"].p < rows["C04"].p
    assert rows["C04"].p_holm == pytest.approx(2 * rows["C04"].p) and rows["C04"].p_holm < 0.05
    assert rows["C05"].p_holm == rows["C05"].p > 0.05
    assert rows["C07"].p_holm == rows["C07"].p < 0.05
    assert rows["C04"].verdict == "sign supported on photos, scaled net, 4 epochs, 3 against 5 seeds"
    assert rows["C05"].verdict == "inconclusive on photos, scaled net, 4 epochs, 3 against 5 seeds"
    assert "found four times in five" in rows["C05"].note
    assert rows["C07"].verdict == "indicative: sign supported on photos, scaled net, 4 epochs, 1 against 5 seeds"
    assert rows["C03"].colour == "supported"


def test_the_data_are_the_page(results):
    data = json.loads(json.dumps(to_data(results, make_ledgers(results)), allow_nan=False))
    assert data["schema"] == SCHEMA
    assert (data["name"], [each["dataset"] for each in data["datasets"]]) == ("some", ["photos"])
    rows = {row["id"]: row for row in data["datasets"][0]["claims"]}
    found = settle_claim(next(claim for claim in paper.CLAIMS if claim.id == "C04"), results, "photos").top1
    interval = f"[{100 * found.low:.2f}, {100 * found.high:.2f}]"
    assert rows["C04"] == {
        "id": "C04",
        "text": "the two-GPU net beats the one-GPU net of halved width",
        "reading": "",
        "section": "§3.2",
        "paper": "1.7 / 1.2 points",
        "measured": f"25.00 {interval} / 0.00 [0.00, 0.00] points",
        "verdict": "sign supported on photos, scaled net, 4 epochs, 3 against 5 seeds",
        "colour": "supported",
        "note": "",
        "conditions": "photos; test, ten crops, one-gpu minus cnn; 4 epochs; seeds 0-2 against 0-4; t, one spread of 2 "
        "variants, over 3 and 5 seeds and 20 images",
        "interval": f"{interval} points",
        "family": "seeds",
        "p": pytest.approx(found.p),
        "p_holm": pytest.approx(2 * found.p),
        "p_equivalence": 1.0,
        "numbers": {
            "estimate": pytest.approx(25.0),
            "low": pytest.approx(100 * found.low),
            "high": pytest.approx(100 * found.high),
            "p": pytest.approx(found.p),
            "p_adjusted": pytest.approx(2 * found.p),
            "n": 8,
            "paper": 1.7,
            "unit": "points",
        },
        "brief": {"paper": "1.7 points", "measured": f"25.00 {interval} points", "verdict": "sign supported"},
    }
    assert len(data["datasets"][0]["spreads"]) == 1
    assert (rows["C01"]["colour"], rows["C01"]["interval"], rows["C01"]["p"]) == ("not measured", "", None)
    nothing = dict.fromkeys(("estimate", "low", "high", "p", "p_adjusted", "n"))
    assert rows["C01"]["numbers"] == nothing | {"paper": 37.5, "unit": "%"}


@pytest.mark.parametrize(
    ("key", "unit", "found", "numbers"),
    [
        ("C11", "x", (math.log(4), math.log(3), math.log(5)), (4, 3, 5, 6)),
        ("C13", "%", (0.25, 0.2, 0.4), (25, 20, 40, 40.7)),
        ("C07", "points", (0.012, -0.002, 0.02), (1.2, -0.2, 2, 1)),
    ],
)
def test_numbers_are_in_the_claims_unit(key, unit, found, numbers):
    claim = next(claim for claim in paper.CLAIMS if claim.id == key)
    scope = Scope("photos", "scaled net", "4 epochs", "3 seeds", few=False, sized=False, nets=3)
    made = list_numbers(claim, Measurement(top1=Estimate(*found, "t"), unit=unit, scope=scope), None)
    assert (made.estimate, made.low, made.high, made.paper) == pytest.approx(numbers)
    assert (made.unit, made.n) == (unit, 3)
