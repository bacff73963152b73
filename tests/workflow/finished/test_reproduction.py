"""One run of the whole workflow, with a training killed on the way, and what it leaves."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient
from workflow_copy import CLASSES, COMMIT, EPOCHS, TEST, TRAIN, VAL, count_jobs

from alexnet2012.files import file_digest
from alexnet2012.fingerprint import fingerprint
from alexnet2012.tracking.publish import LiveRun
from alexnet2012.tracking.store import TrackingIds
from alexnet2012.training.record import Recorder
from alexnet2012.training.train import train

pytestmark = pytest.mark.slow  # the first test runs the workflow

CNN_SEEDS = (0, 1)
ROWS = sorted([*(f"C{k:02d}" for k in range(1, 27)), "C05"])  # C05 has a row for each reading of alpha


@pytest.fixture(scope="module")
def results(finished):
    return finished.root / "results" / "tiny"


@pytest.fixture(scope="module")
def tables(results):
    return {path.stem: path.read_text(encoding="utf-8") for path in (results / "tables").glob("*.md")}


@pytest.fixture(scope="module")
def store(finished):
    """The runs of the experiment by name, as MLflow's own client finds them."""
    client = MlflowClient(tracking_uri=f"sqlite:///{finished.root}/results/mlflow.db")
    experiment = client.get_experiment_by_name("alexnet2012")
    runs = client.search_runs([experiment.experiment_id])
    assert len({run.info.run_name for run in runs}) == len(runs)
    return client, {run.info.run_name: run for run in runs}


def read_grid(text: str, first_header: str) -> list[dict[str, str]]:
    """The rows of the first markdown table whose first column is `first_header`, with plain spaces."""
    lines = text.replace("\xa0", " ").splitlines()
    start = next(k for k, line in enumerate(lines) if re.match(rf"\| *{first_header} *\|", line))
    cells = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        cells.append([cell.strip() for cell in line.strip("|").split("|")])
    return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]


def recompute_error(project, folder: str, split: str, crops: str, k: int) -> float:
    """Per cent of a split's images whose label is not among the k largest stored probabilities; there are no ties."""
    (path,) = project.root.glob(f"results/tiny/predictions/pictures/{folder}/{split}-{crops}.npy")
    probabilities = np.load(path)
    labels = np.load(project.root / "data" / "pictures" / split / "labels.npy")
    order = np.argsort(-probabilities, axis=1)
    return 100 * float(np.mean([label not in row[:k] for label, row in zip(labels, order, strict=True)]))


def mean_error(project, split: str, crops: str, k: int) -> float:
    return float(np.mean([recompute_error(project, f"cnn-*/seed{seed}", split, crops, k) for seed in CNN_SEEDS]))


def test_a_killed_training_fails_the_run_and_keeps_its_state(reproduction):
    """Checkpoints are no outputs: Snakemake deletes those of a failed job."""
    assert reproduction.first_code != 0
    assert re.search(r"^[\d:]+  train \S+ seed \d on pictures: FAILED after ", reproduction.first_output, re.MULTILINE)
    left = reproduction.left_over
    # Two are kept; a third where the kill came between writing the newest and removing the oldest.
    assert sum(bool(re.fullmatch(r"state/checkpoint-\d+\.pt", name)) for name in left) in (2, 3)
    assert left.isdisjoint({"record.json", "model.safetensors", "history.parquet"})


def test_the_same_command_again_resumes_it_and_finishes(reproduction):
    assert re.search(r"^resuming at epoch [2-9], step \d+\n", reproduction.resumed_log, re.MULTILINE)
    assert f" epoch 1/{EPOCHS}  lr " not in reproduction.resumed_log
    assert re.search(r"^[\d:]+  train cnn seed \d on pictures: done in ", reproduction.second_output, re.MULTILINE)
    assert "prepare_dataset" not in count_jobs(reproduction.second_output)
    assert count_jobs(reproduction.second_output)["render_tables"] == 1
    assert list(reproduction.killed.glob("checkpoint-*")) == []


def test_the_killed_training_ends_with_the_bits_of_one_left_alone(reproduction, tmp_path, monkeypatch):
    root, killed = reproduction.project.root, reproduction.killed.parent
    folder = tmp_path / "alone"
    folder.mkdir()
    (folder / "config.yaml").write_text((killed / "config.yaml").read_text(encoding="utf-8"))
    (tmp_path / "tracking.json").write_text(
        json.dumps(
            {**json.loads((root / "results/tiny/tracking.json").read_text(encoding="utf-8")), "results": str(tmp_path)}
        )
    )
    monkeypatch.setenv("ALEXNET2012_COMMIT", COMMIT)
    monkeypatch.setattr("alexnet2012.tracking.store.outage.retry_at", float("inf"))

    with Recorder(folder, LiveRun(folder, TrackingIds.load(tmp_path / "tracking.json"))) as recorder:
        train(folder, root / "data", recorder, [fingerprint("train")])

    assert file_digest(folder / "model.safetensors") == file_digest(killed / "model.safetensors")
    timings = ["images_per_second", "seconds"]
    ours, theirs = (pd.read_parquet(each / "history.parquet").drop(columns=timings) for each in (folder, killed))
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)


