"""Hashes leave out what a setting was introduced with, and not what happens to be its default today."""

import json
from typing import Any, get_args

import pytest
import yaml
from minimal import ROOT, committed
from pydantic import Field

from alexnet2012.config import introduced
from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.config.introduced import INTRODUCED, dump_departures, list_introduced
from alexnet2012.config.nets import LayeredNetConfig, LRNConfig, NetConfig
from alexnet2012.config.schedules import FixedSchedule, PlateauSchedule
from alexnet2012.config.schema import AugmentationConfig, RunConfig, TrainingConfig
from alexnet2012.config.validate import Section

VALUES = {
    "name": "some",
    "variant": "cnn",
    "seed": 0,
    "dataset_name": "pictures",
    "dataset": {"kind": "imagefolder", "folder": "x"},
    "net": {},
    "training": {},
}
HASH = RunConfig.model_validate(VALUES).hash8


class LaterLRN(LRNConfig):
    n: int = 7


class LaterNet(NetConfig):
    dropout: float = 0.4


class LaterNetWithoutLRN(NetConfig):
    lrn: LRNConfig | None = None


class LaterNetOfLaterLRN(NetConfig):
    lrn: LaterLRN | None = LaterLRN()


class LaterTraining(TrainingConfig):
    momentum: float = Field(default=0.5, ge=0, lt=1)


class LaterTrainingBySchedule(TrainingConfig):
    schedule: FixedSchedule | PlateauSchedule = Field(default=FixedSchedule(kind="fixed", epochs=[90]))


class LaterDataset(DatasetConfig):
    val_fraction: float = 0.2


def hash_of(section: str, model: type[Section], **settings: Any) -> str:
    """With `model` for that section of a run, of which nothing else is said."""
    later = type("LaterRun", (RunConfig,), {"__annotations__": {section: model}})
    return later.model_validate(VALUES | {section: VALUES[section] | settings}).hash8


@pytest.mark.parametrize(
    ("section", "model", "as_before"),
    [
        ("net", LaterNet, {"dropout": 0.5}),
        ("net", LaterNetWithoutLRN, {"lrn": {}}),
        ("net", LaterNetOfLaterLRN, {"lrn": {"n": 5}}),
        ("training", LaterTraining, {"momentum": 0.9}),
        ("training", LaterTrainingBySchedule, {"schedule": {"kind": "plateau"}}),
        ("dataset", LaterDataset, {"val_fraction": 0.1}),
    ],
)
def test_a_changed_default_changes_the_hash_of_those_who_take_it_and_of_nobody_else(section, model, as_before):
    assert hash_of(section, model) != HASH
    assert hash_of(section, model, **as_before) == HASH


def test_a_changed_default_changes_what_is_packed():
    before, later = (model(kind="imagefolder", folder="x") for model in (DatasetConfig, LaterDataset))
    assert before.packing == {"kind": "imagefolder"}
    assert later.packing == before.packing | {"val_fraction": 0.2}
    assert later.identity == before.identity | {"val_fraction": 0.2}


def test_an_added_setting_changes_only_the_hashes_of_those_who_use_it(monkeypatch):
    class AddedSetting(NetConfig):
        stochastic_depth: float = 0.0
        second_lrn: LRNConfig | None = LRNConfig(n=3)

    lines = {"stochastic_depth": 0.0, "second_lrn": {"n": 3}}
    monkeypatch.setattr(introduced, "INTRODUCED", INTRODUCED | {"AddedSetting": lines})
    assert hash_of("net", AddedSetting) == HASH
    assert hash_of("net", AddedSetting, stochastic_depth=0.1) != HASH
    assert hash_of("net", AddedSetting, second_lrn={"n": 5}) != HASH


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


def test_every_setting_with_a_default_has_its_line_and_no_line_is_of_nothing():
    sections = hashed_sections()
    assert {TrainingConfig, AugmentationConfig, NetConfig, LayeredNetConfig, DatasetConfig} < sections
    for model in sections:
        optional = {name for name, field in model.model_fields.items() if not field.is_required()}
        assert optional == set(list_introduced(model)), model.__name__
    named = {base.__name__ for model in sections for base in model.__mro__}
    assert set(INTRODUCED) <= named


def test_departures_are_plain_data_of_what_differs():
    net = NetConfig(conv1={"kernels": 96, "kernel_px": 11, "stride": 2}, lrn=LRNConfig(n=3), map_norm={})
    assert dump_departures(net) == {
        "conv1": {"kernels": 96, "kernel_px": 11, "stride": 2},
        "lrn": {"n": 3},
        "map_norm": {},
    }
    last = {"type": "fc", "name": "fc10", "init_std": 0.1}
    layers = [{"type": "conv", "name": "conv1", "init_std": 0.1, "kernels": 8, "kernel_px": 3, "pad": 0}, last]
    departures = dump_departures(LayeredNetConfig(crop_px=24, layers=layers, lrn={"n": 5}))
    del layers[0]["pad"]
    assert departures == {"crop_px": 24, "layers": layers, "lrn": {}}
    assert json.loads(json.dumps(departures)) == departures


# Whoever changes one of these trains every such net anew, and loses the committed results' folders.
@pytest.mark.parametrize(
    ("configuration", "hashes"),
    [
        ("cifar10.yaml", {"cnn": "2aac5739", "tanh": "1aeff824", "no-lrn": "65ed1a64", "net147": "a7596fbd"}),
        ("cifar10.yaml", {"four-layer-relu": "01ea074b", "cifar-13pct-lrn": "339d76fa", "cifar-11pct": "74c662fe"}),
        ("cifar10.yaml", {"sift-fv": "322e48a0", "sparse-coding": "4cba6af8", "cnn-sixth-layer": "ca4652a9"}),
        ("photographs.yaml", {"cnn": "30bdf8b7", "sift-fv": "719512a4", "sparse-coding": "e34c8ad9"}),
        ("ilsvrc.yaml", {"no-colour": "839ad458", "net150": "d0751e41", "net145-2010": "9cee5b9f"}),
    ],
)
def test_runs_of_every_kind_keep_the_hashes_of_the_committed_results(configuration, hashes):
    trainings = committed(configuration, targets=("claims", "full")).trainings
    assert {run.variant: run.hash8 for run in trainings if run.variant in hashes} == hashes


REFERENCE_RUNS = sorted((ROOT / "results" / "reference").glob("*/runs/*/*/*/config.yaml"))


def test_stored_runs_keep_the_hashes_that_their_folders_are_named_by():
    assert len(REFERENCE_RUNS) > 80
    read = {
        path: RunConfig.model_validate(yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader))
        for path in REFERENCE_RUNS
    }
    assert [path for path, run in read.items() if not path.parents[1].name.endswith(f"-{run.hash8}")] == []
