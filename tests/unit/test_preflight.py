"""What happens before the first job: missing images are named, settings written, archives chosen to be listed."""

import json
from pathlib import Path

import pytest
import yaml

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.config.plan import Plan, make_plan
from alexnet2012.config.schema import RunConfig
from alexnet2012.errors import RecordError
from alexnet2012.files import SCHEMA, write_text
from alexnet2012.fingerprint import fingerprint
from alexnet2012.preflight import is_finished, list_archived, list_missing, settings_file, write_settings

VARIANTS = Path(__file__).parents[2] / "config" / "variants.yaml"


def plan(root: Path, runtime: dict | None = None, **datasets: dict) -> Plan:
    """One experiment on each dataset but those called unused."""
    values = {
        "name": "some",
        "datasets": {name: {"folder": str(root / name), **section} for name, section in datasets.items()},
        "experiments": [
            {"dataset": name, "variant": "cnn", "seeds": [0], "tables": ["table1"]}
            for name in datasets
            if name != "unused"
        ],
        "training": {"batch_size": 7},
        "runtime": runtime or {},
    }
    return make_plan(values, "some.yaml", VARIANTS)


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
    write_settings(made, tmp_path / "data")
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


def test_settings_are_written_as_jobs_read_them_and_a_finished_run_keeps_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = plan(tmp_path, photos={"kind": "imagefolder"})
    write_settings(made, Path("data"))
    text = settings_file("photos", Path("data")).read_text(encoding="utf-8")
    assert "\n" not in text and DatasetConfig(**json.loads(text)) == made.config.datasets["photos"]
    (run,) = made.runs
    assert RunConfig(**yaml.safe_load((run.folder / "config.yaml").read_text(encoding="utf-8"))) == run
    (run.folder / "record.json").touch()
    (run.folder / "config.yaml").write_text("as it was run", encoding="utf-8")
    write_settings(made, Path("data"))
    assert (run.folder / "config.yaml").read_text(encoding="utf-8") == "as it was run"


@pytest.mark.parametrize(
    ("placement", "stage", "other"), [("one-device", "train", "train-towers"), ("two-devices", "train-towers", "train")]
)
def test_an_experiment_is_finished_once_all_is_there_by_the_code_of_its_placement(
    tmp_path, monkeypatch, placement, stage, other
):
    monkeypatch.chdir(tmp_path)
    made = plan(tmp_path, runtime={"placement": placement}, photos={"kind": "imagefolder"})
    (run,), (experiment,) = made.runs, made.experiments
    run.folder.mkdir(parents=True)
    run.predictions.mkdir(parents=True)
    for split in run.splits:
        assert not is_finished(made, experiment)
        write_text(run.folder / "record.json", json.dumps({"identity": {"code": fingerprint(stage)}}))
        assert not is_finished(made, experiment)
        (run.predictions / f"{split}.json").touch()
    assert not is_finished(made, experiment)  # as a committed reference is: without weights
    (run.folder / "model.safetensors").touch()
    assert is_finished(made, experiment)
    write_text(run.folder / "record.json", json.dumps({"identity": {"code": fingerprint(other)}}))
    assert not is_finished(made, experiment)


@pytest.mark.parametrize("text", ["{", json.dumps({"schema": SCHEMA + 1, "identity": {"code": "0"}})])
def test_a_record_that_cannot_be_read_is_an_error_and_not_unfinished(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    made = plan(tmp_path, photos={"kind": "imagefolder"})
    (run,), (experiment,) = made.runs, made.experiments
    write_text(run.folder / "record.json", text)
    write_text(run.folder / "model.safetensors", "")
    for split in run.splits:
        write_text(run.predictions / f"{split}.json", "{}")
    with pytest.raises(RecordError, match="record.json"):
        is_finished(made, experiment)