def test_the_run_ends_with_what_came_out_in_a_few_lines(reproduction):
    lines = reproduction.second_output.splitlines()
    end = lines[lines.index("tiny: what came out") :]
    assert any(line.startswith("1 CNN on pictures test ") for line in end)
    assert "report: results/tiny/report.html" in end
    assert len(end) <= 15 and all(len(line) <= 100 for line in end if "Complete log" not in line)


def say_learned(finished, what: str) -> list[str]:
    """What tables add where nets of the few images of this run stayed at chance."""
    records = finished.root.glob("results/tiny/runs/*/cnn-*/seed?/record.json")
    learned = sum(json.loads(path.read_text(encoding="utf-8"))["learned"] for path in records)
    return [] if learned == 2 else [f"{learned} of 2 {what} learned" if learned else "did not learn"]


def test_table1_holds_the_errors_of_the_stored_probabilities(finished, tables):
    rows = {row["Model"]: row for row in read_grid(tables["table1"], "Model")}

    assert list(rows) == ["Sparse coding [2]", "SIFT + FVs [24]", "CNN"]
    for k in (1, 5):
        assert rows["CNN"][f"top-{k}"].startswith(f"{mean_error(finished, 'test', 'ten_crop', k):.1f} % [")
    each = [recompute_error(finished, f"cnn-*/seed{seed}", "test", "ten_crop", 1) for seed in CNN_SEEDS]
    assert f"- top-1 by seed: CNN from {min(each):.1f} % to {max(each):.1f} %\n" in tables["table1"]
    assert [rows["CNN"]["seeds"]] == (say_learned(finished, "seeds") or ["2 seeds"])
    assert (rows["CNN"]["paper top-1"], rows["CNN"]["paper top-5"]) == ("37.5 %", "17.0 %")


def test_table2_holds_the_ensemble_averaged_from_the_stored_probabilities(finished, tables):
    parts = dict(zip(("val", "test"), tables["table2"].split("On the test set:"), strict=True))

    for split, part in parts.items():
        row = next(row for row in read_grid(part, "Model") if row["Model"] == "5 CNNs")
        members = [
            np.load(*finished.root.glob(f"results/tiny/predictions/pictures/cnn-*/seed{k}/{split}-ten_crop.npy"))
            for k in CNN_SEEDS
        ]
        labels = np.load(finished.root / "data" / "pictures" / split / "labels.npy")
        mean = np.mean(np.stack(members).astype(np.float64), axis=0)
        assert row["top-1"].startswith(f"{100 * np.mean(mean.argmax(axis=1) != labels):.1f} % [")
        assert row["seeds"].split("; ") == ["average of 2", *say_learned(finished, "members")]


def test_the_nets_are_better_than_a_guess_and_differ(finished):
    """Else the numbers above would agree whatever was computed."""
    errors = {
        recompute_error(finished, folder, "test", "ten_crop", 1)
        for folder in ("cnn-*/seed0", "cnn-*/seed1", "one-gpu-*/seed0")
    }
    assert len(errors) > 1
    assert min(errors) < 100 * (1 - 1 / CLASSES)


def test_the_errors_of_every_variant(finished, tables):
    parts = dict(zip((1, 5), tables["in_text"].split("<summary>Top-5 errors</summary>"), strict=True))
    tops = {
        k: {row["variant"].partition(" (")[0]: row for row in read_grid(part, "variant")} for k, part in parts.items()
    }

    assert list(tops[1]) == ["cnn", "one-gpu", "5-cnns"]
    for split in ("val", "test"):
        for words, crops in (("centre", "centre"), ("ten crops", "ten_crop")):
            for k, rows in tops.items():
                one = recompute_error(finished, "one-gpu-*/seed0", split, crops, k)
                assert rows["one-gpu"][f"{split}, {words}"].startswith(f"{one:.1f} % [")
                mean = mean_error(finished, split, crops, k)
                assert rows["cnn"][f"{split}, {words}"].startswith(f"{mean:.1f} % [")


