"""Variants laid over the base net, and mistakes in their file."""

import copy

import pytest
from minimal import CLAIM, LINE, MINIMAL, VARIANTS, complaint, plan

from alexnet2012 import paper
from alexnet2012.config.plan import load_variants, make_plan
from alexnet2012.config.resolve import merge
from alexnet2012.errors import ConfigError


def test_a_mistake_in_a_delta_is_the_variants_and_one_in_the_base_the_configurations(write_variants):
    variants = write_variants({"cnn": {"training": {"batch": 3}}})
    assert complaint(variants).startswith(
        f'{variants}: variants.cnn: training: "batch" is not a setting; did you mean "batch_size"?'
    )
    fine = write_variants({"cnn": {"net": {"lrn": {"n": 3}}}})
    assert complaint(fine, net=MINIMAL["net"] | {"lrn": {"k": "two"}}).startswith("some.yaml: net.lrn.k is 'two'")


@pytest.mark.parametrize(
    "delta",
    [
        {"net": {"halved": ["conv9"]}},
        {"net": {"conv1": None}},
        {"net": {"conv1": 3}},
        {"training": {"schedule": {"kind": "fixed", "epochs": [0]}}},
        {"training": {"schedule": {"kind": "fixed", "epochs": ["x"]}}},
        {"training": {"schedule": {"kind": "steps"}}},
    ],
)
def test_a_mistake_deep_in_a_delta_is_still_the_variants(write_variants, delta):
    variants = write_variants({"cnn": delta})
    assert complaint(variants).startswith(f"{variants}: variants.cnn: ")


def test_settings_that_contradict_each_other_are_the_variants_only_where_it_wrote_one(write_variants):
    contradiction = {"precision": "bf16"}
    assert complaint(training=contradiction).startswith("some.yaml: training: precision and compile")
    variants = write_variants({"cnn": {"training": contradiction}})
    assert complaint(variants).startswith(f"{variants}: variants.cnn: training: precision and compile")


def test_an_unknown_key_of_a_variant_is_refused(write_variants):
    variants = write_variants({"cnn": {"nett": {}}})
    assert complaint(variants) == f'{variants}: variants.cnn: "nett" is not a setting; did you mean "net"?'


def test_a_variant_that_cannot_name_a_folder_is_refused(write_variants):
    variants = write_variants({"no/lrn": {}})
    assert complaint(variants).startswith(f"{variants}: variants.no/lrn is 'no/lrn': string should match pattern")


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
    variants = write_variants(
        {
            "cnn": {},
            "no-lrn": {"net": {"lrn": None}},
            "steps": {"training": {"schedule": {"kind": "fixed", "epochs": [2, 1]}}},
        }
    )
    runs = plan(variants, experiments=[LINE | {"variant": name} for name in ("cnn", "no-lrn", "steps")]).runs
    cnn, no_lrn, steps = runs
    assert (cnn.net.lrn.n, no_lrn.net.lrn) == (5, None)
    assert no_lrn.net.model_copy(update={"lrn": cnn.net.lrn}) == cnn.net
    assert steps.net == cnn.net
    assert steps.training.schedule.model_dump() == {"kind": "fixed", "epochs": [2, 1]}
    assert len({run.hash8 for run in runs}) == 3


@pytest.mark.parametrize(("net", "kernels"), [({}, 384), ({"conv5": {"kernels": 32}}, 48)])
def test_a_relative_size_means_the_same_at_every_scale(write_variants, net, kernels):
    variants = write_variants({"wide": {"net": {"conv5": {"kernels": "x1.5"}, "fc_neurons": "x2"}}})
    (run,) = plan(variants, net=MINIMAL["net"] | net, experiments=[LINE | {"variant": "wide"}]).runs
    assert (run.net.conv5.kernels, run.net.fc_neurons) == (kernels, 8192)


def test_a_multiple_that_is_no_whole_number_is_refused(write_variants):
    variants = write_variants({"wide": {"net": {"conv5": {"kernels": "x1.3"}}}})
    message = complaint(variants, experiments=[LINE | {"variant": "wide"}])
    assert message.startswith(f"{variants}: variants.wide: net.conv5.kernels: x1.3 of 256 is 332.8")


OWN = {"section": "3.5", "net": {"conv5": {"kernels": "x1.5"}}}


