import pytest
from pydantic import ValidationError

from alexnet2012.config.datasets import CIFAR10_DIGEST, DatasetConfig, SubsetConfig
from alexnet2012.config.experiments import Config, Experiment
from alexnet2012.config.nets import ConvConfig, LRNConfig, NetConfig
from alexnet2012.config.schedules import FixedSchedule, PlateauSchedule, warn_of_few_steps
from alexnet2012.config.schema import AugmentationConfig, RunConfig, RuntimeConfig, TrainingConfig

CIFAR10 = DatasetConfig(kind="cifar10", size_px=32)
FOLDER = {"kind": "imagefolder", "folder": "x"}
KNOWN = {"kind": "ilsvrc2012", "folder": "x", "digest": "aa"}


def run_config(**changes) -> RunConfig:
    values = {
        "name": "some",
        "variant": "cnn",
        "seed": 0,
        "dataset_name": "cifar10",
        "dataset": CIFAR10,
        "net": NetConfig(),
        "training": TrainingConfig(),
    }
    return RunConfig(**(values | changes))


FIGURE_2 = {
    "crop_px": 224,
    "towers": 2,
    "conv1": {"kernels": 96, "kernel_px": 11, "stride": 4, "pad": 0},
    "conv2": {"kernels": 256, "kernel_px": 5, "stride": 1, "pad": 2},
    "conv3": {"kernels": 384, "kernel_px": 3, "stride": 1, "pad": 1},
    "conv4": {"kernels": 384, "kernel_px": 3, "stride": 1, "pad": 1},
    "conv5": {"kernels": 256, "kernel_px": 3, "stride": 1, "pad": 1},
    "halved": [],
    "pool": {"size": 3, "stride": 2, "rounding": "up"},
    "fc_neurons": 4096,
    "dropout": 0.5,
    "lrn": {"n": 5, "k": 2.0, "alpha": 1e-4, "beta": 0.75},  # §3.3
    "init_std": 0.01,  # §5, as bias_one
    "bias_one": ["conv2", "conv4", "conv5", "fc6", "fc7"],
}
SECTION_5 = {
    "recipe": "paper",
    "batch_size": 128,
    "learning_rate": 0.01,
    "layer_rates": {},
    "order": "shuffled",
    "momentum": 0.9,
    "weight_decay": 0.0005,
    "schedule": {"kind": "plateau", "patience": 5, "min_delta": 0.001, "drops": 3, "max_epochs": 90},
    "schedule_split": "val",
    "augmentation": {"crops": True, "reflections": True, "colour_std": 0.1, "chunk": 1, "colour_divisor": 1.0},
    "precision": "fp32",
    "torch_threads": 1,
}
SECTION_2 = {"size_px": 256, "split_seed": 2012, "val_fraction": 0.1, "test_fraction": 0.2}


@pytest.mark.parametrize(
    ("section", "paper"),
    [
        (NetConfig(), FIGURE_2),
        (TrainingConfig(), SECTION_5),
        (DatasetConfig(**FOLDER), SECTION_2),
        (RuntimeConfig(), {"deterministic": True}),
    ],
)
def test_the_defaults_are_the_papers(section, paper):
    values = section.model_dump()
    assert {key: values[key] for key in paper} == paper


def test_a_fixed_schedule_counts_its_drops_and_epochs():
    schedule = FixedSchedule(kind="fixed", epochs=[18, 6, 3, 3])
    assert (schedule.drops, schedule.max_epochs) == (3, 30)


