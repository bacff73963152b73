"""The default with which each setting was introduced; hashes of runs and identities of datasets leave it out.

Give each new setting a line with the default that means what the code did before: no older hash changes. Never edit a
line: if a default changes, the table keeps the old one, so that the hash of every run that takes the new default
changes. `tests/unit/config/test_introduced.py` finds settings without a line.
"""

from typing import Any

from alexnet2012.config.validate import Section

# By the section that declares the setting; subclasses inherit its lines. A default that is itself a section is given as
# its departures from that section's lines: {} has none.
INTRODUCED: dict[str, dict[str, Any]] = {
    "ConvConfig": {"stride": 1, "pad": 0},
    "PoolConfig": {"size": 3, "stride": 2, "rounding": "up"},
    "LRNConfig": {"n": 5, "k": 2.0, "alpha": 1e-4, "beta": 0.75},
    "MapNormConfig": {"size": 5, "k": 1.0, "alpha": 0.00004, "beta": 0.75},
    "NetConfig": {
        "kind": "alexnet",
        "crop_px": 224,
        "towers": 2,
        "conv1": {"kernels": 96, "kernel_px": 11, "stride": 4},
        "conv2": {"kernels": 256, "kernel_px": 5, "pad": 2},
        "conv3": {"kernels": 384, "kernel_px": 3, "pad": 1},
        "conv4": {"kernels": 384, "kernel_px": 3, "pad": 1},
        "conv5": {"kernels": 256, "kernel_px": 3, "pad": 1},
        "halved": [],
        "removed": [],
        "activation": "relu",
        "pool": {},
        "lrn": {},
        "fc_neurons": 4096,
        "dropout": 0.5,
        "init_std": 0.01,
        "layer_init_std": {},
        "bias_one": ["conv2", "conv4", "conv5", "fc6", "fc7"],
        "sixth_layer": False,
        "separate_towers": False,
        "normalised_linear": [],
        "map_norm": None,
        "mean_crop": "moving",
    },
    "WeightLayer": {"weight_decay": None},
    "ConvLayer": {"pad": 0},
    "FullLayer": {"neurons": None},
    "PoolLayer": {"size": 3, "stride": 2},
    "LayeredNetConfig": {"kind": "layers", "activation": "relu", "lrn": None},
    "DescriptorConfig": {"enlarged": 1},
    "LinearConfig": {"alpha": 1e-5, "epochs": 10, "standardised": False},
    "BaselineConfig": {
        "pyramid": [1, 2],
        "sampled_images": 10_000,
        "sampled_descriptors": 200_000,
        "linear": {},
        "stored": "float16",
    },
    "FisherConfig": {"dimensions": 64, "gaussians": 64},
    "SparseConfig": {"dimensions": 64, "atoms": 512, "penalty": 1.0},
    "PlateauSchedule": {"patience": 5, "min_delta": 0.001, "drops": 3, "max_epochs": 90},
    "TargetSchedule": {"diverging": "fail"},
    "RateChange": {"weights": {}, "biases": {}, "colour_noise": None},
    "AugmentationConfig": {"crops": True, "reflections": True, "colour_std": 0.1, "chunk": 1, "colour_divisor": 1.0},
    "TrainingConfig": {
        "recipe": "paper",
        "batch_size": 128,
        "learning_rate": 0.01,
        "learning_rate_search": None,
        "bias_rate": 1.0,
        "layer_rates": {},
        "order": "shuffled",
        "momentum": 0.9,
        "weight_decay": 0.0005,
        "decay_biases": True,
        "schedule": {"kind": "plateau"},
        "schedule_split": "val",
        "minival_fraction": 0.05,
        "augmentation": {},
        "measured_train_images": 10_000,
        "precision": "fp32",
        "compile": False,
        "torch_threads": 1,
    },
    "SubsetConfig": {"classes": None, "per_class": None, "seed": 2012, "classes_not_in": None, "left_out": None},
    "DatasetConfig": {
        "of": None,
        "source": None,
        "folder": None,
        "layout": "auto",
        "class_list": None,
        "size_px": 256,
        "splits": "official",
        "split_seed": 2012,
        "val_fraction": 0.1,
        "test_fraction": 0.2,
        "subset": None,
        "complete": True,
        "storage": "raw",
        "jpeg_quality": 95,
        "bad_images": "stop",
        "max_bad_images": 0,
        "digest": None,
    },
}


def list_introduced(model: type[Section]) -> dict[str, Any]:
    """The lines of a section, with those of its bases."""
    bases = [INTRODUCED.get(base.__name__, {}) for base in reversed(model.__mro__)]
    return {key: value for lines in bases for key, value in lines.items()}


def dump_departures(section: Section) -> dict[str, Any]:
    """Plain data of the settings that are not as they were introduced, and of those without a default.

    As long as no default has changed, this is `section.model_dump(exclude_defaults=True)`.
    """
    introduced = list_introduced(type(section))
    values = {key: _dump(getattr(section, key)) for key in type(section).model_fields}
    return {key: value for key, value in values.items() if key not in introduced or value != introduced[key]}


def _dump(value: Any) -> Any:
    if isinstance(value, Section):
        return dump_departures(value)
    if isinstance(value, dict):
        return {key: _dump(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_dump(each) for each in value]
    return value
