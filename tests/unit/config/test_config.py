import pytest
from pydantic import ValidationError

from alexnet2012.config.datasets import CIFAR10_DIGEST, DatasetConfig, SubsetConfig
from alexnet2012.config.experiments import Config, Ensemble, Experiment
from alexnet2012.config.nets import ConvConfig, LRNConfig, NetConfig, PoolConfig
from alexnet2012.config.schedules import FixedSchedule, PlateauSchedule
from alexnet2012.config.schema import AugmentationConfig, RunConfig, RuntimeConfig, TrainingConfig

CIFAR10 = DatasetConfig(kind="cifar10", size_px=32)


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


def test_the_default_net_is_figure_2():
    net = NetConfig()
    assert {name: tuple(getattr(net, name).model_dump().values()) for name in ("conv1", "conv2", "conv3")} == {
        "conv1": (96, 11, 4, 0),
        "conv2": (256, 5, 1, 2),
        "conv3": (384, 3, 1, 1),
    }
    assert (net.conv4, net.conv5) == (
        ConvConfig(kernels=384, kernel_px=3, pad=1),
        ConvConfig(kernels=256, kernel_px=3, pad=1),
    )
    assert (net.crop_px, net.towers, net.halved, net.fc_neurons, net.dropout) == (224, 2, [], 4096, 0.5)
    assert net.pool.model_dump() == {"size": 3, "stride": 2, "rounding": "up"}


def test_the_default_normalisation_is_section_3_3():
    assert NetConfig().lrn.model_dump() == {"n": 5, "k": 2.0, "alpha": 1e-4, "beta": 0.75}


def test_the_default_initialisation_is_section_5():
    assert NetConfig().init_std == 0.01
    assert NetConfig().bias_one == ["conv2", "conv4", "conv5", "fc6", "fc7"]


def test_the_default_training_is_section_5():
    training = TrainingConfig()
    assert (training.batch_size, training.learning_rate, training.momentum, training.weight_decay) == (
        128,
        0.01,
        0.9,
        0.0005,
    )
    assert training.schedule.model_dump() == {
        "kind": "plateau",
        "patience": 5,
        "min_delta": 0.001,
        "drops": 3,
        "max_epochs": 90,
    }
    assert training.augmentation.model_dump() == {
        "crops": True,
        "reflections": True,
        "colour_std": 0.1,
        "chunk": 1,
        "colour_divisor": 1.0,
    }
    assert (training.layer_rates, training.order) == ({}, "shuffled")
    assert (training.recipe, training.precision, training.schedule_split, training.torch_threads) == (
        "paper",
        "fp32",
        "val",
        1,
    )


def test_the_default_image_is_256_pixels_wide():
    dataset = DatasetConfig(kind="imagefolder", folder="images")
    assert (dataset.size_px, dataset.split_seed, dataset.val_fraction, dataset.test_fraction) == (256, 2012, 0.1, 0.2)


