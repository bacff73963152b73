"""`snakemake full`: table 2 with its pre-trained nets, and the nets of the 2012 source, on pictures of 16 pixels."""

import copy
import json

import pandas as pd
import pytest
import yaml
from fake_imagenet import Edition, write_release
from workflow_copy import COMMIT, SMALL_BASELINES, TINY

FULL = [
    {"variant": "sift-fv", "seeds": [0], "tables": ["table1"]},
    {"variant": "1-cnn-star", "seeds": [0], "pretrained_on": "turned", "tables": ["table2"]},
    {"ensemble": "7-cnns-star", "tables": ["table2"]},
    {"variant": "net145", "seeds": [0], "epochs": 4, "tables": ["table2", "in_text"]},
    {"variant": "net148", "seeds": [0], "epochs": 4, "tables": ["in_text"]},
    {"dataset": "fall2009", "variant": "cnn-sixth-layer", "seeds": [0], "tables": ["in_text"]},
]
CLASSES, IMAGES = 5, 12  # of Fall 2009: 12 images a class, of which 6 are for test and 1 for val
NOT_RUN = "run `snakemake full`"


@pytest.fixture
def larger(twin):
    """A finished project whose configuration has a section `full`; its ensemble of seven has three members."""
    values = copy.deepcopy(TINY)
    values["datasets"]["turned"] = {"kind": "rotations", "of": "pictures"}
    values["baselines"] = SMALL_BASELINES
    values["full"] = [{"dataset": "pictures", **line} for line in FULL]
    edition = Edition.draw(classes=CLASSES, train=IMAGES, val=1, test=1)
    write_release(twin.root / "fall", edition)
    (twin.root / "classes.txt").write_text("".join(f"{wnid}\n" for wnid in edition.wnids))
    release = {"kind": "fall2009", "folder": "fall", "class_list": "classes.txt", "size_px": 16}
    values["datasets"]["fall2009"] = {**release, "val_fraction": 0.002, "test_fraction": 0.5}
    twin.configure(values)
    path = twin.root / "config" / "variants.yaml"
    variants = yaml.safe_load(path.read_text())
    of_five, pretrained = variants["ensembles"]["7-cnns-star"]["members"]
    of_five["seeds"], pretrained["seeds"] = [0, 1], [0]
    path.write_text(yaml.safe_dump(variants))
    return twin


def read_rows(project) -> dict[str, str]:
    lines = (project.root / "results/tiny/tables/table2.md").read_text().splitlines()
    return {line.split("|")[1].strip(): line for line in lines if line.startswith("| ")}


@pytest.mark.slow
def test_the_full_run_completes_table_2_and_stays_in_it(larger):
    assert set(larger.plan()) <= {
        "all",
        "list_experiments",
        "render_tables",
        "draw_figures",
        "render_report",
        "publish_tables",
        "write_model_cards",
    }
    larger.run()
    assert NOT_RUN in read_rows(larger)["1 CNN*"] and NOT_RUN in read_rows(larger)["7 CNNs*"]
    # a pre-training on the rotations, a fine-tuning, two nets of the source, one on Fall 2009; a baseline
    plan = larger.plan("full")
    assert (plan["train_net"], plan["predict"], plan["average"], plan["prepare_dataset"]) == (5, 8, 2, 2)
    assert (plan["learn_baseline"], plan["judge_by_baseline"]) == (1, 2)

    larger.run("full")

    assert larger.plan() == larger.plan("full") == {}
    rows = read_rows(larger)
    assert not any(NOT_RUN in row for row in rows.values())
    assert {"1 CNN* (pre-trained on turned)", "7 CNNs* (1 of 3 pre-trained on turned)"} <= set(rows)
    assert {"1 CNN", "5 CNNs", "1 CNN, net 145 (code2012)"} <= set(rows)
    runs = larger.root / "results/tiny/runs"
    (before,) = runs.glob("turned/cnn-sixth-layer-*/seed0/record.json")
    (after,) = runs.glob("pictures/1-cnn-star-*/seed0/record.json")
    before, after = json.loads(before.read_text()), json.loads(after.read_text())
    assert (before["classes"], after["classes"]) == (28, 7)
    assert after["starts_from"]["weights_sha256"] == before["weights_sha256"]
    assert after["provenance"]["commit"] == COMMIT
    (of_the_source,) = runs.glob("pictures/net145-*/seed0")
    assert json.loads((of_the_source / "record.json").read_text())["recipe"] == "code2012"
    rates = pd.read_parquet(of_the_source / "history.parquet")["learning_rate"]
    assert rates.tolist() == [0.01, 0.001, 0.0001, 0.00001]
    assert "net 148, no normalisation" in (larger.root / "results/tiny/tables/in_text.md").read_text()
    card = (of_the_source / "model_card.md").read_text()
    assert "| val     | ten crops" in card and COMMIT[:12] in card and "- recipe: code2012" in card
    (tuned,) = runs.glob("pictures/1-cnn-star-*/seed0/model_card.md")
    assert "of `cnn-sixth-layer-" in tuned.read_text() and "on turned (28 classes)" in tuned.read_text()
    (pretrained,) = runs.glob("turned/cnn-sixth-layer-*/seed0/model_card.md")
    assert "centre crop" in pretrained.read_text()
    (of_fall,) = (larger.root / "results/tiny/predictions/fall2009").glob("cnn-sixth-layer-*/seed0/test.json")
    of_fall = json.loads(of_fall.read_text())
    assert of_fall["dataset"]["counts"] == {"train": CLASSES * 5, "val": CLASSES, "test": CLASSES * IMAGES // 2}
    assert (of_fall["classes"], of_fall["dataset"]["part"]) == (CLASSES, "5 of 10,184 classes")
    assert "## fall2009 (5 of 10,184 classes)" in (larger.root / "results/tiny/tables/in_text.md").read_text()
    table1 = (larger.root / "results/tiny/tables/table1.md").read_text()
    (row,) = (line for line in table1.splitlines() if line.startswith("| SIFT + FVs"))
    assert "45.7 %" in row and "not yet" not in row and "[" in row
    (baseline,) = runs.glob("pictures/sift-fv-*/seed0")
    assert "2 classifiers, averaged" in (baseline / "model_card.md").read_text()

    larger.append("src/alexnet2012/training/loop.py", "\nOTHER = 1\n")
    plan = larger.plan()  # of the default run alone: what other targets made is not made anew by it
    assert (plan["train_net"], plan["average"]) == (3, 2)
