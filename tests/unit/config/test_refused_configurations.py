"""Mistakes in a configuration or in the variants, answered with the file, the key and the nearest name."""

import pytest
import yaml
from minimal import CLAIM, ENSEMBLE, LINE, MINIMAL, STAR, VARIANTS, committed, complaint, plan

from alexnet2012.config.experiments import load_variants
from alexnet2012.config.plan import make_plan
from alexnet2012.config.schema import read_run
from alexnet2012.errors import ConfigError

CIFAR10 = MINIMAL["datasets"]["cifar10"]
TARGET = {"kind": "target", "train_error": 0.2, "max_epochs": 3}
OWN = {"section": "3.5", "net": {"conv5": {"kernels": "x1.5"}}}
FC = {"type": "fc", "name": "fc1", "neurons": 3, "init_std": 0.1}
TINY = {"kind": "tiny_imagenet"}
FOLDER = {"kind": "imagefolder", "folder": "x"}
LOGGED = load_variants(VARIANTS).variants["net145"].training["schedule"]


def lined(**changes) -> dict:
    """One experiment; None leaves a key out."""
    return {"experiments": [{key: value for key, value in (LINE | changes).items() if value is not None}]}


def packed(**settings) -> dict:
    return {"datasets": {"x": settings}}


def subsets(**subsets) -> dict:
    """Datasets of these subsets; one that is a whole section stands as it is."""
    return {"datasets": {name: each if "kind" in each else TINY | {"subset": each} for name, each in subsets.items()}}


def scheduled(**schedule) -> dict:
    return {"training": {"schedule": schedule}}


def searching(rates: list[float], epochs: int, **training) -> dict:
    return {"training": {"learning_rate_search": {"rates": rates, "epochs": epochs}, **training}}


