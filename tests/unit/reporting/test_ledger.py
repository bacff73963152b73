import json

import pytest
from fake_results import read_grid

from alexnet2012.files import SCHEMA
from alexnet2012.reporting.ledger import make_ledgers, render_claims, to_data
from alexnet2012.reporting.results import load_results

TABLES = ("table1", "in_text")
COLOURS = {"supported", "contradicted", "inconclusive", "indicative", "not measured"}


def wrong(ten_crop: int, centre: int = 0) -> dict:
    return {("test", "ten_crop"): (ten_crop, 0), ("test", "centre"): (centre, 0)}


@pytest.fixture
def results(fake):
    """Of 20: C03 10 and 10, 9, 9, 8 more of the centre crop; C04 4, 5, 6 of one-gpu; C05 1, 2, 3 of no-lrn.

    p: C04 1 - t / sqrt(2 + t^2) with t = 5 sqrt(3) is 0.01307, C05 with t = 2 sqrt(3) 0.07418, C03 about 1e-5.
    """
    fake.departures = ("net.conv1",)
    fake.add("cnn", {seed: wrong(8, 8 + more) for seed, more in enumerate((10, 10, 9, 9, 8))}, TABLES)
    fake.add("one-gpu", {seed: wrong(8 + more) for seed, more in enumerate((4, 5, 6))}, TABLES)
    fake.add("no-lrn", {seed: wrong(8 + more) for seed, more in enumerate((1, 2, 3))}, TABLES)
    fake.add("no-colour", {0: wrong(18)}, TABLES)
    return load_results(fake.folder, fake.data)


def test_every_row_has_a_verdict_and_conditions_or_a_reason(results):
    (ledger,) = make_ledgers(results)
    assert [row.id for row in ledger.claims] == [f"C{number:02}" for number in range(1, 27)]
    assert all(row.verdict and row.conditions and row.measured for row in ledger.claims)
    assert {row.colour for row in ledger.claims} <= COLOURS
    for row in ledger.claims:
        assert (row.measured == "not measured") == (row.colour == "not measured")
        assert (row.p is None) == (row.p_holm is None)


def test_verdicts_follow_holm_over_all_that_were_tested(results):
    """Four tests: the smallest p times 4 and so on; one-gpu's 0.0131 becomes the third, times 2: 0.0261."""
    rows = {row.id: row for row in make_ledgers(results)[0].claims}
    assert [key for key, row in rows.items() if row.p is not None] == ["C03", "C04", "C05", "C07"]
    assert rows["C04"].p == pytest.approx(0.01307, abs=1e-5)
    assert rows["C04"].p_holm == pytest.approx(2 * 0.01307, abs=2e-5)
    assert rows["C05"].p_holm == rows["C05"].p == pytest.approx(0.07418, abs=1e-5)
    assert rows["C07"].p == pytest.approx(2 / 2**10)
    assert rows["C07"].p_holm == pytest.approx(3 * 2 / 2**10)
    assert rows["C04"].verdict == "sign supported on photos, scaled net, 4 epochs, 3 seeds"
    assert rows["C05"].verdict == "inconclusive on photos, scaled net, 4 epochs, 3 seeds"
    assert rows["C07"].verdict == "indicative: sign supported on photos, scaled net, 4 epochs, 1 seed"
    assert rows["C03"].colour == "supported"


def test_the_page_shows_both_ps_and_says_how_verdicts_are_made(results):
    text = render_claims(results, make_ledgers(results))
    rows = {row[0]: row for row in read_grid(text)}
    assert rows["C04"][5:] == [
        "sign supported on photos, scaled net, 4 epochs, 3 seeds",
        "photos; test, ten crops, one-gpu minus cnn; 4 epochs; seeds 0, 1, 2; t over 3 seeds",
        *("0.0131", "0.0261"),
    ]
    assert rows["C03"][7] == "< 0.0001"
    assert rows["C25"][5:] == ["contradicted", "arithmetic, the paper's net", "–", "–"]
    assert "Intervals are of 95 % and unadjusted" in text
    assert "over the claims tested in this ledger, here 4." in text
    assert "- commit: `0123456789ab`" in text


def test_the_data_are_the_page(results):
    data = json.loads(json.dumps(to_data(results, make_ledgers(results)), allow_nan=False))
    assert data["schema"] == SCHEMA
    assert (data["name"], [each["dataset"] for each in data["datasets"]]) == ("some", ["photos"])
    rows = {row["id"]: row for row in data["datasets"][0]["claims"]}
    assert rows["C04"] == {
        "id": "C04",
        "text": "the two-GPU net beats the one-GPU net of halved width",
        "section": "§3.2",
        "paper": "1.7 / 1.2 points",
        "measured": "25.00 [12.58, 37.42] / 0.00 [0.00, 0.00] points",
        "verdict": "sign supported on photos, scaled net, 4 epochs, 3 seeds",
        "colour": "supported",
        "conditions": "photos; test, ten crops, one-gpu minus cnn; 4 epochs; seeds 0, 1, 2; t over 3 seeds",
        "interval": "[12.58, 37.42] points",
        "p": pytest.approx(0.01307, abs=1e-5),
        "p_holm": pytest.approx(0.02614, abs=2e-5),
    }
    assert (rows["C01"]["colour"], rows["C01"]["interval"], rows["C01"]["p"]) == ("not measured", "", None)
