"""Mistakes in a configuration, answered with the file, the key and what was expected."""

import pytest
from minimal import CLAIM, LINE, MINIMAL, VARIANTS, complaint, two_devices

from alexnet2012.config.plan import make_plan
from alexnet2012.errors import ConfigError


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"net": {"fc_neurons": 33}}, "net.fc_neurons, 33; make it even"),
        ({"variant": "one-gpu"}, "needs a net of two towers; give it net.towers: 2"),
        ({"variant": "cifar-13pct"}, "needs a net of two towers"),
        ({"training": {"recipe": "fast", "compile": True}}, "cannot be compiled; remove training.compile"),
    ],
)
def test_a_net_that_cannot_be_two_towers_is_refused(changes, words):
    with pytest.raises(ConfigError, match=words):
        two_devices(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trainning": {}}, 'some.yaml: "trainning" is not a setting; did you mean "training"?'),
        (
            {"datasets": {"cifar10": {"kind": "cifar10", "size": 32}}},
            'some.yaml: datasets.cifar10: "size" is not a setting; did you mean "size_px"?',
        ),
        (
            {"experiments": [LINE | {"seed": 0}]},
            'some.yaml: experiments[0]: "seed" is not a setting; did you mean "seeds"?',
        ),
        ({"net": {"crop": 1}}, 'some.yaml: net: "crop" is not a setting; did you mean "crop_px"?'),
        ({"net": {"conv1": {"kernel": 5}}}, 'some.yaml: net.conv1: "kernel" is not a setting; did you mean "kernels"?'),
        ({"net": {"lrn": {"alhpa": 1.0}}}, 'some.yaml: net.lrn: "alhpa" is not a setting; did you mean "alpha"?'),
        ({"net": {"pool": {"sise": 2}}}, 'some.yaml: net.pool: "sise" is not a setting; did you mean "size"?'),
        (
            {"training": {"augmentation": {"color_std": 0.0}}},
            'some.yaml: training.augmentation: "color_std" is not a setting; did you mean "colour_std"?',
        ),
        (
            {"training": {"schedule": {"pateince": 2}}},
            'some.yaml: training.schedule: "pateince" is not a setting; did you mean "patience"?',
        ),
        ({"runtime": {"devise": "cpu"}}, 'some.yaml: runtime: "devise" is not a setting; did you mean "device"?'),
        (
            {"experiments": [LINE | {"seeds": 0}]},
            "some.yaml: experiments[0].seeds is 0: input should be a valid list; write [0]",
        ),
        ({"runtime": {"zzz": 1}}, "there are accept_code, checkpoint_every_s, deterministic, device"),
    ],
)
def test_an_unknown_key_is_refused_at_every_level_with_the_nearest_name(changes, message):
    assert message in complaint(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": 2012}, "some.yaml: name is 2012: input should be a valid string"),
        (
            {"training": {"batch_size": "many"}},
            "some.yaml: training.batch_size is 'many': input should be a valid integer",
        ),
        ({"training": {"learning_rate": "1e-4"}}, "training.learning_rate is '1e-4': input should be a valid number"),
        ({"training": {"learning_rate": "1e-4"}}, "it was read as text: write 0.0001"),
        ({"net": {"halved": ["conv9"]}}, "some.yaml: net.halved[0] is 'conv9': input should be 'conv1', 'conv2'"),
        (
            {"experiments": [LINE | {"tables": ["table9"]}]},
            "experiments[0].tables[0] is 'table9': input should be 'table1'",
        ),
        ({"datasets": {}}, "some.yaml: datasets is {}: dictionary should have at least 1 item"),
        ({"experiments": []}, "some.yaml: experiments is []: list should have at least 1 item"),
        ({"net": None}, "some.yaml: net is empty; give it a value or remove it"),
        ({"training": None}, "some.yaml: training is empty; give it a value or remove it"),
        ({"runtime": None}, "some.yaml: runtime is empty; give it a value or remove it"),
        ({"net": {"conv1": None}}, "some.yaml: net.conv1 is empty; give it a value or remove it"),
        ({"training": {"schedule": None}}, "some.yaml: training.schedule is empty; give it a value or remove it"),
        ({"name": "reference"}, "name: results/reference is not a configuration's folder; choose another name"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(changes, message):
    assert message in complaint(**changes)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ({"kind": "steps"}, "training.schedule.kind is 'steps': expected 'fixed', 'plateau'"),
        (
            {"kind": "fixed", "epochs": [1], "patience": 2},
            'training.schedule: "patience" is not a setting of kind fixed but of kind plateau; '
            "write kind: plateau or remove it",
        ),
        (
            {"epochs": [1]},
            'training.schedule: "epochs" is not a setting of kind plateau but of kind fixed; write kind: fixed',
        ),
        ({"kind": "fixed"}, 'training.schedule: "epochs" is missing'),
        (
            {"kind": "fixed", "epochs": [0]},
            "training.schedule.epochs[0] is 0: input should be greater than or equal to 1",
        ),
        (
            {"kind": "fixed", "epochs": [1], "epoch": 1},
            'training.schedule: "epoch" is not a setting; did you mean "epochs"?',
        ),
    ],
)
def test_a_mistaken_schedule_is_told_by_its_own_kind(schedule, message):
    found = complaint(training={"schedule": schedule})
    assert found.startswith("some.yaml: ")
    assert message in found


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (None, "some.yaml: expected settings, each a `key: value`; found nothing"),
        (["a"], "some.yaml: expected settings, each a `key: value`; found list"),
        ("text", "some.yaml: expected settings, each a `key: value`; found str"),
        (
            {},
            'some.yaml: "name" is missing\nsome.yaml: "datasets" is missing\nsome.yaml: "experiments" is missing',
        ),
    ],
)
def test_a_file_without_settings_is_refused(values, message):
    with pytest.raises(ConfigError) as caught:
        make_plan(values, "some.yaml", VARIANTS)
    assert str(caught.value) == message