UNKNOWN_KEYS = [
    ({"trainning": {}}, '"trainning"', '"training"'),
    (packed(kind="cifar10", size=32), 'datasets.x: "size"', '"size_px"'),
    (lined(seed=0), 'experiments[0]: "seed"', '"seeds"'),
    ({"net": {"crop": 1}}, 'net: "crop"', '"crop_px"'),
    ({"net": {"conv1": {"kernel": 5}}}, 'net.conv1: "kernel"', '"kernels"'),
    ({"net": {"lrn": {"alhpa": 1.0}}}, 'net.lrn: "alhpa"', '"alpha"'),
    ({"training": {"augmentation": {"color_std": 0.0}}}, 'training.augmentation: "color_std"', '"colour_std"'),
    (scheduled(pateince=2), 'training.schedule: "pateince"', '"patience"'),
    (scheduled(kind="fixed", epochs=[1], epoch=1), 'training.schedule: "epoch"', '"epochs"'),
    ({"runtime": {"zzz": 1}}, 'runtime: "zzz"', "accept_code, checkpoint_every_s, deterministic, device"),
    ({"calibration": {"dataset": "cifar10", "weight": "x"}}, 'calibration: "weight"', '"weights"'),
    ({"per_dataset": {"cifar10": {"nett": {}}}}, 'per_dataset.cifar10: "nett"', '"net"'),
    ({"per_dataset": {"cifar10": {"net": {"fc_neurones": 3}}}}, 'net: "fc_neurones"', '"fc_neurons"'),
]
UNKNOWN_NAMES = [
    (lined(dataset="cifar-10"), "experiments[0].dataset", '"cifar10"'),
    (lined(variant="one-gpus"), "experiments[0].variant", '"one-gpu"'),
    ({"experiments": [ENSEMBLE | {"ensemble": "6-cnns"}]}, "experiments[0].ensemble", '"5-cnns"'),
    ({"experiments": [STAR | {"pretrained_on": "turnd"}]}, "experiments[0].pretrained_on", '"turned"'),
    ({"claims": [CLAIM | {"variants": ["no-lnr"]}]}, "claims[0], no-lnr.variant", '"no-lrn"'),
    ({"training": {"layer_rates": {"conv7": 2.0}}}, "training.layer_rates", '"conv7"'),
    ({"calibration": {"dataset": "imagent"}}, "calibration.dataset", "imagent"),
    ({"calibration": {"dataset": "cifar10"}}, "calibration.dataset", "cifar10"),
    ({"per_dataset": {"nowhere": {"net": {}}}}, "per_dataset.nowhere"),
    (subsets(ours={"classes_not_in": "tiny4"}, tiny40={"classes": 40}), "tiny4", '"tiny40"'),
    (packed(kind="rotations", of="y"), "x: of is y"),
]
WRONG_VALUES = [
    ({"name": 2012}, "name is 2012"),
    *(({"name": name}, "name") for name in ("reference", "benchmarks", "a/b", "..", "")),
    ({"training": {"batch_size": "many"}}, "training.batch_size is 'many'"),
    ({"training": {"batch_size": 128.5}}, "training.batch_size is 128.5"),
    ({"training": {"batch_size": True}}, "training.batch_size is True"),
    ({"training": {"momentum": 1.0}}, "training.momentum is 1.0"),
    ({"training": {"learning_rate": "1e-4"}}, "training.learning_rate is '1e-4'", "write 0.0001"),  # YAML reads text
    ({"training": {"augmentation": {"crops": "yes"}}}, "training.augmentation.crops is 'yes'"),
    (lined(seeds=0), "experiments[0].seeds is 0", "write [0]"),
    (lined(seeds=[1, 1]), "experiments[0].seeds: 1 is written twice"),
    (lined(tables=["table9"]), "experiments[0].tables[0] is 'table9'", "'table1'"),
    ({"net": {"halved": ["conv9"]}}, "net.halved[0] is 'conv9'", "'conv1', 'conv2'"),
    ({"net": {"bias_one": ["fc9"]}}, "net.bias_one[0] is 'fc9'"),
    ({"net": {"lrn": {"n": 4}}}, "net.lrn.n"),
    ({"datasets": {}}, "datasets is {}"),
    ({"experiments": []}, "experiments is []"),
    ({"net": None}, "net is empty"),
    ({"net": {"conv1": None}}, "net.conv1 is empty"),
    ({"training": {"schedule": None}}, "training.schedule is empty"),
    ({"calibration": {}}, 'calibration: "dataset" is missing'),
    ({"claims": [CLAIM | {"seeds": [1, 1]}]}, "claims[0].seeds: 1 is written twice"),
    ({"claims": [CLAIM | {"variants": []}]}, "claims[0].variants"),
    ({"claims": [CLAIM | {"variants": ["no-lrn", "no-lrn"]}]}, "claims[0].variants: 'no-lrn'"),
    # A schedule is told by its own kind.
    (scheduled(kind="steps"), "training.schedule.kind is 'steps'", "'fixed', 'plateau'"),
    (scheduled(kind="fixed", epochs=[1], patience=2), 'training.schedule: "patience"', "kind: plateau"),
    (scheduled(epochs=[1]), 'training.schedule: "epochs"', "kind: fixed"),
    (scheduled(kind="fixed"), 'training.schedule: "epochs" is missing'),
    (scheduled(kind="fixed", epochs=[3, 0]), "training.schedule.epochs[1] is 0"),
    (scheduled(**TARGET | {"train_error": 25}), "training.schedule.train_error is 25"),
    (searching([0.1, 0.2], 3), "training: learning_rate_search", "kind: target"),
    (searching([0.1, 0.1], 3), "training.learning_rate_search.rates: 0.1"),
    (searching([0.1, 0.2], 4, schedule=TARGET), "learning_rate_search.epochs is 4", "3"),
]
OF_DATASETS = [
    (packed(kind="cifar10"), "size_px is 256", "size_px: 32"),
    (packed(kind="downsampled_imagenet", folder="x", size_px=48), "size_px is 48", "64"),
    (packed(kind="cifar10", size_px=32, storage="jpeg"), "storage"),
    (packed(kind="cifar10", size_px=32, splits="merged"), "splits"),
    (packed(kind="imagefolder"), "folder"),
    (packed(**FOLDER, val_fraction=0.5, test_fraction=0.5), "val_fraction"),
    (packed(**FOLDER, class_list="x.txt"), "class_list"),
    (packed(**FOLDER, layout="tars"), "layout"),
    (packed(**FOLDER, jpeg_quality=90), "jpeg_quality"),
    (packed(**FOLDER, bad_images="skip"), "max_bad_images"),
    (packed(**FOLDER, subset={}), "subset", "classes"),
    (packed(kind="fall2011", class_list="x.txt"), "folder"),
    (packed(kind="fall2011", folder="x"), "class_list"),
    (packed(kind="ilsvrc2010", folder="x", layout="kaggle"), "layout"),
    (packed(**TINY, val_fraction=0.2), "val_fraction"),
    (packed(**TINY, test_fraction=0.3), "test_fraction"),
    (packed(**TINY, splits="both"), "splits"),
    (packed(**TINY, class_list="x"), "class_list"),
    (subsets(ours={"classes_not_in": "ours"}), "ours: subset.classes_not_in is ours"),
    (subsets(ours={"classes_not_in": "b"}, b={"classes_not_in": "ours"}), "subset.classes_not_in", "cycle"),
    (
        subsets(ours={"classes_not_in": "b"}, b={"classes_not_in": "c"}, c={"classes_not_in": "b"}),
        "subset.classes_not_in",
        "cycle",
    ),
    (subsets(ours={"classes_not_in": "b"}, b={"per_class": 9}), "b, which has all classes"),
    (subsets(ours={"classes_not_in": "b"}, b=TINY), "b, which has all classes"),
    (subsets(ours={"classes_not_in": "b"}, b=CIFAR10), "whose kind is cifar10"),
    (subsets(ours={"classes_not_in": "b"}, b=TINY | {"folder": "x"}), "whose folder is x"),
    (subsets(ours={"classes_not_in": "b"}, b=TINY | {"complete": False}), "whose complete is False"),
]
DO_NOT_FIT = [
    ({"net": MINIMAL["net"] | {"crop_px": 33}}, "variant cnn on cifar10: net.crop_px is 33", "size_px of 32"),
    ({"net": MINIMAL["net"] | {"conv1": {"kernels": 3, "kernel_px": 5, "stride": 1}}}, "net.conv1: 3 kernels"),
    ({"net": {"kind": "layers"}}, "net.kind"),
    ({"per_dataset": {"cifar10": {"net": {"kind": "layers"}}}}, "net.kind"),
    ({"per_dataset": {"cifar10": {"net": {"fc_neurons": "x0.3"}}}, "net": {"fc_neurons": 5}}, "per_dataset.cifar10"),
    ({"training": {"recipe": "code2012", "compile": True}}, "compile"),
    ({"training": {"recipe": "fast"}}, "recipe"),
    ({"training": {"precision": "bf16"}}, "precision"),
    (lined(variant=None), "experiments[0]: ", "variant"),
    (lined(ensemble="b"), "experiments[0]: ", "ensemble"),
    (lined(seeds=None), "experiments[0]: ", "seeds"),
    (lined(pretrained_on="turned"), "experiments[0]: cnn"),
    (lined(pretraining={"schedule": {}}), "experiments[0]: pretraining"),
    ({"experiments": [ENSEMBLE | {"length": "published"}]}, "ensemble 5-cnns", "length"),
    ({"experiments": [ENSEMBLE | {"seeds": [0]}]}, "ensemble 5-cnns", "seeds"),
    ({"experiments": [ENSEMBLE | {"pretrained_on": "turned"}]}, "ensemble 5-cnns", "pretrained_on"),
    ({"experiments": [LINE | {"seeds": [0, 1, 2, 3]}, ENSEMBLE]}, "experiments[1]: ensemble 5-cnns", "cnn seed 4"),
    ({"claims": [CLAIM | {"length": "published"}]}, "no-lrn", "length"),
    ({"experiments": [STAR, STAR | {"pretrained_on": "cifar10"}]}, "1-cnn-star seed 0 on cifar10"),  # in two ways
    ({"experiments": [STAR | {"pretraining": {"schedul": {}}}]}, 'training: "schedul"'),
]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (changes, words)
        for table in (UNKNOWN_KEYS, UNKNOWN_NAMES, WRONG_VALUES, OF_DATASETS, DO_NOT_FIT)
        for changes, *words in table
    ],
)
def test_a_mistake_is_told_by_its_file_and_key_with_the_nearest_name(changes, words):
    message = complaint(**changes)
    assert all(word in message for word in words)
    assert message.startswith(("some.yaml: ", f"{VARIANTS}: "))


