"""`snakemake full`: tables 1 and 2 with every row, and the nets of the 2012 source, on pictures of 16 pixels."""

import json

import pandas as pd
import pytest
from workflow_copy import COMMIT

pytestmark = pytest.mark.slow  # the first test runs the workflow

NOT_RUN = "run `snakemake full`"


@pytest.fixture(scope="module")
def results(extended):
    return extended.project.root / "results" / "tiny"


@pytest.fixture(scope="module")
def of_the_source(results):
    """The folder of net 145."""
    (folder,) = results.glob("runs/pictures/net145-*/seed0")
    return folder


def rows_of(table: str) -> dict[str, str]:
    lines = table.replace("\xa0", " ").splitlines()
    return {line.split("|")[1].strip(): line for line in lines if line.startswith("| ")}


def test_its_experiments_are_run_only_when_they_are_asked_for(extended):
    assert set(extended.plans[""]) <= {
        "list_experiments",
        "render_tables",
        "draw_figures",
        "render_report",
        "publish_tables",
        "write_model_cards",
    }
    rows = rows_of(extended.table2)
    assert NOT_RUN in rows["1 CNN*"] and NOT_RUN in rows["7 CNNs*"]
    # a pre-training on the rotations, a fine-tuning, two nets of the source, one on Fall 2009; two baselines
    plan = extended.plans["full"]
    assert (plan["train_net"], plan["predict"], plan["average"], plan["prepare_dataset"]) == (5, 4, 2, 2)
    assert (plan["train_baseline"], plan["predict_baseline"]) == (2, 4)


def test_table_2_is_complete_and_stays_so(extended, results):
    assert extended.project.plan("full") == {}
    rows = rows_of((results / "tables/table2.md").read_text(encoding="utf-8"))
    assert not any(NOT_RUN in row for row in rows.values())
    for name in ("table1", "table2"):
        text = (results / f"tables/{name}.md").read_text(encoding="utf-8").replace("\N{NO-BREAK SPACE}", " ")
        assert "not yet reproduced" not in text and "snakemake full" not in text, name
    assert {"1 CNN* (pre-trained on turned)", "7 CNNs* (1 of 3 pre-trained on turned)"} <= set(rows)
    assert {"1 CNN", "5 CNNs", "1 CNN, net 145 (code2012)"} <= set(rows)


def test_the_pretrained_net_begins_with_the_weights_of_its_pretraining(results):
    (before,) = results.glob("runs/turned/cnn-sixth-layer-*/seed0")
    (after,) = results.glob("runs/pictures/1-cnn-star-*/seed0")
    first, second = (json.loads((folder / "record.json").read_text(encoding="utf-8")) for folder in (before, after))
    assert (first["classes"], second["classes"]) == (28, 7)
    assert second["starts_from"]["weights_sha256"] == first["weights_sha256"]
    assert second["provenance"]["commit"] == COMMIT
    card = (after / "model_card.md").read_text(encoding="utf-8")
    assert "of `cnn-sixth-layer-" in card and "on turned (28 classes)" in card
    assert "centre crop" in (before / "model_card.md").read_text(encoding="utf-8")


def test_nets_of_the_source_are_trained_by_its_recipe(of_the_source, results):
    assert json.loads((of_the_source / "record.json").read_text(encoding="utf-8"))["recipe"] == "code2012"
    rates = pd.read_parquet(of_the_source / "history.parquet")["learning_rate"]
    assert rates.tolist() == [0.01, 0.001, 0.0001, 0.00001]
    card = (of_the_source / "model_card.md").read_text(encoding="utf-8")
    assert "| val     | ten crops" in card and COMMIT[:12] in card and "- recipe: code2012" in card
    assert "net 148, no normalisation" in (results / "tables/in_text.md").read_text(encoding="utf-8")


def test_half_of_a_release_is_for_test(results):
    (path,) = results.glob("predictions/fall2009/cnn-sixth-layer-*/seed0/test.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["dataset"]["counts"] == {"train": 5 * 5, "val": 5 * 1, "test": 5 * 6}  # 12 images in each class
    assert (record["classes"], record["dataset"]["part"]) == (5, "5 of 10,184 classes")
    assert "## fall2009 (5 of 10,184 classes)" in (results / "tables/in_text.md").read_text(encoding="utf-8")


def test_the_baseline_stands_in_table_1_with_its_interval(results):
    row = rows_of((results / "tables/table1.md").read_text(encoding="utf-8"))["SIFT + FVs [24]"]
    assert "45.7 %" in row and "not yet" not in row and "[" in row
    (baseline,) = results.glob("runs/pictures/sift-fv-*/seed0")
    assert "2 classifiers, averaged" in (baseline / "model_card.md").read_text(encoding="utf-8")


def test_after_an_edit_the_default_run_makes_nothing_anew_that_other_targets_made(extended, tmp_path):
    twin = extended.project.twin(tmp_path / "twin")
    twin.edit("src/alexnet2012/training/loop.py", "class Training:", "class Training:\n    other = 1\n")

    plan = twin.plan()

    assert (plan["train_net"], plan["average"]) == (3, 2)
