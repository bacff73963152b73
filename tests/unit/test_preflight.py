"""What is settled before the first job: what tables show, missing images, settings, archives that are listed."""

import json
from pathlib import Path

import pytest
import yaml

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.config.plan import TARGETS, Plan, make_plan
from alexnet2012.config.schema import RunConfig
from alexnet2012.errors import ConfigError, DataError, RecordError
from alexnet2012.files import SCHEMA, write_text
from alexnet2012.fingerprint import fingerprint
from alexnet2012.preflight import (
    begin,
    choose_shown,
    is_finished,
    list_archived,
    list_missing,
    list_packed_from,
    require_calibration,
    settings_file,
)

VARIANTS = Path(__file__).parents[2] / "config" / "variants.yaml"


def plan(root: Path, runtime: dict | None = None, claims: list[str] | None = None, **datasets: dict) -> Plan:
    """One experiment on each dataset but those called unused, and `claims` on the first, for all targets."""
    values = {
        "name": "some",
        "datasets": {name: {"folder": str(root / name), **section} for name, section in datasets.items()},
        "experiments": [
            {"dataset": name, "variant": "cnn", "seeds": [0], "tables": ["table1"]}
            for name in datasets
            if name != "unused"
        ],
        "claims": [{"dataset": next(iter(datasets)), "variants": [name], "seeds": [0]} for name in claims or ()],
        "training": {"batch_size": 7},
        "runtime": runtime or {},
    }
    return make_plan(values, "some.yaml", VARIANTS, TARGETS)


def pack(root: Path, name: str) -> None:
    (root / "data" / name).mkdir(parents=True)
    (root / "data" / name / "manifest.json").touch()


def test_images_are_missing_until_they_are_packed_and_only_where_they_are_used(tmp_path):
    config = plan(tmp_path, photos={"kind": "imagefolder"}, unused={"kind": "imagefolder"}).config
    assert list_missing(config, "some.yaml", tmp_path / "data", ["photos"]) == [
        f"some.yaml: datasets.photos: the folder {tmp_path}/photos does not exist; name an existing one as the "
        "dataset's folder"
    ]
    pack(tmp_path, "photos")
    assert list_missing(config, "some.yaml", tmp_path / "data", ["photos"]) == []
    assert len(list_missing(config, "some.yaml", tmp_path / "data", config.datasets)) == 1


def test_images_that_would_replace_packed_ones_are_missing_too(tmp_path, monkeypatch):
    """Else a mistyped folder in another configuration costs this one its packed images."""
    monkeypatch.chdir(tmp_path)
    made = plan(tmp_path, photos={"kind": "imagefolder"})
    pack(tmp_path, "photos")
    begin(made, "some.yaml", tmp_path / "data", ())
    assert list_missing(made.config, "some.yaml", tmp_path / "data", ["photos"]) == []

    mistyped = plan(tmp_path, photos={"kind": "imagefolder", "folder": "photoz"}).config
    (sentence,) = list_missing(mistyped, "other.yaml", tmp_path / "data", ["photos"])
    assert sentence.startswith("other.yaml: datasets.photos: the folder photoz does not exist")

    settings_file("photos", tmp_path / "data").write_text('{"kind": "of yesterday"}', encoding="utf-8")
    assert len(list_missing(made.config, "some.yaml", tmp_path / "data", ["photos"])) == 1


def test_archives_are_listed_until_they_are_packed(tmp_path):
    config = plan(
        tmp_path, photos={"kind": "imagefolder"}, old={"kind": "ilsvrc2010"}, new={"kind": "ilsvrc2012"}
    ).config
    assert list_archived(config, tmp_path / "data", config.datasets) == ["old", "new"]
    pack(tmp_path, "old")
    assert list_archived(config, tmp_path / "data", config.datasets) == ["new"]