def test_a_fixed_schedule_counts_its_drops_and_epochs():
    schedule = FixedSchedule(kind="fixed", epochs=[18, 6, 3, 3])
    assert (schedule.drops, schedule.max_epochs) == (3, 30)


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        (LRNConfig, {"n": 4}, "must be odd, not 4"),
        (LRNConfig, {"k": 0.0}, "greater than 0"),
        (PoolConfig, {"rounding": "nearest"}, "'up' or 'down'"),
        (FixedSchedule, {"kind": "fixed", "epochs": []}, "at least 1 item"),
        (FixedSchedule, {"kind": "fixed", "epochs": [3, 0]}, "greater than or equal to 1"),
        (PlateauSchedule, {"kind": "plateau", "patience": 0}, "greater than or equal to 1"),
        (AugmentationConfig, {"crops": "yes"}, "valid boolean"),
        (AugmentationConfig, {"colour_std": -0.1}, "greater than or equal to 0"),
        (TrainingConfig, {"batch_size": 128.5}, "valid integer"),
        (TrainingConfig, {"batch_size": True}, "valid integer"),
        (TrainingConfig, {"momentum": 1.0}, "less than 1"),
        (TrainingConfig, {"learning_rate": float("nan")}, "finite number"),
        (TrainingConfig, {"learning_rate": float("inf")}, "finite number"),
        (TrainingConfig, {"recipe": "code2013"}, "'paper', 'fast', 'code2012' or 'baseline'"),
        (TrainingConfig, {"recipe": "code2012", "compile": True}, "recipe: fast, not of code2012"),
        (TrainingConfig, {"recipe": "fast"}, "recipe fast needs precision: bf16 or compile: true"),
        (TrainingConfig, {"precision": "bf16"}, "recipe: fast, not of paper"),
        (TrainingConfig, {"compile": True}, "recipe: fast, not of paper"),
        (NetConfig, {"towers": 3}, "1 or 2"),
        (NetConfig, {"dropout": 1.0}, "less than 1"),
        (NetConfig, {"bias_one": ["fc9"]}, "'fc8'"),
        (RuntimeConfig, {"placement": "three-devices"}, "should be 'one-device' or 'two-devices'"),
        (RuntimeConfig, {"device": "gpu"}, "'auto', 'cpu' or 'cuda'"),
        (RuntimeConfig, {"too_few_devices": "wait"}, "'stop' or 'one-device'"),
        (Ensemble, {"section": "6", "members": []}, "at least 1 item"),
        (DatasetConfig, {"kind": "cifar10"}, "size_px is 256, but CIFAR-10's images are 32 pixels wide"),
        (DatasetConfig, {"kind": "cifar10", "size_px": 32, "split_seed": -1}, "greater than or equal to 0"),
        (DatasetConfig, {"kind": "imagefolder"}, "write folder: path/to/images"),
        (
            DatasetConfig,
            {"kind": "imagefolder", "folder": "x", "val_fraction": 0.5, "test_fraction": 0.5},
            "leave no training images",
        ),
        (DatasetConfig, {"kind": "fall2011", "class_list": "x.txt"}, "fall2011 needs folder"),
        (DatasetConfig, {"kind": "fall2011", "folder": "x"}, "fall2011 needs class_list"),
        (
            DatasetConfig,
            {"kind": "imagefolder", "folder": "x", "class_list": "x.txt"},
            "class_list is not a setting of",
        ),
        (DatasetConfig, {"kind": "imagefolder", "folder": "x", "layout": "tars"}, "layout is not a setting of kind"),
        (DatasetConfig, {"kind": "ilsvrc2010", "folder": "x", "layout": "kaggle"}, "official tars only"),
        (
            DatasetConfig,
            {"kind": "cifar10", "size_px": 32, "storage": "jpeg"},
            "storage is not a setting of kind cifar10",
        ),
        (DatasetConfig, {"kind": "imagefolder", "folder": "x", "jpeg_quality": 90}, "a setting of storage: jpeg"),
        (DatasetConfig, {"kind": "imagefolder", "folder": "x", "bad_images": "skip"}, "max_bad_images: N"),
        (SubsetConfig, {}, "expected classes, classes_not_in"),
    ],
)
def test_a_value_that_cannot_be_is_refused(section, values, message):
    with pytest.raises(ValidationError, match=message):
        section(**values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "either a variant or an ensemble"),
        ({"variant": "cnn", "ensemble": "5-cnns", "seeds": [0]}, "either a variant or an ensemble"),
        ({"variant": "cnn"}, r"variant cnn needs seeds, e.g. seeds: \[0\]"),
        ({"ensemble": "5-cnns", "seeds": [0]}, "takes its members as they are; remove seeds"),
        ({"variant": "cnn", "seeds": [1, 1]}, "1 is written twice"),
        ({"variant": "cnn", "seeds": [-1]}, "greater than or equal to 0"),
    ],
)
def test_an_experiment_names_one_subject_with_seeds(values, message):
    with pytest.raises(ValidationError, match=message):
        Experiment(dataset="cifar10", tables=["table1"], **values)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("reference", "results/reference is not a configuration's folder"),
        ("benchmarks", "results/benchmarks is not a configuration's folder"),
        ("a/b", "pattern"),
        ("..", "pattern"),
        ("", "pattern"),
    ],
)
def test_a_configuration_is_named_like_a_folder_of_its_own(name, message):
    experiment = Experiment(dataset="cifar10", variant="cnn", seeds=[0], tables=["table1"])
    with pytest.raises(ValidationError, match=message):
        Config(name=name, datasets={"cifar10": CIFAR10}, experiments=[experiment])