@pytest.mark.parametrize("values", [None, ["a"], "text"])
def test_a_file_without_settings_is_refused(values):
    with pytest.raises(ConfigError, match="^some.yaml: "):
        make_plan(values, "some.yaml", VARIANTS)


def test_mistakes_are_reported_together():
    assert complaint(net={"crop": 1, "towers": 3}, training={"epochs": 3}).count("some.yaml: ") == 3
    with pytest.raises(ConfigError) as refused:
        make_plan({}, "some.yaml", VARIANTS)
    assert [line.split('"')[1] for line in str(refused.value).splitlines()] == ["name", "datasets", "experiments"]


@pytest.mark.parametrize("name", ["a/b", "../up", "", " x", "x\n"])
def test_a_dataset_that_cannot_name_a_folder_is_refused(name):
    found = complaint(datasets={name: CIFAR10}, **lined(dataset=name))
    assert found.startswith(f"some.yaml: datasets.{name} is {name!r}")


def layered(*layers: dict) -> dict:
    return {"net": {"kind": "layers", "crop_px": 8, "layers": list(layers)}}


@pytest.mark.parametrize(
    ("delta", "place"),
    [
        ({"nett": {}}, '"nett"'),
        ({"training": {"batch": 3}}, 'training: "batch"'),
        ({"training": {"precision": "bf16"}}, "training: precision"),  # contradicts the base's recipe
        ({"training": {"schedule": {"kind": "fixed", "epochs": [0]}}}, "training.schedule.epochs[0] is 0"),
        ({"training": {"schedule": {"kind": "steps"}}}, "training.schedule.kind is 'steps'"),
        ({"training": {"schedule": LOGGED, "layer_rates": {"conv1": 0.1}}}, "training: "),
        ({"net": {"removed": ["conv1"]}}, "net.removed[0] is 'conv1'"),
        ({"net": {"activation": "sigmoid"}}, "net.activation is 'sigmoid'"),
        ({"net": {"conv1": None}}, "net.conv1"),
        ({"net": {"conv1": 3}}, "net.conv1 is 3"),
        ({"net": {"conv5": {"kernels": "x1.3"}}}, "net.conv5.kernels: x1.3 of 256 is 332.8"),
        ({"net": {"kind": "layer"}}, "net.kind is 'layer'"),
        (layered({"type": "cnv"}), "net.layers[0].type is 'cnv'"),
        (layered({"type": "pool", "off": "max"}), 'net.layers[0]: "off"'),
        (layered({"name": "conv1", "kernels": 2}), 'net.layers[0]: "type" is missing'),
        (layered(FC | {"name": "train"}), "net.layers[0].name is 'train'"),
        (layered(FC, {"type": "pool", "of": "max"}), "net: after the first layer of type fc"),
    ],
)
def test_a_mistake_in_a_delta_is_the_variants(write_variants, delta, place):
    variants = write_variants({"cnn": delta})
    assert f"{variants}: variants.cnn: {place}" in complaint(variants)


