"""Configurations to plan, whose images need not exist."""

from pathlib import Path

import yaml

from alexnet2012.planning.forecast import survey
from alexnet2012.planning.work import Work

ROOT = Path(__file__).parents[3]
VARIANTS = ROOT / "config" / "variants.yaml"
TABLES = ["table1", "table2", "in_text"]

# Both editions at the paper's own sizes, and its plateau schedule of at most 90 epochs.
ILSVRC = {
    "name": "paper",
    "datasets": {
        "ilsvrc2010": {"kind": "ilsvrc2010", "folder": "nowhere/2010"},
        "ilsvrc2012": {"kind": "ilsvrc2012", "folder": "nowhere/2012"},
    },
    "experiments": [
        {"dataset": "ilsvrc2010", "variant": "cnn", "seeds": [0], "tables": ["table1"]},
        {"dataset": "ilsvrc2012", "variant": "cnn", "seeds": [0, 1, 2, 3, 4], "tables": ["table2"]},
        {"dataset": "ilsvrc2012", "ensemble": "5-cnns", "tables": ["table2"]},
    ],
}

TINY = {
    "name": "tiny",
    "datasets": {"pictures": {"kind": "imagefolder", "folder": "pictures", "size_px": 16}},
    "experiments": [{"dataset": "pictures", "variant": "cnn", "seeds": [0, 1], "tables": TABLES}],
    "net": {
        "crop_px": 12,
        "conv1": {"kernels": 8, "kernel_px": 3, "stride": 1, "pad": 1},
        "conv2": {"kernels": 8, "kernel_px": 3, "pad": 1},
        **{name: {"kernels": 8} for name in ("conv3", "conv4", "conv5")},
        "fc_neurons": 32,
    },
    "training": {"batch_size": 8, "schedule": {"kind": "fixed", "epochs": [2, 1]}, "measured_train_images": 50},
}


def plan_work(values: dict) -> Work:
    """The work of a configuration in the working directory, whose packed data would lie in data/."""
    path = Path("plan.yaml")
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return survey(path, VARIANTS, Path("data"))


def write_pictures(folder: Path, classes: int, images: int) -> None:
    """Empty files that are counted and never opened."""
    for k in range(classes):
        (folder / f"class{k}").mkdir(parents=True)
        for number in range(images):
            (folder / f"class{k}" / f"{number:02d}.PNG").touch()
        (folder / f"class{k}" / "readme.txt").touch()


def finish(folder: Path, names: tuple[str, ...]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
