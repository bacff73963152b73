"""Variants laid over the base net."""

import copy

import pytest
from minimal import CLAIM, LINE, MINIMAL, VARIANTS, plan

from alexnet2012 import paper
from alexnet2012.config.experiments import load_variants
from alexnet2012.config.resolve import merge


@pytest.mark.parametrize(
    ("base", "delta", "expected"),
    [
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}}, {"a": {"x": 1, "y": 3}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"lrn": {"n": 5}}, {"lrn": None}, {"lrn": None}),
        ({"lrn": None}, {"lrn": {"n": 3}}, {"lrn": {"n": 3}}),
        (
            {"schedule": {"kind": "plateau", "patience": 5}},
            {"schedule": {"kind": "fixed", "epochs": [1]}},
            {"schedule": {"kind": "fixed", "epochs": [1]}},
        ),
        (
            {"schedule": {"kind": "plateau", "patience": 5, "drops": 3}},
            {"schedule": {"patience": 2}},
            {"schedule": {"kind": "plateau", "patience": 2, "drops": 3}},
        ),
        ({"conv1": {"kernels": 16, "pad": 2}}, {"conv1": {"kernels": "x1.5"}}, {"conv1": {"kernels": 24, "pad": 2}}),
        ({"learning_rate": 0.01}, {"learning_rate": "x0.5"}, {"learning_rate": 0.005}),
        ({"fc_neurons": 100}, {"fc_neurons": "x1.1"}, {"fc_neurons": 110}),  # 110.00000000000001 in floats
        ({"fc_neurons": 50}, {"fc_neurons": "x2.2"}, {"fc_neurons": 110}),
        ({"kind": "fixed"}, {"kind": "x2"}, {"kind": "x2"}),
        ({}, {"kernels": "x2"}, {"kernels": "x2"}),
    ],
)
def test_merging_lays_a_delta_over_a_base(base, delta, expected):
    untouched = copy.deepcopy(base)
    assert merge(base, delta) == expected
    assert base == untouched


def test_a_variant_changes_the_base_and_nothing_else(write_variants):
    fixed = {"kind": "fixed", "epochs": [2, 1]}
    deltas = {
        "cnn": {},
        "same": {"net": {"dropout": 0.5}},
        "no-lrn": {"net": {"lrn": None}},
        "steps": {"training": {"schedule": fixed}},
    }
    runs = plan(write_variants(deltas), experiments=[LINE | {"variant": name} for name in deltas]).runs
    cnn, same, no_lrn, steps = runs
    assert (cnn.net.lrn.n, no_lrn.net.lrn) == (5, None)
    assert no_lrn.net.model_copy(update={"lrn": cnn.net.lrn}) == cnn.net == steps.net
    assert steps.training.schedule.model_dump() == fixed
    assert cnn.hash8 == same.hash8 and cnn.folder != same.folder
    assert len({run.hash8 for run in runs}) == 3


@pytest.mark.parametrize(("net", "kernels"), [({}, 384), ({"conv5": {"kernels": 32}}, 48)])
def test_a_relative_size_means_the_same_at_every_scale(write_variants, net, kernels):
    variants = write_variants({"wide": {"net": {"conv5": {"kernels": "x1.5"}, "fc_neurons": "x2"}}})
    (run,) = plan(variants, net=MINIMAL["net"] | net, experiments=[LINE | {"variant": "wide"}]).runs
    assert (run.net.conv5.kernels, run.net.fc_neurons) == (kernels, 8192)


def test_a_configuration_may_hold_variants_and_ensembles_of_its_own():
    pair = {"section": "6", "members": [{"variant": "wide", "seeds": [0, 1]}]}
    lines = [
        LINE | {"variant": "wide", "seeds": [0, 1]},
        {"dataset": "cifar10", "ensemble": "pair", "tables": ["table2"]},
    ]
    found = plan(
        experiments=lines,
        variants={"wide": {"section": "3.5", "net": {"conv5": {"kernels": "x1.5"}}}},
        ensembles={"pair": pair},
    )
    assert [(run.variant, run.net.conv5.kernels) for run in found.runs] == [("wide", 384), ("wide", 384)]
    assert [run.variant for run in found.ensembles[0].members] == ["wide", "wide"]


def test_a_variant_is_laid_over_its_recipe_and_recipe_paper_is_the_defaults():
    own = {"recipe": "code2012", "training": {"augmentation": {"chunk": 8}}, "net": {"mean_crop": "moving"}}
    variants = {name: {"section": "6", **delta} for name, delta in {"mine": {"recipe": "paper"}, "own": own}.items()}
    lines = [LINE, *(LINE | {"variant": name} for name in variants)]
    plain, named, changed = plan(experiments=lines, variants=variants).runs
    assert named.training == plain.training and named.net == plain.net
    assert (changed.training.recipe, changed.training.decay_biases) == ("code2012", False)
    assert (changed.training.augmentation.chunk, changed.net.mean_crop) == (8, "moving")


def test_the_nets_of_layers_are_the_same_whatever_the_base_net_is():
    run = plan(targets=["claims"], claims=[CLAIM | {"variants": ["four-layer-tanh"]}]).runs[1]
    assert (run.net.kind, run.net.crop_px, run.net.activation, run.net.dropout) == ("layers", 32, "tanh", 0.0)
    assert [layer.type for layer in run.net.layers].count("conv") == 3


def test_each_variant_names_the_claims_that_need_it():
    """claims: of variants.yaml and `needs` of the ledger say the same."""
    variants = load_variants(VARIANTS).variants
    for claim in paper.CLAIMS:
        for name in set(claim.variants) & set(variants) - {"cnn"}:
            assert claim.id in variants[name].claims, (claim.id, name)
    editions = (paper.ILSVRC2010, paper.ILSVRC2012, paper.FALL2009)
    on_variants = [claim for claim in paper.CLAIMS if claim.needs not in editions]
    needed = {(claim.id, name) for claim in on_variants for name in claim.variants}  # C05 has two rows
    for name, variant in variants.items():
        for claim in (each for each in on_variants if each.id in variant.claims and name not in ("cnn", "tanh")):
            assert (claim.id, name) in needed
