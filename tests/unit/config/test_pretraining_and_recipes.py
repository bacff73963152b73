"""Variants that start from another training, and recipes: what they resolve to, and what is refused."""

from pathlib import Path

import pytest
import yaml

from alexnet2012.config.plan import load_variants, make_plan
from alexnet2012.errors import ConfigError

ROOT = Path(__file__).parents[3]
VARIANTS = ROOT / "config" / "variants.yaml"
STAR = {"dataset": "cifar10", "variant": "1-cnn-star", "seeds": [0, 1], "pretrained_on": "turned", "tables": ["table2"]}
VALUES = {
    "name": "some",
    "datasets": {"cifar10": {"kind": "cifar10", "size_px": 32}, "turned": {"kind": "rotations", "of": "cifar10"}},
    "net": yaml.safe_load((ROOT / "config" / "cifar10.yaml").read_text(encoding="utf-8"))["net"],
    "training": {"schedule": {"kind": "fixed", "epochs": [3, 1]}},
}


def plan(*lines: dict, variants: Path = VARIANTS, **changes):
    return make_plan({**VALUES, "experiments": list(lines), **changes}, "some.yaml", variants)


def complaint(*lines: dict, variants: Path = VARIANTS, **changes) -> str:
    with pytest.raises(ConfigError) as refused:
        plan(*lines, variants=variants, **changes)
    return str(refused.value)


def write_variants(folder: Path, **changes) -> Path:
    """The project's variants with some of their keys changed."""
    values = yaml.safe_load(VARIANTS.read_text(encoding="utf-8"))
    for name, delta in changes.items():
        name = name.replace("_", "-")
        values["variants"][name] = values["variants"].get(name, {"section": "6"}) | delta
    (folder / "variants.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    return folder / "variants.yaml"


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
    hashes = {
        plan({**STAR, "pretrained_on": name}, datasets=others).runs[0].hash8 for name in ("turned", "other", "cifar10")
    }
    assert len(hashes) == 3


def test_nets_of_the_source_have_their_recipe_below_their_own_settings():
    lines = [
        {"dataset": "cifar10", "variant": name, "seeds": [0], "epochs": 20, "tables": ["in_text"]}
        for name in ("net145", "net148")
    ]
    net145, net148 = plan(*lines).runs
    assert {run.training.recipe for run in (net145, net148)} == {"code2012"}
    assert (net145.net.lrn.alpha, net145.net.mean_crop, net145.net.conv1.kernels) == (2e-5, "central", 16)
    assert net145.net.layer_init_std["conv4"] == 0.03 and net145.net.map_norm is not None
    assert (net148.net.lrn, net148.net.map_norm, net148.net.mean_crop) == (None, None, "central")
    assert net145.training.augmentation.chunk == 32 and not net145.training.decay_biases


def test_recipe_paper_is_the_defaults(tmp_path):
    same = write_variants(tmp_path, same={"recipe": "paper"})
    line = {"dataset": "cifar10", "seeds": [0], "tables": ["in_text"]}
    named, plain = plan({**line, "variant": "same"}, {**line, "variant": "cnn"}, variants=same).runs
    assert named.training == plain.training and named.net == plain.net


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            {"pretrained_on": None},
            "experiments[0]: 1-cnn-star starts from a training of cnn-sixth-layer; write pretrained_on",
        ),
        (
            {"pretrained_on": "turnd"},
            'experiments[0].pretrained_on: there is no dataset "turnd"; did you mean "turned"?',
        ),
        ({"variant": "cnn"}, "experiments[0]: cnn starts from no other training; remove pretrained_on"),
        (
            {"variant": None, "ensemble": "7-cnns-star", "seeds": []},
            "takes its members as they are; remove pretrained_on",
        ),
    ],
)
def test_experiments_and_variants_that_do_not_go_together_are_refused(line, words):
    assert words in complaint({key: value for key, value in (STAR | line).items() if value is not None})


def test_one_net_pretrained_in_two_ways_is_refused():
    assert "is asked for in two ways" in complaint(STAR, {**STAR, "pretrained_on": "cifar10"})


@pytest.mark.parametrize(
    ("delta", "words"),
    [
        ({"starts_from": {"variant": "cnn", "layers": ["conv7"]}}, 'layers: there is no layer "conv7"'),
        ({"starts_from": {"variant": "cnn", "layers": ["conv6"]}}, 'layers: there is no layer "conv6"'),
        ({"starts_from": {"variant": "no-conv2", "layers": ["conv3"]}}, "conv3 has another shape in no-conv2 than in"),
        ({"starts_from": {"variant": "cn", "layers": ["conv1"]}}, 'there is no variant "cn"; did you mean "cnn"?'),
        ({"starts_from": {"variant": "1-cnn-star", "layers": ["conv1"]}}, "starts from another training itself"),
        ({"recipe": "code2102"}, 'recipe: there is no recipe "code2102"; did you mean "code2012"?'),
    ],
)
def test_variants_that_cannot_be_meant_are_refused(tmp_path, delta, words):
    variants = write_variants(tmp_path, mine=delta)
    assert words in complaint({**STAR, "variant": "mine"}, variants=variants)


def test_a_logged_schedule_has_all_rates_itself(tmp_path):
    schedule = load_variants(VARIANTS).variants["net145"].training["schedule"]
    variants = write_variants(tmp_path, mine={"training": {"schedule": schedule, "layer_rates": {"conv1": 0.1}}})
    line = {"dataset": "cifar10", "variant": "mine", "seeds": [0], "tables": ["in_text"]}
    assert "a logged schedule has the rates of each layer itself" in complaint(line, variants=variants)


def test_full_and_claims_are_planned_for_their_targets_alone():
    line = {"dataset": "cifar10", "variant": "cnn", "seeds": [0], "tables": ["table2"]}
    claim = {"dataset": "cifar10", "variants": ["no-lrn"], "seeds": [0]}
    values = {**VALUES, "experiments": [line], "full": [STAR], "claims": [claim]}
    names = {
        targets: [run.variant for run in make_plan(values, "some.yaml", VARIANTS, targets).runs]
        for targets in ((), ("full",), ("claims",), ("claims", "full"))
    }
    assert names[()] == ["cnn"] and names["full",] == ["cnn", "1-cnn-star", "1-cnn-star"]
    assert names["claims",] == ["cnn", "no-lrn"] and len(names["claims", "full"]) == 4
    listed = make_plan(values, "some.yaml", VARIANTS).list_experiments()
    assert listed["in_full"] == [{"dataset": "cifar10", "key": "1-cnn-star"}]
    assert make_plan(values, "some.yaml", VARIANTS, ["full"]).list_experiments()["in_full"] == []
