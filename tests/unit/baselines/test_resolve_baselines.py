"""The baselines in configurations: what they resolve to, and what is refused."""

from pathlib import Path

import pytest
import yaml

from alexnet2012.config.plan import make_plan
from alexnet2012.errors import ConfigError

VARIANTS = Path(__file__).parents[3] / "config" / "variants.yaml"
LINE = {"dataset": "photos", "variant": "sift-fv", "seeds": [0], "tables": ["table1"]}
VALUES = {"name": "some", "datasets": {"photos": {"kind": "imagefolder", "folder": "photos", "size_px": 256}}}
SMALL = {"models": [{"kind": "sift", "grids": [{"side_px": 16, "step_px": 4}]}]}


def plan(variants: Path = VARIANTS, line: dict = LINE, **changes):
    return make_plan({**VALUES, "experiments": [line], **changes}, "some.yaml", variants)


def complaint(variants: Path = VARIANTS, line: dict = LINE, **changes) -> str:
    with pytest.raises(ConfigError) as refused:
        plan(variants, line, **changes)
    return str(refused.value)


@pytest.mark.parametrize(("variant", "models"), [("sift-fv", 2), ("sparse-coding", 6)])
def test_photographs_need_no_settings(variant, models):
    (run,) = plan(line=LINE | {"variant": variant}).runs
    assert run.is_baseline and len(run.net.models) == models and run.training.recipe_in_words == "baseline"
    assert (run.net.kind, run.folder.parts[:4]) == (variant, ("results", "some", "runs", "photos"))


def test_a_configuration_lays_its_own_sizes_over_a_baselines():
    (usual,), (own,) = plan().runs, plan(baselines={"sift-fv": SMALL | {"gaussians": 16}}).runs
    assert (usual.net.gaussians, len(usual.net.models)) == (256, 2)
    assert (own.net.gaussians, len(own.net.models), own.net.dimensions) == (16, 1, usual.net.dimensions)
    assert usual.hash8 != own.hash8
    assert plan(baselines={"sparse-coding": {"atoms": 32}}).runs == (usual,)
    assert plan(net={"fc_neurons": 64}, training={"momentum": 0.8}).runs[0].hash8 == usual.hash8
    (run,) = plan(line=LINE | {"variant": "sparse-coding"}, baselines={"sparse-coding": {"linear": {"epochs": 3}}}).runs
    assert (run.net.linear.epochs, run.net.linear.standardised) == (3, True)  # the rest of the section stays


@pytest.mark.parametrize(
    ("baselines", "words"),
    [
        ({"sift-vf": {}}, ('baselines: there is no baseline "sift-vf"', '"sift-fv"')),
        ({"cnn": {}}, ('baselines: there is no baseline "cnn"',)),
        ({"sift-fv": {"gausians": 16}}, ('baselines.sift-fv: "gausians"', '"gaussians"')),
        ({"sift-fv": {"gaussians": "many"}}, ("some.yaml: baselines.sift-fv: gaussians is 'many'",)),
        ({"sift-fv": {"atoms": 16}}, ('baselines.sift-fv: "atoms"',)),
        ({"sift-fv": {"kind": "sparse-coding"}}, ("baselines.sift-fv.kind",)),
        ({"sift-fv": {"models": []}}, ("baselines.sift-fv: models",)),
        ({"sift-fv": {"models": SMALL["models"] * 2}}, ("baselines.sift-fv: models: ",)),
        ({"sift-fv": {"pyramid": [2, 2]}}, ("baselines.sift-fv: pyramid: 2",)),
    ],
)
def test_mistakes_in_a_configurations_own_sizes_are_named(baselines, words):
    message = complaint(baselines=baselines)
    assert all(word in message for word in words)


def test_patches_that_are_larger_than_the_image_are_refused():
    photos = {"photos": VALUES["datasets"]["photos"] | {"size_px": 64}}
    assert "models[0]: patches of 96 pixels do not fit images of 64" in complaint(datasets=photos)


@pytest.mark.parametrize(
    ("section", "value"), [("training", {"momentum": 0.5}), ("runtime", {"device": "cpu"}), ("recipe", "code2012")]
)
def test_a_baselines_entry_has_no_settings_of_a_training(tmp_path, section, value):
    values = yaml.safe_load(VARIANTS.read_text(encoding="utf-8"))
    values["variants"]["sift-fv"][section] = value
    path = tmp_path / "variants.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    assert f"{path}: variants.sift-fv: {section}" in complaint(path)