@pytest.mark.parametrize("table", ["table1", "claims"])
def test_under_a_table_stands_what_made_it(finished, tables, table, store):
    digest = json.loads((finished.root / "data/pictures/manifest.json").read_text(encoding="utf-8"))["digest"]
    folded = tables[table].split("<summary>Provenance</summary>")[1]
    lines = dict(re.findall(r"^- ([\w ]+): (.+)$", folded, re.MULTILINE))

    assert lines["commit"] == f"`{COMMIT[:12]}`"
    drawn, counts = "val and test drawn from train, seed 2012", f"{TRAIN} train / {VAL} val / {TEST} test"
    assert lines["dataset"].startswith(f"pictures ({drawn}), digest `{digest[:16]}`, {counts}")
    assert lines["torch threads"] == "1"
    assert lines["recipe"] == "paper"
    assert lines["seeds"].startswith("cnn 0, 1")
    assert {"date", "hardware", "software", "wall time", "schedule"} <= lines.keys()
    assert ("one-gpu 0" in lines["seeds"]) is (table == "claims")
    assert store[1]["cnn-seed0"].info.run_id not in tables[table]  # these are in the records


def test_the_report_shows_every_claim_table_and_run_on_one_page(results, store):
    page = (results / "report.html").read_text(encoding="utf-8")

    assert re.findall(r'data-claim="(C\d\d)"', page) == ["C03", "C04", "C21", "C22", "C24", "C25"]
    assert set(re.findall(r"<li>(C\d\d) ", page)) == set(ROWS) - {"C03", "C04", "C21", "C22", "C24", "C25"}
    assert '<tr data-claim="C25" data-verdict="contradicted">' in page
    assert re.findall(r'<h3 id="(\w+)">', page) == ["table1", "table2", "in_text"]
    experiment = store[1]["tiny"].info.experiment_id
    for name in ("cnn-seed0", "cnn-seed1", "one-gpu-seed0"):
        assert f"/#/experiments/{experiment}/runs/{store[1][name].info.run_id}" in page


def test_snakemakes_own_report_has_the_tables_with_their_captions(finished, tmp_path):
    done = finished.snakemake("--report", str(tmp_path / "report.html"))

    assert done.returncode == 0, done.stdout
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    for name in ("table1", "table2", "in_text", "claims", "report"):
        file = "report.html" if name == "report" else f"{name}.md"
        caption = (finished.root / "workflow/report" / f"{name}.rst").read_text(encoding="utf-8").splitlines()[0]
        assert re.search(rf'"{file}"[^{{}}]*(\{{[^{{}}]*\}}[^{{}}]*)*"caption": "<p>{re.escape(caption)}', text), name
    assert "reproduced claim by claim by the configuration" in text


def test_the_store_has_the_parent_a_run_per_training_and_the_ensemble(store, reproduction):
    _, runs = store

    nets = {"cnn-seed0", "cnn-seed1", "one-gpu-seed0"}
    assert set(runs) == {"tiny", "5-cnns", "cnn, all seeds", "one-gpu, all seeds"} | nets
    parent = runs["tiny"].info.run_id
    for name, run in runs.items():
        assert run.info.status == "FINISHED", name
        assert run.data.tags.get("mlflow.parentRunId") == (None if name == "tiny" else parent)
    killed = reproduction.killed.parent
    variant = killed.parent.name.rsplit("-", 1)[0]
    assert runs[f"{variant}-{killed.name}"].info.run_id == reproduction.run_id


def test_each_epoch_is_logged_once_however_often_a_training_was_killed(store):
    client, runs = store

    for name in ("cnn-seed0", "cnn-seed1", "one-gpu-seed0"):
        points = client.get_metric_history(runs[name].info.run_id, "val/top1_error")
        assert sorted(point.step for point in points) == list(range(1, EPOCHS + 1)), name


def test_test_errors_are_logged(finished, store):
    _, runs = store

    names = {"cnn-seed0": "cnn-*/seed0", "one-gpu-seed0": "one-gpu-*/seed0", "5-cnns": "5-cnns-*/average"}
    for name, folder in names.items():
        for crops in ("ten_crop", "centre"):
            for k in (1, 5):
                logged = 100 * runs[name].data.metrics[f"test/{crops}/top{k}_error"]
                assert logged == pytest.approx(recompute_error(finished, folder, "test", crops, k), abs=1e-9)
    assert runs["5-cnns"].data.tags["member.cnn-seed1"] == runs["cnn-seed1"].info.run_id


def test_the_parents_page_shows_the_tables(store, tables):
    client, runs = store

    listed = {item.path for item in client.list_artifacts(runs["tiny"].info.run_id, "tables")}
    data = {"tables/results.csv", "tables/claims.json", "tables/classes.json"}
    assert listed == {f"tables/{name}.md" for name in tables} | data
    assert tables["table1"].strip() in runs["tiny"].data.tags["mlflow.note.content"]