@pytest.mark.parametrize(
    ("variants", "place"),
    [
        ({"cnn": OWN}, f"variants.cnn: {VARIANTS}"),  # has this name already
        ({"a/b": OWN}, "variants.a/b"),
        ({"wide": OWN | {"recipe": "papr"}}, "variants.wide.recipe"),
        ({"wide": {"net": {}}}, 'variants.wide: "section"'),
        ({"wide": OWN | {"net": {"conv5": {"kernles": 3}}}}, 'variants.wide: net.conv5: "kernles"'),
    ],
)
def test_a_mistake_in_an_own_variant_is_told_by_its_place(variants, place):
    (name,) = variants
    assert complaint(**lined(variant=name), variants=variants).startswith(f"some.yaml: {place}")


@pytest.mark.parametrize(
    ("starts_from", "words"),
    [
        ({"variant": "cnn", "layers": ["conv7"]}, 'starts_from: layers: there is no layer "conv7"'),
        ({"variant": "cnn", "layers": ["conv6"]}, 'starts_from: layers: there is no layer "conv6"'),
        ({"variant": "no-conv2", "layers": ["conv3"]}, "starts_from: layers: conv3"),
        ({"variant": "cn", "layers": ["conv1"]}, 'starts_from.variant: there is no variant "cn"'),
        ({"variant": "1-cnn-star", "layers": ["conv1"]}, "starts_from.variant: 1-cnn-star"),
        ({"variant": "cnn", "layers": ["conv1"]}, "experiments[0]: mine"),  # without pretrained_on
    ],
)
def test_a_start_that_cannot_be_meant_is_refused(starts_from, words):
    mine = {"section": "6", "starts_from": starts_from}
    lines = {"experiments": [STAR | {"variant": "mine"}]} if "mine" not in words else lined(variant="mine")
    assert words in complaint(**lines, variants={"mine": mine})


