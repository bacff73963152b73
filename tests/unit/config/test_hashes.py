"""The hash of a run hears what decides its weights, and no setting that is as it was introduced."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from minimal import ROOT, committed
from pydantic import Field, create_model

from alexnet2012.config import validate
from alexnet2012.config.datasets import CIFAR10_DIGEST, DatasetConfig, SubsetConfig
from alexnet2012.config.nets import LayeredNetConfig, LRNConfig, NetConfig
from alexnet2012.config.schedules import FixedSchedule, PlateauSchedule
from alexnet2012.config.schema import RunConfig, TrainingConfig
from alexnet2012.config.validate import Section, dump_departures, list_introduced

FOLDER = {"kind": "imagefolder", "folder": "x"}
KNOWN = {"kind": "ilsvrc2012", "folder": "x", "digest": "aa"}
OF_FOLDERS = {"kind": "fall2011", "folder": "x", "digest": "aa", "class_list": "a.txt"}
VALUES = {
    "name": "some",
    "variant": "cnn",
    "seed": 0,
    "dataset_name": "pictures",
    "dataset": FOLDER,
    "net": {},
    "training": {},
}


def hash_with(**changes: Any) -> str:
    return RunConfig.model_validate(VALUES | changes).hash8


HASH = hash_with()


def test_a_hash_is_eight_hex_digits_and_part_of_the_folder():
    run = RunConfig.model_validate(VALUES)
    assert len(run.hash8) == 8 and int(run.hash8, 16) >= 0
    assert str(run.folder) == f"results/some/runs/pictures/cnn-{run.hash8}/seed0"
    assert str(run.predictions) == f"results/some/predictions/pictures/cnn-{run.hash8}/seed0"


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"runtime": {"checkpoint_every_s": 1.0, "evaluation_batch": 7, "device": "cpu", "accept_code": "00"}}, True),
        ({"name": "other", "variant": "other", "seed": 7, "dataset_name": "renamed"}, True),
        ({"training": {"learning_rate": 0.01, "schedule": {"kind": "plateau", "patience": 5}}}, True),
        ({"net": {"lrn": {"n": 5}}}, True),
        ({"net": {"fc_neurons": 4095}}, False),
        ({"net": {"conv1": {"kernels": 96, "kernel_px": 11}}}, False),
        ({"net": {"halved": ["conv1"]}}, False),
        ({"training": {"weight_decay": 0.0}}, False),
        ({"training": {"schedule": {"kind": "fixed", "epochs": [90]}}}, False),
        ({"training": {"augmentation": {"colour_std": 0.0}}}, False),
        ({"training": {"schedule_split": "minival"}}, False),
        ({"dataset": FOLDER | {"split_seed": 1}}, False),
    ],
)
def test_the_hash_hears_what_decides_weights_and_nothing_else(changes, same):
    assert (hash_with(**changes) == HASH) == same


@pytest.mark.parametrize(
    ("values", "changes", "same"),
    [
        ({"kind": "cifar10", "size_px": 32}, {"folder": "/somewhere/else"}, True),
        (FOLDER | {"digest": "aa"}, {"folder": "y"}, True),
        (FOLDER | {"digest": "aa"}, {"digest": "bb"}, False),
        (FOLDER | {"digest": "aa"}, {"size_px": 128}, False),
        (FOLDER | {"digest": "aa"}, {"split_seed": 1}, False),
        (FOLDER, {"folder": "y"}, False),
        (KNOWN, {"folder": "y", "layout": "kaggle", "bad_images": "skip", "max_bad_images": 3}, True),
        (KNOWN, {"subset": {"classes": 10}}, False),
        (OF_FOLDERS, {"class_list": "b.txt"}, False),
    ],
)
def test_the_hash_hears_a_digest_and_size_where_the_digest_is_given_and_else_the_path(values, changes, same):
    one, other = (DatasetConfig(**each) for each in (values, values | changes))
    assert (one.identity == other.identity) == same
    assert (hash_with(dataset=one) == hash_with(dataset=other)) == same


@pytest.mark.parametrize(
    "settings",
    [
        {"subset": {"classes": 10}},
        {"subset": {"per_class": 5, "seed": 1}},
        {"val_fraction": 0.2},
        {"test_fraction": 0.3},
        {"complete": False},
    ],
)
def test_a_known_digest_hides_no_setting_that_selects_or_splits(settings):
    other = DatasetConfig.model_validate(KNOWN | settings)
    assert other.identity == {"digest": "aa", "size_px": 256, "split_seed": 2012} | settings


def test_cifar10s_digest_is_known_beforehand_and_a_folders_where_it_is_given():
    datasets = ({"kind": "cifar10", "size_px": 32}, FOLDER, FOLDER | {"digest": "ab"})
    assert [DatasetConfig(**each).known_digest for each in datasets] == [CIFAR10_DIGEST, None, "ab"]


def test_rotations_of_another_subset_are_other_images():
    known = DatasetConfig(**FOLDER, digest="aa")
    part = known.model_copy(update={"subset": SubsetConfig(classes=2)})
    whole, fewer = (DatasetConfig(kind="rotations", of="some", source=each) for each in (known, part))
    assert whole.identity != fewer.identity


def later(model: type[Section], **fields: Any) -> type[Section]:
    """`model` with other defaults, (type, default) by name."""
    return create_model(f"Later{model.__name__}", __base__=model, **fields)


def later_hash(section: str, model: type[Section], **settings: Any) -> str:
    """With `model` for that section of a run, of which nothing else is said."""
    run = later(RunConfig, **{section: (model, ...)})
    return run.model_validate(VALUES | {section: VALUES[section] | settings}).hash8


LATER_LRN = later(LRNConfig, n=(int, 7))
LATER_DATASET = later(DatasetConfig, val_fraction=(float, 0.2))
BY_FIXED_SCHEDULE = (FixedSchedule | PlateauSchedule, FixedSchedule(kind="fixed", epochs=[90]))


@pytest.fixture
def changed_defaults(monkeypatch):
    """What is written into the table with the changed defaults."""
    table = {
        "LaterLRNConfig": {"n": 5},
        "LaterNetConfig": {"dropout": 0.5, "lrn": {}},
        "LaterTrainingConfig": {"momentum": 0.9, "schedule": {"kind": "plateau"}},
        "LaterDatasetConfig": {"val_fraction": 0.1},
    }
    monkeypatch.setattr(validate, "CHANGED_DEFAULTS", table)


@pytest.mark.parametrize(
    ("section", "model", "as_before"),
    [
        ("net", later(NetConfig, dropout=(float, 0.4)), {"dropout": 0.5}),
        ("net", later(NetConfig, lrn=(LRNConfig | None, None)), {"lrn": {}}),
        ("net", later(NetConfig, lrn=(LATER_LRN | None, LATER_LRN())), {"lrn": {"n": 5}}),
        ("training", later(TrainingConfig, momentum=(float, Field(default=0.5, ge=0))), {"momentum": 0.9}),
        ("training", later(TrainingConfig, schedule=BY_FIXED_SCHEDULE), {"schedule": {"kind": "plateau"}}),
        ("dataset", LATER_DATASET, {"val_fraction": 0.1}),
    ],
)
def test_a_changed_default_changes_the_hash_of_those_who_take_it_and_of_nobody_else(
    changed_defaults, section, model, as_before
):
    assert later_hash(section, model) != HASH
    assert later_hash(section, model, **as_before) == HASH


def test_a_changed_default_changes_what_is_packed(changed_defaults):
    before, after = (model(**FOLDER) for model in (DatasetConfig, LATER_DATASET))
    assert before.packing == {"kind": "imagefolder"}
    assert after.packing == before.packing | {"val_fraction": 0.2}
    assert after.identity == before.identity | {"val_fraction": 0.2}


def test_an_added_setting_changes_only_the_hashes_of_those_who_use_it():
    added = later(NetConfig, stochastic_depth=(float, 0.0), second_lrn=(LRNConfig | None, LRNConfig(n=3)))
    assert later_hash("net", added) == HASH
    assert later_hash("net", added, stochastic_depth=0.1) != HASH
    assert later_hash("net", added, second_lrn={"n": 5}) != HASH


def hashed_sections() -> set[type[Section]]:
    """Every section that the hash of a run goes into."""
    found: set[type[Section]] = set()
    waiting: list[Any] = [RunConfig.model_fields[name].annotation for name in ("dataset", "net", "training")]
    while waiting:
        each = waiting.pop()
        waiting += get_args(each)
        if isinstance(each, type) and issubclass(each, Section) and each not in found:
            found.add(each)
            waiting += [field.annotation for field in each.model_fields.values()]
    return found


def test_every_setting_with_a_default_has_the_one_that_it_was_introduced_with():
    """A new setting gets a line in introduced.yaml; a default that changes, an entry in CHANGED_DEFAULTS."""
    lines = yaml.safe_load((Path(__file__).parent / "introduced.yaml").read_text(encoding="utf-8"))
    found = {model.__name__: list_introduced(model) for model in hashed_sections()}
    assert {name: defaults for name, defaults in found.items() if defaults} == lines


def test_departures_are_plain_data_of_what_differs():
    given = {"conv1": {"kernels": 96, "kernel_px": 11, "stride": 2}, "lrn": {"n": 3}, "map_norm": {}}
    assert dump_departures(NetConfig.model_validate(given)) == given
    last = {"type": "fc", "name": "fc10", "init_std": 0.1}
    layers = [{"type": "conv", "name": "conv1", "init_std": 0.1, "kernels": 8, "kernel_px": 3, "pad": 0}, last]
    departures = dump_departures(LayeredNetConfig(crop_px=24, layers=layers, lrn={"n": 5}))
    del layers[0]["pad"]
    assert departures == {"crop_px": 24, "layers": layers, "lrn": {}}
    assert json.loads(json.dumps(departures)) == departures


# Whoever changes one of these trains every such net anew, and loses the committed results' folders.
KEPT = {
    "config.yaml": "cnn-7f484866 cnn-two-devices-7f484866 one-gpu-d7ee8a79 5-cnns-9d37d2e4",
    "cifar10.yaml": "cnn-2aac5739 tanh-1aeff824 no-lrn-65ed1a64 net147-a7596fbd four-layer-relu-01ea074b "
    "cifar-13pct-lrn-339d76fa cifar-11pct-74c662fe sift-fv-322e48a0 sparse-coding-4cba6af8 cnn-sixth-layer-ca4652a9 "
    "one-gpu-b6021796 5-cnns-280db129",
    "photographs.yaml": "cnn-30bdf8b7 sift-fv-719512a4 sparse-coding-e34c8ad9",
    "ilsvrc.yaml": "no-colour-839ad458 net150-d0751e41 net145-2010-9cee5b9f",
}


@pytest.mark.parametrize("configuration", KEPT)
def test_runs_of_every_kind_keep_the_hashes_of_the_committed_results(configuration):
    plan = committed(configuration, targets=("claims", "full"))
    found = {f"{run.variant}-{run.hash8}" for run in plan.trainings} | {
        f"{each.name}-{each.hash8}" for each in plan.ensembles
    }
    assert set(KEPT[configuration].split()) <= found


def test_stored_runs_keep_the_hashes_that_their_folders_are_named_by():
    paths = sorted((ROOT / "results" / "reference").glob("*/runs/*/*/*/config.yaml"))
    assert len(paths) > 80
    texts = {path: yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader) for path in paths}
    runs = {path: RunConfig.model_validate(values) for path, values in texts.items()}
    assert [path for path, run in runs.items() if not path.parents[1].name.endswith(f"-{run.hash8}")] == []
