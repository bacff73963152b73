import json
import shutil
from pathlib import Path

import pytest
from fake_results import FakeResults

from alexnet2012.reporting.summaries import summarise_variants
from alexnet2012.reporting.tables import render_tables
from alexnet2012.tracking.contents import NOTE_TAG
from alexnet2012.tracking.store import TrackingIds

IDS = TrackingIds("sqlite:///x", "7", None, "some")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Results with their tables; not to be changed."""
    fake = FakeResults(tmp_path_factory.mktemp("summaries"))
    wrong = {seed: {("test", "ten_crop"): (5 + seed, 1)} for seed in range(3)}
    fake.add("cnn", wrong, ("table1",)).add("tanh", {0: {("test", "ten_crop"): (8, 2)}}, ("claims",))
    render_tables(fake.folder, fake.data)
    return fake.folder


def test_a_configuration_begins_with_its_nets_error_and_counts_verdicts(folder):
    summaries = summarise_variants(folder)
    assert summaries.sentence.startswith("cnn on photos errs on 30.0 % [")
    assert "3 seeds" in summaries.sentence and "Claims measured" in summaries.sentence
    assert summaries.metrics["test/ten_crop/top1_error"] == pytest.approx(0.3)
    counted = sum(value for name, value in summaries.metrics.items() if name.startswith("claims/"))
    claims = json.loads((folder / "tables/claims.json").read_text(encoding="utf-8"))["datasets"][0]["claims"]
    assert counted == sum(row["colour"] != "not measured" for row in claims)


def test_a_variant_has_mean_interval_and_a_link_to_the_curves_of_its_seeds(folder):
    cnn, tanh = (each(IDS) for each in summarise_variants(folder).variants)
    assert (cnn.name, tanh.name) == ("cnn, all seeds", "tanh, all seeds") and cnn.key != tanh.key
    assert {
        "kind": "variant",
        "configuration": "some",
        "dataset": "photos",
        "variant": "cnn",
    }.items() <= cnn.tags.items()
    mean, low, high = (cnn.results[f"test/ten_crop/top1_error{end}"] for end in ("", "_low", "_high"))
    assert low < mean < high and mean == pytest.approx(0.3)
    assert (cnn.results["seeds"], cnn.results["seeds_learned"]) == (3, 3)
    assert "(#/experiments/7/runs?workflowType=machine_learning&" in cnn.tags[NOTE_TAG]
    assert cnn.tags[NOTE_TAG].endswith("&compareRunsMode=CHART)")


def test_results_that_fit_in_no_table_are_told_and_hold_up_nothing(folder, tmp_path, capsys):
    folder = shutil.copytree(folder, tmp_path / "some")
    (folder / "tables/claims.json").write_text("{", encoding="utf-8")
    assert summarise_variants(folder).variants == ()
    assert "left out" in capsys.readouterr().err


def test_where_no_run_has_listed_its_experiments_there_is_nothing_to_sum_up(tmp_path, capsys):
    found = summarise_variants(tmp_path)
    assert not (found.sentence or found.metrics or found.variants)
    assert capsys.readouterr().err == ""
