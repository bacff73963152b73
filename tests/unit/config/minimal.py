"""A configuration as short as it can be, and what the project says of changes of it."""

from collections.abc import Collection
from pathlib import Path

import pytest
import yaml

from alexnet2012.config.plan import make_plan
from alexnet2012.errors import ConfigError

ROOT = Path(__file__).parents[3]
VARIANTS = ROOT / "config" / "variants.yaml"
LINE = {"dataset": "cifar10", "variant": "cnn", "seeds": [0], "tables": ["table1"]}
CLAIM = {"dataset": "cifar10", "variants": ["no-lrn", "cnn"], "seeds": [0, 1]}
ENSEMBLE = {"dataset": "cifar10", "ensemble": "5-cnns", "tables": ["table2"]}
STAR = LINE | {"variant": "1-cnn-star", "seeds": [0, 1], "pretrained_on": "turned", "tables": ["table2"]}
MINIMAL = {
    "name": "some",
    "datasets": {"cifar10": {"kind": "cifar10", "size_px": 32}, "turned": {"kind": "rotations", "of": "cifar10"}},
    "experiments": [LINE],
    "net": {"crop_px": 28, "conv1": {"kernel_px": 5, "stride": 1}},
}


def plan(path: Path = VARIANTS, targets: Collection[str] = (), **changes):
    """With the variants of the file `path`, and the experiments that `targets` ask for."""
    return make_plan(MINIMAL | changes, "some.yaml", path, targets)


def complaint(path: Path = VARIANTS, **changes) -> str:
    with pytest.raises(ConfigError) as caught:
        plan(path, **changes)
    return str(caught.value)


def committed(name: str, targets: Collection[str] = ()):
    return make_plan(yaml.safe_load((ROOT / "config" / name).read_text(encoding="utf-8")), name, VARIANTS, targets)