def test_settings_are_written_as_jobs_read_them_for_the_trainings_that_run(tmp_path, monkeypatch):
    """Also where an older result lies: what trains it anew has the settings of now, a finished run those it had."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    made = plan(tmp_path, claims=["no-lrn"], photos={"kind": "imagefolder"})
    new, finished = made.trainings
    for run in (new, finished):
        write_text(run.folder / "record.json", "{}")
        write_text(run.folder / "config.yaml", "as it was run")
    begin(made, "some.yaml", Path("data"), [new])
    text = settings_file("photos", Path("data")).read_text(encoding="utf-8")
    assert "\n" not in text and DatasetConfig(**json.loads(text)) == made.config.datasets["photos"]
    assert RunConfig(**yaml.safe_load((new.folder / "config.yaml").read_text(encoding="utf-8"))) == new
    assert (finished.folder / "config.yaml").read_text(encoding="utf-8") == "as it was run"


def test_nothing_is_written_where_images_are_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = plan(tmp_path, photos={"kind": "imagefolder"})
    with pytest.raises(DataError, match="nothing was run:\nsome.yaml: datasets.photos: "):
        begin(made, "some.yaml", Path("data"), made.trainings)
    assert list(tmp_path.iterdir()) == []


def test_tables_show_what_is_asked_for_and_what_other_targets_have_finished(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = plan(tmp_path, claims=["no-lrn", "one-gpu"], photos={"kind": "imagefolder"})

    def variants(*targets: str) -> list[str | None]:
        return [line.experiment.variant for line in choose_shown(made, targets).lines]

    assert variants() == variants("full") == ["cnn"] and variants("claims") == ["cnn", "no-lrn", "one-gpu"]
    finish(made.runs[2])
    assert variants() == ["cnn", "one-gpu"]
    finish(made.runs[2], code="of yesterday")
    assert variants() == ["cnn"] and variants("claims") == ["cnn", "no-lrn", "one-gpu"]


def finish(run: RunConfig, code: str | None = None) -> None:
    """Files as the jobs of a run leave them, by the current code or another."""
    write_text(run.folder / "record.json", json.dumps({"identity": {"code": code or fingerprint(run.training_stage)}}))
    write_text(run.folder / "model.safetensors", "")
    for split in run.splits:
        write_text(run.predictions / f"{split}.json", "{}")


@pytest.mark.parametrize(
    ("placement", "stage", "other"), [("one-device", "train", "train-towers"), ("two-devices", "train-towers", "train")]
)
def test_an_experiment_is_finished_once_all_is_there_by_the_code_of_its_placement(
    tmp_path, monkeypatch, placement, stage, other
):
    monkeypatch.chdir(tmp_path)
    made = plan(tmp_path, runtime={"placement": placement}, photos={"kind": "imagefolder"})
    (run,), (line,) = made.runs, made.lines
    run.folder.mkdir(parents=True)
    run.predictions.mkdir(parents=True)
    for split in run.splits:
        assert not is_finished(line)
        write_text(run.folder / "record.json", json.dumps({"identity": {"code": fingerprint(stage)}}))
        assert not is_finished(line)
        (run.predictions / f"{split}.json").touch()
    assert not is_finished(line)  # as a committed reference is: without weights
    (run.folder / "model.safetensors").touch()
    assert is_finished(line)
    write_text(run.folder / "record.json", json.dumps({"identity": {"code": fingerprint(other)}}))
    assert not is_finished(line)


@pytest.mark.parametrize("text", ["{", json.dumps({"schema": SCHEMA + 1, "identity": {"code": "0"}})])
def test_a_record_that_cannot_be_read_is_an_error_and_not_unfinished(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    made = plan(tmp_path, photos={"kind": "imagefolder"})
    (run,), (line,) = made.runs, made.lines
    finish(run)
    write_text(run.folder / "record.json", text)
    with pytest.raises(RecordError, match="record.json"):
        is_finished(line)


def test_a_dataset_is_packed_from_what_it_rotates_and_from_a_list_that_is_there(tmp_path):
    classes = tmp_path / "classes.txt"
    release = {"kind": "fall2009", "class_list": str(classes)}
    datasets = plan(
        tmp_path, photos=release, unused={"kind": "rotations", "of": "photos", "folder": None}
    ).config.datasets
    assert list_packed_from(datasets["unused"], Path("data")) == ["data/photos/manifest.json"]
    assert list_packed_from(datasets["photos"], Path("data")) == []
    classes.touch()
    assert list_packed_from(datasets["photos"], Path("data")) == [str(classes)]


def test_a_calibration_that_is_not_configured_is_told(tmp_path):
    with pytest.raises(ConfigError, match="some.yaml has no calibration section"):
        require_calibration(plan(tmp_path, photos={"kind": "imagefolder"}).config, "some.yaml")