@pytest.mark.parametrize(
    ("section", "values", "key"),
    [
        (LRNConfig, {"n": 4}, "n"),
        (FixedSchedule, {"kind": "fixed", "epochs": [3, 0]}, "epochs.1"),
        (AugmentationConfig, {"crops": "yes"}, "crops"),
        (TrainingConfig, {"batch_size": 128.5}, "batch_size"),
        (TrainingConfig, {"batch_size": True}, "batch_size"),
        (TrainingConfig, {"momentum": 1.0}, "momentum"),
        (TrainingConfig, {"learning_rate": float("nan")}, "learning_rate"),
        (TrainingConfig, {"learning_rate": float("inf")}, "learning_rate"),
        (TrainingConfig, {"recipe": "code2012", "compile": True}, "compile"),
        (TrainingConfig, {"recipe": "fast"}, "recipe"),
        (TrainingConfig, {"precision": "bf16"}, "precision"),
        (NetConfig, {"bias_one": ["fc9"]}, "bias_one.0"),
        (SubsetConfig, {}, "classes"),
        (DatasetConfig, {"kind": "cifar10"}, "size_px"),
        (DatasetConfig, {"kind": "cifar10", "size_px": 32, "storage": "jpeg"}, "storage"),
        (DatasetConfig, {"kind": "imagefolder"}, "folder"),
        (DatasetConfig, FOLDER | {"val_fraction": 0.5, "test_fraction": 0.5}, "val_fraction"),
        (DatasetConfig, FOLDER | {"class_list": "x.txt"}, "class_list"),
        (DatasetConfig, FOLDER | {"layout": "tars"}, "layout"),
        (DatasetConfig, FOLDER | {"jpeg_quality": 90}, "jpeg_quality"),
        (DatasetConfig, FOLDER | {"bad_images": "skip"}, "max_bad_images"),
        (DatasetConfig, {"kind": "fall2011", "class_list": "x.txt"}, "folder"),
        (DatasetConfig, {"kind": "fall2011", "folder": "x"}, "class_list"),
        (DatasetConfig, {"kind": "ilsvrc2010", "folder": "x", "layout": "kaggle"}, "layout"),
        (Experiment, {"dataset": "x", "tables": ["table1"]}, "variant"),
        (Experiment, {"dataset": "x", "tables": ["table1"], "variant": "a", "ensemble": "b"}, "ensemble"),
        (Experiment, {"dataset": "x", "tables": ["table1"], "variant": "cnn"}, "seeds"),
        (Experiment, {"dataset": "x", "tables": ["table1"], "ensemble": "5-cnns", "seeds": [0]}, "seeds"),
        (Experiment, {"dataset": "x", "tables": ["table1"], "variant": "cnn", "seeds": [1, 1]}, "seeds"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_key(section, values, key):
    with pytest.raises(ValidationError, match=rf"\b{key}\b"):
        section(**values)


@pytest.mark.parametrize("name", ["reference", "benchmarks", "a/b", "..", ""])
def test_a_configuration_is_named_like_a_folder_of_its_own(name):
    experiment = Experiment(dataset="cifar10", variant="cnn", seeds=[0], tables=["table1"])
    with pytest.raises(ValidationError, match="name"):
        Config(name=name, datasets={"cifar10": CIFAR10}, experiments=[experiment])


def test_every_section_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        TrainingConfig().batch_size = 64


def test_cifar10s_digest_is_known_beforehand_and_a_folders_where_it_is_given():
    assert CIFAR10.known_digest == CIFAR10_DIGEST
    assert DatasetConfig(**FOLDER).known_digest is None
    assert DatasetConfig(**FOLDER, digest="ab").known_digest == "ab"


def test_a_hash_is_eight_hex_digits_and_part_of_the_folder():
    run = run_config()
    assert len(run.hash8) == 8 and int(run.hash8, 16) >= 0
    assert str(run.folder) == f"results/some/runs/cifar10/cnn-{run.hash8}/seed0"
    assert str(run.predictions) == f"results/some/predictions/cifar10/cnn-{run.hash8}/seed0"


@pytest.mark.parametrize(
    "changes",
    [
        {"runtime": RuntimeConfig(checkpoint_every_s=1.0, evaluation_batch=7, device="cpu", accept_code="00")},
        {"name": "other"},
        {"variant": "other"},
        {"seed": 7},
        {"dataset_name": "renamed"},
        {"dataset": DatasetConfig(kind="cifar10", size_px=32, folder="/somewhere/else")},
        {"training": TrainingConfig(learning_rate=0.01, schedule=PlateauSchedule(kind="plateau", patience=5))},
        {"net": NetConfig(lrn=LRNConfig(n=5))},
    ],
)
def test_the_hash_is_deaf_to_what_decides_no_weight(changes):
    assert run_config(**changes).hash8 == run_config().hash8


@pytest.mark.parametrize(
    "changes",
    [
        {"net": NetConfig(fc_neurons=4095)},
        {"net": NetConfig(conv1=ConvConfig(kernels=96, kernel_px=11))},
        {"net": NetConfig(halved=["conv1"])},
        {"training": TrainingConfig(weight_decay=0.0)},
        {"training": TrainingConfig(schedule=FixedSchedule(kind="fixed", epochs=[90]))},
        {"training": TrainingConfig(augmentation=AugmentationConfig(colour_std=0.0))},
        {"training": TrainingConfig(schedule_split="minival")},
        {"dataset": DatasetConfig(kind="cifar10", size_px=32, split_seed=1)},
    ],
)
def test_the_hash_hears_what_decides_weights(changes):
    assert run_config(**changes).hash8 != run_config().hash8


@pytest.mark.parametrize(
    ("values", "changes", "same"),
    [
        (FOLDER | {"digest": "aa"}, {"folder": "y"}, True),
        (FOLDER | {"digest": "aa"}, {"digest": "bb"}, False),
        (FOLDER | {"digest": "aa"}, {"size_px": 128}, False),
        (FOLDER | {"digest": "aa"}, {"split_seed": 1}, False),
        (FOLDER, {"folder": "y"}, False),
        (KNOWN, {"folder": "y", "layout": "kaggle", "bad_images": "skip", "max_bad_images": 3}, True),
        ({"kind": "fall2011", "folder": "x", "digest": "aa", "class_list": "a.txt"}, {"class_list": "b.txt"}, False),
    ],
)
def test_the_hash_hears_a_digest_and_size_where_the_digest_is_given_and_else_the_path(values, changes, same):
    one, other = (DatasetConfig(**each) for each in (values, values | changes))
    assert (one.identity == other.identity) == same
    assert (run_config(dataset=one).hash8 == run_config(dataset=other).hash8) == same


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
    base, other = (DatasetConfig.model_validate(KNOWN | changes) for changes in ({}, settings))
    assert base.identity == {"digest": "aa", "size_px": 256, "split_seed": 2012}
    assert other.identity == base.identity | settings
    assert run_config(dataset=other).hash8 != run_config(dataset=base).hash8


def test_rotations_of_another_subset_are_other_images():
    known = DatasetConfig(**FOLDER, digest="aa")
    part = known.model_copy(update={"subset": SubsetConfig(classes=2)})
    whole, fewer = (DatasetConfig(kind="rotations", of="some", source=each) for each in (known, part))
    assert whole.identity != fewer.identity


@pytest.mark.parametrize(
    ("steps_per_epoch", "epochs", "numbers"),
    [
        (1, 90, "90 in all, 1 an epoch"),  # 168 photographs in batches of 128
        (10, 99, "990 in all, 10 an epoch"),
        (10, 100, ""),
        (9, 1000, "9,000 in all, 9 an epoch"),
        (1000, 1, ""),
        (0, 90, "0 in all, 0 an epoch"),
        (10_009, 90, ""),  # the paper's
    ],
)
def test_fewer_than_a_thousand_steps_or_ten_an_epoch_are_warned_of(steps_per_epoch, epochs, numbers):
    warning = warn_of_few_steps(steps_per_epoch, epochs)
    assert bool(warning) == bool(numbers)
    assert numbers in warning
