"""config/ilsvrc.yaml from official archives to both tables, on small archives of real photographs, truly shaped."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from fake_imagenet import Edition, write_ilsvrc2010_tars, write_ilsvrc2012_tars
from photographs import read_caltech
from workflow_copy import REPOSITORY, TINY, Project

CLASSES, TRAIN, VAL, TEST = 20, 12, 4, 5
PART = f"{CLASSES} of 1000 classes"

pytestmark = pytest.mark.slow  # the first test runs the workflow


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    """The project's own configuration with a scaled net, two epochs, and archives of 20 classes."""
    project = Project.copy(tmp_path_factory.mktemp("ilsvrc") / "project")
    photos = read_caltech(TRAIN + VAL + TEST)
    archives = project.root / "archives"
    write_ilsvrc2010_tars(archives / "2010", Edition.draw(2010, CLASSES, TRAIN, VAL, TEST, photos))
    write_ilsvrc2012_tars(archives / "2012", Edition.draw(2012, CLASSES, TRAIN, VAL, TEST, photos))
    values = yaml.safe_load((REPOSITORY / "config" / "ilsvrc.yaml").read_text(encoding="utf-8")) | {"full": []}
    for year in (2010, 2012):
        values["datasets"][f"ilsvrc{year}"] |= {"folder": f"archives/{year}", "size_px": 40, "complete": False}
    values["experiments"][2]["seeds"] = [0, 1]  # the copy's ensemble of five has two members
    values["net"] = {**TINY["net"], "crop_px": 32}
    values["training"] |= {"batch_size": 20, "torch_threads": 1, "schedule": {"kind": "plateau", "max_epochs": 2}}
    project.configure(values)
    project.output = project.run()
    return project


def test_a_damaged_archive_of_one_edition_stops_the_run_before_the_other_is_packed(fresh):
    archives = fresh.root / "archives"
    write_ilsvrc2010_tars(archives / "2010", Edition.draw(2010, 4, 3, 1, 1))
    write_ilsvrc2012_tars(archives / "2012", Edition.draw(2012, 4, 3, 1, 1))
    train = archives / "2012" / "ILSVRC2012_img_train.tar"
    train.write_bytes(train.read_bytes()[: train.stat().st_size // 2])
    values = yaml.safe_load((REPOSITORY / "config" / "ilsvrc.yaml").read_text(encoding="utf-8")) | {"full": []}
    for year in (2010, 2012):
        values["datasets"][f"ilsvrc{year}"] |= {"folder": f"archives/{year}", "size_px": 40, "complete": False}
    values["experiments"][2]["seeds"] = [0, 1]
    values["net"] = {**TINY["net"], "crop_px": 32}
    fresh.configure(values)

    done = fresh.snakemake("--cores", "2")

    assert done.returncode != 0 and "nothing was run" in done.stdout
    assert "ILSVRC2012_img_train.tar" in done.stdout and "cut short" in done.stdout
    assert not (fresh.root / "data" / "ilsvrc2010").exists()


def read_table(project: Project, name: str) -> str:
    text = (project.root / "results" / "ilsvrc" / "tables" / f"{name}.md").read_text(encoding="utf-8")
    return text.replace("\xa0", " ")


def row_of(table: str, label: str) -> list[str]:
    (line,) = re.findall(rf"^\| *{re.escape(label)} *\|.*$", table, re.MULTILINE)
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_table_1_comes_from_the_test_set_of_2010(project):
    table = read_table(project, "table1")
    assert "ilsvrc2010" in table and "ilsvrc2012" not in table
    record = json.loads(
        next(project.root.glob("results/ilsvrc/predictions/ilsvrc2010/cnn-*/seed0/test.json")).read_text(
            encoding="utf-8"
        )
    )
    assert record["images"] == CLASSES * TEST and record["dataset"]["counts"]["train"] == CLASSES * TRAIN
    error = f"{100 * record['errors']['ten_crop']['top1']:.1f} %"
    cells = row_of(table, "CNN")
    assert (cells[1], cells[3]) == ("37.5 %", "17.0 %") and cells[2].startswith(f"{error} [")
    assert "CNN 37.4727 / 16.9987 %" in table


def test_table_2_comes_from_val_of_2012_whose_test_labels_are_withheld(project):
    table = read_table(project, "table2")
    assert "ilsvrc2012" in table and "ilsvrc2010" not in table
    assert "ILSVRC-2012's test labels are withheld" in table
    for label, key in (("1 CNN", "cnn-*/seed0"), ("5 CNNs", "5-cnns-*/average")):
        cells = row_of(table, label)
        assert all(re.fullmatch(r"[\d.]+ % \[[\d.]+, [\d.]+\]", cells[column]) for column in (2, 4))
        folder = next(project.root.glob(f"results/ilsvrc/predictions/ilsvrc2012/{key}"))
        assert len(list(folder.glob("val*"))) == 4 and not list(folder.glob("test*"))


def test_tables_say_that_the_editions_are_not_whole(project):
    for name in ("table1", "table2", "in_text", "claims"):
        table = read_table(project, name)
        assert PART in table and "Not the paper's data" in table


def test_the_packed_images_are_those_of_the_archives(project):
    index = pd.read_parquet(project.root / "data" / "ilsvrc2010" / "train" / "index.parquet")
    assert len(index) == CLASSES * TRAIN and index["class"].nunique() == CLASSES
    assert index.notes.str.contains("gzipped").any() and index.path.is_monotonic_increasing
    withheld = json.loads((project.root / "data" / "ilsvrc2012" / "manifest.json").read_text(encoding="utf-8"))
    assert withheld["counts"] == {"train": CLASSES * TRAIN, "val": CLASSES * VAL, "test": CLASSES * TEST}


def test_archives_may_move_or_go_once_they_are_packed(project):
    (project.root / "archives").rename(project.root / "elsewhere")
    values = yaml.safe_load((project.root / "config" / "tiny.yaml").read_text(encoding="utf-8"))
    assert project.plan() == {}
    for year in (2010, 2012):
        values["datasets"][f"ilsvrc{year}"]["folder"] = f"elsewhere/{year}"
    project.configure(values)
    assert project.plan() == {}


def test_the_submission_has_five_official_labels_for_every_test_image(project):
    run = next(project.root.glob("results/ilsvrc/runs/ilsvrc2012/cnn-*/seed0"))
    done = subprocess.run(
        [Path(sys.executable).with_name("alexnet2012"), "predict", run, project.root / "out", "--split", "test"]
        + ["--submission"],
        cwd=project.root,
        env=project.environment(),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = (project.root / "out" / "test-submission.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) == CLASSES * TEST
    assert all(len({*line.split()}) == 5 and {*map(int, line.split())} <= {*range(1, CLASSES + 1)} for line in lines)