def test_every_section_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        TrainingConfig().batch_size = 64


def test_cifar10s_digest_is_known_beforehand_and_a_folders_where_it_is_given():
    assert CIFAR10.known_digest == CIFAR10_DIGEST
    assert DatasetConfig(kind="imagefolder", folder="x").known_digest is None
    assert DatasetConfig(kind="imagefolder", folder="x", digest="ab").known_digest == "ab"


def test_a_hash_is_eight_hex_digits_and_part_of_the_folder():
    run = run_config()
    assert len(run.hash8) == 8
    assert int(run.hash8, 16) >= 0
    assert str(run.folder) == f"results/some/runs/cifar10/cnn-{run.hash8}/seed0"
    assert str(run.predictions) == f"results/some/predictions/cifar10/cnn-{run.hash8}/seed0"


@pytest.mark.parametrize(
    "changes",
    [
        {"runtime": RuntimeConfig(checkpoint_every_s=1.0, evaluation_batch=7, device="cpu", accept_code="00")},
        {"runtime": RuntimeConfig(too_few_devices="one-device")},
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
        {"net": NetConfig(lrn=None)},
        {"net": NetConfig(conv1=ConvConfig(kernels=96, kernel_px=11, stride=4, pad=1))},
        {"net": NetConfig(conv1=ConvConfig(kernels=96, kernel_px=11))},
        {"net": NetConfig(halved=["conv1"])},
        {"training": TrainingConfig(torch_threads=2)},
        {"training": TrainingConfig(weight_decay=0.0)},
        {"training": TrainingConfig(schedule=FixedSchedule(kind="fixed", epochs=[90]))},
        {"training": TrainingConfig(augmentation=AugmentationConfig(colour_std=0.0))},
        {"training": TrainingConfig(schedule_split="minival")},
        {"dataset": DatasetConfig(kind="cifar10", size_px=32, split_seed=1)},
        {"dataset": DatasetConfig(kind="imagefolder", folder="x", size_px=32)},
    ],
)
def test_the_hash_hears_what_decides_weights(changes):
    assert run_config(**changes).hash8 != run_config().hash8


def test_the_hash_hears_a_folders_digest_and_size_where_the_digest_is_given_and_else_its_path():
    def of(**values):
        return run_config(dataset=DatasetConfig(kind="imagefolder", **values)).hash8

    base = of(folder="x", digest="aa")
    assert of(folder="elsewhere", digest="aa") == base
    assert of(folder="x", digest="bb") != base
    assert of(folder="x", digest="aa", size_px=128) != base
    assert of(folder="x", digest="aa", split_seed=1) != base
    assert of(folder="x") != of(folder="y")


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
    known = {"kind": "ilsvrc2012", "folder": "x", "digest": "aa"}
    base, other = (DatasetConfig.model_validate(known | changes) for changes in ({}, settings))
    assert base.identity == {"digest": "aa", "size_px": 256, "split_seed": 2012}
    assert other.identity == base.identity | settings
    assert run_config(dataset=other).hash8 != run_config(dataset=base).hash8


def test_a_known_digest_hides_where_the_images_lie_and_what_to_do_with_bad_ones():
    known = {"kind": "ilsvrc2012", "folder": "x", "digest": "aa"}
    moved = known | {"folder": "y", "layout": "kaggle", "bad_images": "skip", "max_bad_images": 3}
    assert DatasetConfig(**moved).identity == DatasetConfig(**known).identity


def test_a_known_digest_does_not_hide_the_list_of_classes():
    lists = [DatasetConfig(kind="fall2011", folder="x", digest="aa", class_list=each) for each in ("a.txt", "b.txt")]
    assert len({run_config(dataset=each).hash8 for each in lists}) == 2


def test_rotations_of_another_subset_are_other_images():
    known = DatasetConfig(kind="imagefolder", folder="x", digest="aa")
    part = known.model_copy(update={"subset": SubsetConfig(classes=2)})
    whole, fewer = (DatasetConfig(kind="rotations", of="some", source=each) for each in (known, part))
    assert whole.identity != fewer.identity
