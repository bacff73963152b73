"""Variants that start from another training, and recipes: what they resolve to, and what is refused."""

from collections.abc import Collection
from pathlib import Path

import pytest
import yaml
from minimal import CLAIM, LINE, ROOT, VARIANTS

from alexnet2012.config.plan import load_variants, make_plan
from alexnet2012.errors import ConfigError

STAR = {"dataset": "cifar10", "variant": "1-cnn-star", "seeds": [0, 1], "pretrained_on": "turned", "tables": ["table2"]}
VALUES = {
    "name": "some",
    "datasets": {"cifar10": {"kind": "cifar10", "size_px": 32}, "turned": {"kind": "rotations", "of": "cifar10"}},
    "net": yaml.safe_load((ROOT / "config" / "cifar10.yaml").read_text(encoding="utf-8"))["net"],
    "training": {"schedule": {"kind": "fixed", "epochs": [3, 1]}},
}


def plan(*lines: dict, path: Path = VARIANTS, targets: Collection[str] = (), **changes):
    return make_plan({**VALUES, "experiments": list(lines), **changes}, "some.yaml", path, targets)


def complaint(*lines: dict, path: Path = VARIANTS) -> str:
    with pytest.raises(ConfigError) as refused:
        plan(*lines, path=path)
    return str(refused.value)


@pytest.fixture
def add_variant(tmp_path):
    """Adds a variant `mine` to the project's; returns their file."""

    def add(**delta) -> Path:
        values = yaml.safe_load(VARIANTS.read_text(encoding="utf-8"))
        values["variants"]["mine"] = {"section": "6", **delta}
        path = tmp_path / "variants.yaml"
        path.write_text(yaml.safe_dump(values), encoding="utf-8")
        return path

    return add


def test_each_seed_is_pretrained_first_on_the_other_dataset():
    made = plan(STAR)
    assert [(run.variant, run.dataset_name, run.seed) for run in made.trainings] == [
        ("cnn-sixth-layer", "turned", 0),
        ("cnn-sixth-layer", "turned", 1),
        ("1-cnn-star", "cifar10", 0),
        ("1-cnn-star", "cifar10", 1),
    ]
    assert made.datasets == ["cifar10", "turned"]
    first, _, tuned, _ = made.trainings
    assert tuned.starts_from.run == first and "fc8" not in tuned.starts_from.layers
    assert first.training.schedule.epochs == [6, 2] and tuned.training.schedule.epochs == [3, 1]
    assert (tuned.training.learning_rate, tuned.training.layer_rates) == (0.001, {"conv1": 0.1, "fc8": 10.0})
    assert first.net == tuned.net and first.net.sixth_layer and "conv6" in first.net.bias_one
    assert made.runs == (made.trainings[2], made.trainings[3])  # only these are evaluated


def test_a_configuration_may_pretrain_for_another_length():
    longer = {**STAR, "pretraining": {"schedule": {"kind": "fixed", "epochs": [5, 2, 1]}}}
    first, _, tuned, _ = plan(longer).trainings
    assert first.training.schedule.epochs == [5, 2, 1] and tuned.training.schedule.epochs == [3, 1]
    assert plan(longer).runs[0].hash8 != plan(STAR).runs[0].hash8
    assert "schedul" in complaint({**STAR, "pretraining": {"schedul": {}}})
    assert "pretraining" in complaint({**STAR, "pretrained_on": None, "pretraining": {"schedule": {}}})


def test_what_it_is_pretrained_on_makes_another_run():
    others = {**VALUES["datasets"], "other": {"kind": "imagefolder", "folder": "x", "size_px": 32}}
    hashes = {plan({**STAR, "pretrained_on": name}, datasets=others).runs[0].hash8 for name in others}
    assert len(hashes) == 3


def test_nets_of_the_source_have_their_recipe_below_their_own_settings():
    net145, net148 = plan(*(LINE | {"variant": name, "epochs": 20} for name in ("net145", "net148"))).runs
    assert {run.training.recipe for run in (net145, net148)} == {"code2012"}
    assert (net145.net.lrn.alpha, net145.net.mean_crop, net145.net.conv1.kernels) == (2e-5, "central", 16)
    assert net145.net.layer_init_std["conv4"] == 0.03 and net145.net.map_norm is not None
    assert (net148.net.lrn, net148.net.map_norm, net148.net.mean_crop) == (None, None, "central")
    assert net145.training.augmentation.chunk == 32 and not net145.training.decay_biases


def test_recipe_paper_is_the_defaults(add_variant):
    named, plain = plan(LINE | {"variant": "mine"}, LINE, path=add_variant(recipe="paper")).runs
    assert named.training == plain.training and named.net == plain.net


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([STAR | {"pretrained_on": None}], "experiments[0]: 1-cnn-star"),
        ([STAR | {"pretrained_on": "turnd"}], 'experiments[0].pretrained_on: there is no dataset "turnd"'),
        ([STAR | {"variant": "cnn"}], "experiments[0]: cnn"),
        ([STAR | {"variant": None, "ensemble": "7-cnns-star", "seeds": []}], "ensemble 7-cnns-star"),
        ([STAR, STAR | {"pretrained_on": "cifar10"}], "1-cnn-star seed 0 on cifar10"),  # in two ways
    ],
)
def test_experiments_and_variants_that_do_not_go_together_are_refused(lines, words):
    assert words in complaint(*({key: value for key, value in line.items() if value is not None} for line in lines))


LOGGED = load_variants(VARIANTS).variants["net145"].training["schedule"]


@pytest.mark.parametrize(
    ("delta", "words"),
    [
        ({"starts_from": {"variant": "cnn", "layers": ["conv7"]}}, 'starts_from: layers: there is no layer "conv7"'),
        ({"starts_from": {"variant": "cnn", "layers": ["conv6"]}}, 'starts_from: layers: there is no layer "conv6"'),
        ({"starts_from": {"variant": "no-conv2", "layers": ["conv3"]}}, "starts_from: layers: conv3"),
        ({"starts_from": {"variant": "cn", "layers": ["conv1"]}}, 'starts_from.variant: there is no variant "cn"'),
        ({"starts_from": {"variant": "1-cnn-star", "layers": ["conv1"]}}, "starts_from.variant: 1-cnn-star"),
        ({"recipe": "code2102"}, 'recipe: there is no recipe "code2102"'),
        ({"training": {"schedule": LOGGED, "layer_rates": {"conv1": 0.1}}}, "layer_rates"),
    ],
)
def test_variants_that_cannot_be_meant_are_refused(add_variant, delta, words):
    message = complaint({**STAR, "variant": "mine"}, path=add_variant(**delta))
    assert "variants.mine" in message and words in message


def test_full_and_claims_are_planned_for_their_targets_alone():
    values = {"full": [STAR], "claims": [CLAIM | {"variants": ["no-lrn"], "seeds": [0]}]}
    plans = {targets: plan(LINE, targets=targets, **values) for targets in ((), ("full",), ("claims",))}
    names = {targets: [run.variant for run in each.runs] for targets, each in plans.items()}
    assert names == {(): ["cnn"], ("full",): ["cnn", "1-cnn-star", "1-cnn-star"], ("claims",): ["cnn", "no-lrn"]}
    assert plans[()].list_experiments()["in_full"] == [{"dataset": "cifar10", "key": "1-cnn-star"}]
    assert plans["full",].list_experiments()["in_full"] == []