def test_a_configuration_may_hold_variants_and_ensembles_of_its_own():
    pair = {"section": "6", "members": [{"variant": "wide", "seeds": [0, 1]}]}
    lines = [
        LINE | {"variant": "wide", "seeds": [0, 1]},
        {"dataset": "cifar10", "ensemble": "pair", "tables": ["table2"]},
    ]
    values = MINIMAL | {"experiments": lines, "variants": {"wide": OWN}, "ensembles": {"pair": pair}}
    found = make_plan(values, "some.yaml", VARIANTS)
    assert [(run.variant, run.net.conv5.kernels) for run in found.runs] == [("wide", 384), ("wide", 384)]
    assert [run.variant for run in found.ensembles[0].members] == ["wide", "wide"]


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ({"cnn": OWN}, f"some.yaml: variants.cnn: {VARIANTS} has this name already"),
        ({"a/b": OWN}, "some.yaml: variants.a/b is 'a/b': string should match pattern"),
        ({"wide": OWN | {"recipe": "papr"}}, 'some.yaml: variants.wide.recipe: there is no recipe "papr"'),
        ({"wide": {"net": {}}}, 'some.yaml: variants.wide: "section" is missing'),
        ({"wide": OWN | {"net": {"conv5": {"kernles": 3}}}}, 'some.yaml: variants.wide: net.conv5: "kernles" is not'),
    ],
)
def test_a_mistake_in_an_own_variant_is_told_by_its_place(variants, message):
    name = next(iter(variants))
    with pytest.raises(ConfigError) as caught:
        make_plan(MINIMAL | {"experiments": [LINE | {"variant": name}]} | {"variants": variants}, "some.yaml", VARIANTS)
    assert str(caught.value).startswith(message)


def test_two_variants_with_the_same_settings_share_the_hash_but_not_the_folder(write_variants):
    variants = write_variants({"cnn": {}, "same": {"net": {"dropout": 0.5}}})
    cnn, same = plan(variants, experiments=[LINE, LINE | {"variant": "same"}]).runs
    assert cnn.hash8 == same.hash8
    assert cnn.folder != same.folder


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([{"variant": "cn", "seeds": [0]}], 'pair.members[0]: there is no variant "cn"; did you mean "cnn"?'),
        ([{"variant": "cnn", "seeds": [0, 0]}], "pair names cnn seed 0 twice"),
        ([{"variant": "cnn", "seed": 0}], 'ensembles.pair.members[0]: "seed" is not a setting; did you mean "seeds"?'),
    ],
)
def test_a_mistaken_ensemble_is_refused(write_variants, members, message):
    variants = write_variants({"cnn": {}}, {"pair": {"section": "6", "members": members}})
    ensemble = {"dataset": "cifar10", "ensemble": "pair", "tables": ["table2"]}
    assert message in complaint(variants, experiments=[LINE, ensemble])


def test_a_name_is_a_variant_or_an_ensemble(write_variants):
    variants = write_variants({"cnn": {}}, {"cnn": {"section": "6", "members": [{"variant": "cnn", "seeds": [0]}]}})
    assert complaint(variants) == f"{variants}: ensembles.cnn is a variant too; rename one of them"


def test_an_empty_variants_file_is_refused(tmp_path):
    path = tmp_path / "variants.yaml"
    path.write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match="variants.yaml: expected settings, .* found nothing"):
        load_variants(path)


def test_the_nets_of_layers_are_the_same_whatever_the_base_net_is():
    claims = [CLAIM | {"variants": ["four-layer-tanh"]}]
    run = make_plan(MINIMAL | {"claims": claims}, "some.yaml", VARIANTS, targets=["claims"]).runs[1]
    assert (run.net.kind, run.net.crop_px, run.net.activation, run.net.dropout) == ("layers", 32, "tanh", 0.0)
    assert [layer.type for layer in run.net.layers].count("conv") == 3


@pytest.mark.parametrize(
    ("net", "words"),
    [
        ({"kind": "layer"}, "net.kind is 'layer': expected 'alexnet', 'layers'"),
        ({"kind": "layers", "crop_px": 8, "layers": [{"type": "cnv"}]}, "net.layers[0].type is 'cnv'"),
        (
            {"kind": "layers", "crop_px": 8, "layers": [{"type": "pool", "off": "max"}]},
            '"off" is not a setting; did you mean "of"?',
        ),
        ({"removed": ["conv1"]}, "net.removed[0] is 'conv1'"),
        ({"activation": "sigmoid"}, "net.activation is 'sigmoid'"),
    ],
)
def test_mistakes_in_a_variants_net_are_named(write_variants, net, words):
    variants = write_variants({"cnn": {"net": net}})
    assert words in complaint(variants)


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([{"name": "conv1", "kernels": 2}], 'net.layers[0]: "type" is missing'),
        ([{"type": "fc", "name": "train", "init_std": 0.1}], "net.layers[0].name is 'train'"),
        (
            [{"type": "fc", "name": "fc1", "neurons": 3, "init_std": 0.1}, {"type": "pool", "of": "max"}],
            "after the first layer of type fc, only fc",
        ),
    ],
)
def test_mistakes_in_a_list_of_layers_are_named(write_variants, layers, words):
    assert words in complaint(write_variants({"cnn": {"net": {"kind": "layers", "crop_px": 8, "layers": layers}}}))


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
