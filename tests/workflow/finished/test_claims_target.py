"""`snakemake claims`: what it adds to a finished run, and what its experiments settle."""

import json

import pytest

pytestmark = pytest.mark.slow  # the first test runs the workflow


def test_experiments_for_claims_are_run_only_when_they_are_asked_for(extended):
    assert "train_net" not in extended.plans[""]
    plan = extended.plans["claims"]
    # no-lrn, searching, and the two rates that it tries
    assert (plan["train_net"], plan["predict"], plan["list_experiments"]) == (4, 2, 1)
    assert plan["render_tables"] == plan["claims"] == 1


def test_claims_are_settled_and_stay_in_the_ledger(extended):
    assert extended.project.plan() == extended.project.plan("claims") == {}
    folder = extended.project.root / "results/tiny"
    ledgers = json.loads((folder / "tables/claims.json").read_text(encoding="utf-8"))["datasets"]
    (claims,) = (ledger["claims"] for ledger in ledgers if ledger["dataset"] == "pictures")
    rows = {row["id"]: row for row in reversed(claims)}  # C05 by its first reading
    assert rows["C05"]["colour"] in ("indicative", "inconclusive") and "no-lrn minus cnn" in rows["C05"]["conditions"]
    assert rows["C06"]["conditions"] == "no experiment of pool-2x2; `snakemake claims` runs it"
    assert rows["C22"]["colour"] != "not measured"
    (path,) = folder.glob("runs/pictures/searching-????????/seed0/record.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["learning_rate"] == 0.0001
    assert [each["learning_rate"] for each in record["search"]] == [0.0001, 1e6]
    assert record["search"][1]["train_error"] is None  # a rate that diverges ends its own run, and nothing else
    assert "no-lrn" in (folder / "tables/in_text.md").read_text(encoding="utf-8")
