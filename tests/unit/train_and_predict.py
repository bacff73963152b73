"""Run with one version of the package or another: `python train_and_predict.py FOLDER` prints, as JSON, the
fingerprints of its code and the sha256 of small trainings and their predictions below FOLDER.

It uses nothing but the command line and files that both versions read.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from alexnet2012.cli import main
from alexnet2012.fingerprint import fingerprint

SMALL = {"kernels": 8, "kernel_px": 3, "stride": 1, "pad": 1}
NET = {"crop_px": 12, **{f"conv{k}": SMALL for k in range(1, 6)}, "fc_neurons": 16, "dropout": 0.2}
TRAINING = {"batch_size": 8, "schedule": {"kind": "fixed", "epochs": [2, 1]}, "measured_train_images": 50}
LAYERS = [
    {"type": "conv", "name": "conv1", "kernels": 8, "kernel_px": 3, "pad": 1, "init_std": 0.01, "weight_decay": 0.0},
    *({"type": "activation"}, {"type": "pool", "of": "max"}, {"type": "lrn"}),
    {"type": "local", "name": "local2", "kernels": 4, "kernel_px": 3, "pad": 1, "init_std": 0.04},
    *({"type": "activation"}, {"type": "pool", "of": "average"}, {"type": "fc", "name": "fc3", "init_std": 0.01}),
]
LRN = {"n": 5, "k": 1.0, "alpha": 0.0001, "beta": 0.75}
LAYERED = {"kind": "layers", "crop_px": 12, "lrn": LRN, "layers": LAYERS}
TO_A_TARGET = {"schedule": {"kind": "target", "train_error": 0.01, "max_epochs": 2}, "bias_rate": 2.0}
RUNS = {
    "cnn": ({}, {}),
    "one-gpu": ({"towers": 1, "halved": ["conv1", "conv2", "conv3", "conv4"]}, {}),
    "no-lrn": ({"lrn": None}, {}),
    "pool-2x2": ({"pool": {"size": 2, "stride": 2, "rounding": "down"}}, {}),
    "no-conv3": ({"removed": ["conv3"]}, {}),
    "tanh": ({"activation": "tanh"}, {}),
    "no-dropout": ({"dropout": 0.0}, {}),
    "as-they-are": ({}, {"augmentation": {"crops": False, "reflections": False, "colour_std": 0.0}}),
    "plateau": ({}, {"schedule": {"kind": "plateau", "max_epochs": 3}, "schedule_split": "minival"}),
    "layered": (LAYERED, {**TO_A_TARGET, "weight_decay": 0.004, "decay_biases": False}),
}


def write_pictures(folder: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("class0", "class1", "class2"):
        (folder / name).mkdir(parents=True)
        for k in range(60):
            pixels = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{k:03d}.png")


def call(*arguments: object) -> None:
    if code := main([str(each) for each in arguments]):
        raise SystemExit(code)


def make(folder: Path) -> dict[str, str]:
    """The sha256 of each run's weights and of its probabilities."""
    write_pictures(folder / "pictures")
    dataset = {"kind": "imagefolder", "folder": str(folder / "pictures"), "size_px": 16}
    call("prepare", "pictures", json.dumps(dataset), "--data", folder / "data")
    call("track", "tiny", folder / "tracking.json")
    where = ("--data", folder / "data", "--tracking", folder / "tracking.json")
    found = {}
    for name, (net, training) in RUNS.items():
        values = {"name": "tiny", "variant": name, "seed": 1, "dataset_name": "pictures", "dataset": dataset}
        values |= {"net": net if "kind" in net else NET | net, "training": TRAINING | training}
        run = folder / name
        run.mkdir()
        (run / "config.yaml").write_text(yaml.safe_dump(values))
        call("train", run, *where)
        call("predict", run, run, "--split", "val", *where)
        for file in ("model.safetensors", "val-ten_crop.npy", "val-centre.npy"):
            found[f"{name}: {file}"] = hashlib.sha256((run / file).read_bytes()).hexdigest()
    return found


if __name__ == "__main__":
    bits = make(Path(sys.argv[1]))
    print(json.dumps({"code": {stage: fingerprint(stage) for stage in ("train", "predict")}, "bits": bits}))
