"""`snakemake claims`: what it adds to a finished run, and that the default run keeps what was added."""

import copy
import json

import pytest
from workflow_copy import TINY

SEARCHING = """
  searching:
    section: "3.1"
    claims: [C11]
    net:
      kind: layers
      crop_px: 12
      layers: [{type: fc, name: fc1, init_std: 0.001}]
    training:
      learning_rate_search: {rates: [0.0001, 1000000.0], epochs: 1}
      schedule: {kind: target, train_error: 0.25, max_epochs: 2}

"""
CLAIMS = [{"dataset": "pictures", "variants": ["no-lrn", "searching"], "seeds": [0]}]


@pytest.fixture
def claiming(twin):
    """A finished project whose configuration has two more variants for its ledger."""
    text = (twin.root / "config" / "variants.yaml").read_text()
    (twin.root / "config" / "variants.yaml").write_text(text.replace("variants:\n", f"variants:\n{SEARCHING}", 1))
    twin.configure(copy.deepcopy(TINY) | {"claims": CLAIMS})
    return twin


def test_experiments_for_claims_are_run_only_when_they_are_asked_for(claiming):
    assert claiming.plan() == {}
    plan = claiming.plan("claims")
    # no-lrn, searching, and the two rates that it tries
    assert (plan["train_net"], plan["predict"], plan["list_experiments"]) == (4, 4, 1)
    assert plan["render_tables"] == plan["claims"] == 1


@pytest.mark.slow
def test_claims_are_settled_and_stay_in_the_ledger(claiming):
    claiming.run("claims")

    assert claiming.plan() == claiming.plan("claims") == {}
    folder = claiming.root / "results/tiny"
    (dataset,) = json.loads((folder / "tables/claims.json").read_text())["datasets"]
    rows = {row["id"]: row for row in dataset["claims"]}
    assert rows["C05"]["colour"] in ("indicative", "inconclusive") and "no-lrn minus cnn" in rows["C05"]["conditions"]
    assert rows["C06"]["conditions"] == "no experiment of pool-2x2; `snakemake claims` runs it"
    assert rows["C22"]["colour"] != "not measured"
    (path,) = folder.glob("runs/pictures/searching-????????/seed0/record.json")
    record = json.loads(path.read_text())
    assert record["learning_rate"] == 0.0001
    assert [each["learning_rate"] for each in record["search"]] == [0.0001, 1e6]
    assert record["search"][1]["train_error"] is None  # a rate that diverges ends its own run, and nothing else
    assert (folder / "tables/claims.md").read_text().count("| no-lrn") == 0  # the ledger is of claims, not of variants
    assert "no-lrn" in (folder / "tables/in_text.md").read_text()
