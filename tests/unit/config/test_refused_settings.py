"""Mistakes in a configuration, answered with the file, the key and the nearest name."""

import pytest
from minimal import CLAIM, LINE, MINIMAL, VARIANTS, complaint

from alexnet2012.config.plan import make_plan
from alexnet2012.errors import ConfigError

CIFAR10 = MINIMAL["datasets"]["cifar10"]
TARGET = {"kind": "target", "train_error": 0.2, "max_epochs": 3}
ENSEMBLE = {"dataset": "cifar10", "ensemble": "5-cnns", "tables": ["table2"]}


def scheduled(**schedule) -> dict:
    return {"training": {"schedule": schedule}}


def searching(rates: list[float], epochs: int, **training) -> dict:
    return {"training": {"learning_rate_search": {"rates": rates, "epochs": epochs}, **training}}


UNKNOWN_KEYS = [
    ({"trainning": {}}, '"trainning"', '"training"'),
    ({"datasets": {"cifar10": {"kind": "cifar10", "size": 32}}}, 'datasets.cifar10: "size"', '"size_px"'),
    ({"experiments": [LINE | {"seed": 0}]}, 'experiments[0]: "seed"', '"seeds"'),
    ({"net": {"crop": 1}}, 'net: "crop"', '"crop_px"'),
    ({"net": {"conv1": {"kernel": 5}}}, 'net.conv1: "kernel"', '"kernels"'),
    ({"net": {"lrn": {"alhpa": 1.0}}}, 'net.lrn: "alhpa"', '"alpha"'),
    ({"net": {"pool": {"sise": 2}}}, 'net.pool: "sise"', '"size"'),
    ({"training": {"augmentation": {"color_std": 0.0}}}, 'training.augmentation: "color_std"', '"colour_std"'),
    (scheduled(pateince=2), 'training.schedule: "pateince"', '"patience"'),
    (scheduled(kind="fixed", epochs=[1], epoch=1), 'training.schedule: "epoch"', '"epochs"'),
    ({"runtime": {"devise": "cpu"}}, 'runtime: "devise"', '"device"'),
    ({"runtime": {"zzz": 1}}, 'runtime: "zzz"', "accept_code, checkpoint_every_s, deterministic, device"),
    ({"calibration": {"dataset": "cifar10", "weight": "x"}}, 'calibration: "weight"', '"weights"'),
]
UNKNOWN_NAMES = [
    ({"experiments": [LINE | {"dataset": "cifar-10"}]}, "experiments[0].dataset", '"cifar10"'),
    ({"experiments": [LINE | {"variant": "one-gpus"}]}, "experiments[0].variant", '"one-gpu"'),
    ({"experiments": [ENSEMBLE | {"ensemble": "6-cnns"}]}, "experiments[0].ensemble", '"5-cnns"'),
    ({"claims": [CLAIM | {"variants": ["no-lnr"]}]}, "claims[0], no-lnr.variant", '"no-lrn"'),
    ({"training": {"layer_rates": {"conv7": 2.0}}}, "training.layer_rates", '"conv7"'),
    ({"calibration": {"dataset": "imagent"}}, "calibration.dataset", "imagent"),
    ({"calibration": {"dataset": "cifar10"}}, "calibration.dataset", "cifar10"),
]
WRONG_VALUES = [
    ({"name": 2012}, "name is 2012"),
    ({"name": "reference"}, "name: results/reference"),
    ({"training": {"batch_size": "many"}}, "training.batch_size is 'many'"),
    ({"training": {"learning_rate": "1e-4"}}, "training.learning_rate is '1e-4'", "write 0.0001"),  # YAML reads text
    ({"experiments": [LINE | {"seeds": 0}]}, "experiments[0].seeds is 0", "write [0]"),
    ({"net": {"halved": ["conv9"]}}, "net.halved[0] is 'conv9'", "'conv1', 'conv2'"),
    ({"experiments": [LINE | {"tables": ["table9"]}]}, "experiments[0].tables[0] is 'table9'", "'table1'"),
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
    (scheduled(kind="fixed", epochs=[0]), "training.schedule.epochs[0] is 0"),
    (scheduled(**TARGET | {"train_error": 25}), "training.schedule.train_error is 25"),
    (searching([0.1, 0.2], 3), "training: learning_rate_search", "kind: target"),
    (searching([0.1, 0.1], 3), "training.learning_rate_search.rates: 0.1"),
    (searching([0.1, 0.2], 4, schedule=TARGET), "learning_rate_search.epochs is 4", "3"),
]
DO_NOT_FIT = [
    ({"net": MINIMAL["net"] | {"crop_px": 33}}, "variant cnn on cifar10: net.crop_px is 33", "size_px of 32"),
    ({"net": MINIMAL["net"] | {"conv1": {"kernels": 3, "kernel_px": 5, "stride": 1}}}, "net.conv1: 3 kernels"),
    ({"net": {"kind": "layers"}}, "net.kind"),
    ({"experiments": [ENSEMBLE | {"length": "published"}]}, "ensemble 5-cnns", "length"),
    ({"experiments": [LINE | {"seeds": [0, 1, 2, 3]}, ENSEMBLE]}, "experiments[1]: ensemble 5-cnns", "cnn seed 4"),
]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (changes, words)
        for table in (UNKNOWN_KEYS, UNKNOWN_NAMES, WRONG_VALUES, DO_NOT_FIT)
        for changes, *words in table
    ],
)
def test_a_mistake_is_told_by_its_file_and_key_with_the_nearest_name(changes, words):
    message = complaint(**changes)
    assert message.startswith("some.yaml: ")
    assert all(word in message for word in words)


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
    line = LINE | {"variant": variant}
    assert key in complaint(experiments=[line], runtime={"placement": "two-devices"}, **changes)


@pytest.mark.parametrize("values", [None, ["a"], "text"])
def test_a_file_without_settings_is_refused(values):
    with pytest.raises(ConfigError, match="^some.yaml: "):
        make_plan(values, "some.yaml", VARIANTS)


def test_mistakes_are_reported_together():
    assert complaint(net={"crop": 1, "towers": 3}, training={"epochs": 3}).count("some.yaml: ") == 3
    with pytest.raises(ConfigError) as refused:
        make_plan({}, "some.yaml", VARIANTS)
    assert [line.split('"')[1] for line in str(refused.value).splitlines()] == ["name", "datasets", "experiments"]


def test_weights_of_a_calibration_that_are_no_file_are_named(tmp_path):
    datasets = MINIMAL["datasets"] | {"imagenet": {"kind": "ilsvrc2012", "folder": str(tmp_path)}}
    found = complaint(datasets=datasets, calibration={"dataset": "imagenet", "weights": "none.pth"})
    assert found.startswith("some.yaml: calibration.weights: none.pth")


@pytest.mark.parametrize("name", ["a/b", "../up", "", " x", "x\n"])
def test_a_dataset_that_cannot_name_a_folder_is_refused(name):
    found = complaint(datasets={name: CIFAR10}, experiments=[LINE | {"dataset": name}])
    assert found.startswith(f"some.yaml: datasets.{name} is {name!r}")