@pytest.mark.parametrize(
    ("name", "members", "words"),
    [
        ("pair", [{"variant": "cn", "seeds": [0]}], ('ensembles.pair.members[0]: there is no variant "cn"', '"cnn"')),
        ("pair", [{"variant": "cnn", "seeds": [0, 0]}], ("pair", "cnn seed 0")),
        ("pair", [{"variant": "cnn", "seed": 0}], ('ensembles.pair.members[0]: "seed"', '"seeds"')),
        ("cnn", [{"variant": "cnn", "seeds": [0]}], ("ensembles.cnn",)),  # a variant too
    ],
)
def test_a_mistaken_ensemble_is_refused(write_variants, name, members, words):
    variants = write_variants({"cnn": {}}, {name: {"section": "6", "members": members}})
    message = complaint(variants, experiments=[LINE, ENSEMBLE | {"ensemble": name}])
    assert all(word in message for word in (str(variants), *words))


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"a: 1\nb: [1, 2\nc: 3\n", ", line 3: "),
        (b"a: 1\n\tb: 2\n", ", line 2: "),
        (b"a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", ', line 5: "c" '),
        (b"a: !!python/object:os.system {}\n", ", line 1: .*os.system"),
        (b"name: \xff\xfe", " .* at byte 6"),
        (b"", ": expected settings"),
        (None, " "),
    ],
)
def test_what_is_not_yaml_is_refused_with_its_line(tmp_path, content, place):
    path = tmp_path / "file.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"{path}{place}"):
        load_variants(path)


def test_a_stored_run_reads_back_as_it_was_also_from_before_nets_had_kinds(tmp_path):
    path = tmp_path / "config.yaml"
    for run in (committed("config.yaml").runs[5], plan().runs[0]):
        values = run.model_dump()
        path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
        assert read_run(path) == run
        del values["net"]["kind"]
        path.write_text(yaml.safe_dump(values), encoding="utf-8")
        assert read_run(path) == run
    values["net"]["pol"] = 3
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.raises(ConfigError, match=f'{path}: net: "pol" .*"pool"'):
        read_run(path)


@pytest.mark.parametrize(
    ("variant", "changes", "key"),
    [
        ("cnn", {"net": MINIMAL["net"] | {"fc_neurons": 33}}, "net.fc_neurons, 33"),
        ("one-gpu", {}, "net.towers"),
        ("cifar-13pct", {}, "net.towers"),
        ("cnn", {"training": {"recipe": "fast", "compile": True}}, "training.compile"),
    ],
)
def test_a_net_that_cannot_be_two_towers_is_refused(variant, changes, key):
    assert key in complaint(**lined(variant=variant), runtime={"placement": "two-devices"}, **changes)