def test_mistakes_are_reported_together_over_both_sections():
    lines = complaint(net={"crop": 1, "towers": 3}, training={"epochs": 3}).splitlines()
    assert len(lines) == 3
    assert [line.split(":")[1].split()[0].split(".")[0] for line in lines] == ["net", "net", "training"]


def test_unknown_names_are_answered_with_the_nearest_known():
    assert complaint(experiments=[LINE | {"dataset": "cifar-10"}]) == (
        'some.yaml: experiments[0].dataset: there is no dataset "cifar-10"; did you mean "cifar10"?'
    )
    assert complaint(experiments=[LINE | {"variant": "one-gpus"}]) == (
        'some.yaml: experiments[0].variant: there is no variant "one-gpus"; did you mean "one-gpu"?'
    )
    ensemble = {"dataset": "cifar10", "ensemble": "6-cnns", "tables": ["table2"]}
    assert complaint(experiments=[ensemble]).endswith('did you mean "5-cnns"?')


def test_a_crop_larger_than_the_image_is_refused():
    assert complaint(net=MINIMAL["net"] | {"crop_px": 33}) == (
        "some.yaml: variant cnn on cifar10: net.crop_px is 33, larger than the dataset's size_px of 32; "
        "make it at most 32"
    )


def test_sizes_that_build_no_net_are_refused():
    assert "net.conv1: 3 kernels cannot be split over 2 towers" in complaint(
        net={"crop_px": 28, "conv1": {"kernels": 3, "kernel_px": 5, "stride": 1}}
    )


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"dataset": "imagent"}, "calibration.dataset: imagent is not a dataset of kind ilsvrc2012"),
        ({"dataset": "cifar10"}, "calibration.dataset: cifar10 is not a dataset of kind ilsvrc2012"),
        ({"dataset": "imagenet", "weights": "none.pth"}, "calibration.weights: none.pth is not a file"),
        ({"dataset": "imagenet", "weight": "x"}, 'calibration: "weight" is not a setting; did you mean "weights"?'),
        ({}, 'calibration: "dataset" is missing'),
    ],
)
def test_a_calibration_of_what_is_not_known_is_refused(tmp_path, section, message):
    datasets = MINIMAL["datasets"] | {"imagenet": {"kind": "ilsvrc2012", "folder": str(tmp_path)}}
    assert complaint(datasets=datasets, calibration=section).startswith(f"some.yaml: {message}")


@pytest.mark.parametrize("name", ["a/b", "../up", "", " x", "x\n"])
def test_a_dataset_that_cannot_name_a_folder_is_refused(name):
    found = complaint(datasets={name: MINIMAL["datasets"]["cifar10"]}, experiments=[LINE | {"dataset": name}])
    assert found.startswith(f"some.yaml: datasets.{name} is {name!r}: string should match pattern")


def test_an_ensemble_needs_its_members_trained():
    ensemble = {"dataset": "cifar10", "ensemble": "5-cnns", "tables": ["table2"]}
    assert complaint(experiments=[LINE | {"seeds": [0, 1, 2, 3]}, ensemble]) == (
        "some.yaml: experiments[1]: ensemble 5-cnns averages cnn seed 4 on cifar10, which no experiment trains; "
        "add seed 4 to an experiment of cnn"
    )


def test_mistakes_among_the_claims_are_found_whatever_is_asked_for():
    assert 'claims[0], no-lnr.variant: there is no variant "no-lnr"' in complaint(
        claims=[CLAIM | {"variants": ["no-lnr"]}]
    )
    assert "claims[0].seeds: 1 is written twice" in complaint(claims=[CLAIM | {"seeds": [1, 1]}])
    assert "claims[0].variants" in complaint(claims=[CLAIM | {"variants": []}])


@pytest.mark.parametrize(
    ("training", "words"),
    [
        ({"learning_rate_search": {"rates": [0.1, 0.2], "epochs": 3}}, "needs schedule: {kind: target, ...}"),
        (
            {"learning_rate_search": {"rates": [0.1, 0.1], "epochs": 3}},
            "learning_rate_search.rates: 0.1 is written twice",
        ),
        ({"schedule": {"kind": "target", "train_error": 25, "max_epochs": 3}}, "train_error is 25"),
        ({"schedule": {"kind": "target", "train_error": 0.2, "patience": 3}}, "write kind: plateau or remove it"),
    ],
)
def test_mistakes_in_a_target_or_a_search_are_named(training, words):
    assert words in complaint(training=training)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"net": {"kind": "layers"}}, "some.yaml: net.kind: the base net is the paper's; nets of layers are variants"),
        ({"claims": [CLAIM | {"variants": ["no-lrn", "no-lrn"]}]}, "claims[0].variants: 'no-lrn' is written twice"),
        (
            {
                "experiments": [
                    {"dataset": "cifar10", "ensemble": "5-cnns", "length": "published", "tables": ["table1"]}
                ]
            },
            "ensemble 5-cnns takes its members as they are; remove length",
        ),
        (
            {
                "training": {
                    "schedule": {"kind": "target", "train_error": 0.2, "max_epochs": 3},
                    "learning_rate_search": {"rates": [0.1, 0.2], "epochs": 4},
                }
            },
            "learning_rate_search.epochs is 4, more than the 3 of the schedule",
        ),
    ],
)
def test_settings_that_would_do_nothing_are_refused(changes, words):
    assert words in complaint(**changes)
