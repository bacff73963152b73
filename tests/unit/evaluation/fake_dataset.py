"""A packed dataset of random pixels, with a manifest where a test opens it as a job does; and a net for it."""

import json
from pathlib import Path

import numpy as np
import torch
import yaml
from safetensors.torch import save_file

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.config.nets import ConvConfig, LayeredNetConfig, NetConfig
from alexnet2012.config.schema import RunConfig, TrainingConfig
from alexnet2012.data.packed import MANIFEST_VERSION, PackedDataset
from alexnet2012.files import file_digest, write_json
from alexnet2012.model.layered import initialise, make_net

SMALL = ConvConfig(kernels=4, kernel_px=3, pad=1)
NET = NetConfig(crop_px=12, conv1=SMALL, conv2=SMALL, conv3=SMALL, conv4=SMALL, conv5=SMALL, fc_neurons=6)


def write_dataset(folder: Path, counts: dict[str, int], size_px: int, classes: int, seed: int = 0) -> PackedDataset:
    generator = np.random.default_rng(seed)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        pixels = generator.integers(0, 256, (count, size_px, size_px, 3), dtype=np.uint8)
        np.save(folder / name / "images.npy", pixels)
        np.save(folder / name / "labels.npy", generator.integers(0, classes, count))
    return PackedDataset(
        folder=folder,
        name="fake",
        digest="0" * 64,
        classes=tuple(f"class{k}" for k in range(classes)),
        counts=counts,
        size_px=size_px,
        mean_image=generator.uniform(0, 255, (size_px, size_px, 3)).astype(np.float32),
        colour_vectors=np.eye(3),
        colour_deviations=np.ones(3),
    )


def write_manifest(dataset: PackedDataset) -> None:
    """What `open_packed` needs beside the arrays to find `dataset` in its folder."""
    statistics = ("mean_image", "colour_vectors", "colour_deviations")
    np.savez(dataset.folder / "statistics.npz", **{name: getattr(dataset, name) for name in statistics})
    names = ("name", "digest", "classes", "counts", "size_px", "part", "kind", "storage", "official_ids")
    manifest = {"version": MANIFEST_VERSION} | {name: getattr(dataset, name) for name in names}
    (dataset.folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def write_run(folder: Path, dataset: PackedDataset, net: NetConfig | LayeredNetConfig = NET, seed: int = 0):
    """A trained run's folder, its weights as they are initialised; returns the net."""
    run = RunConfig(
        name="some",
        variant="cnn",
        seed=seed,
        dataset_name="fake",
        dataset=DatasetConfig(kind="imagefolder", folder="x", size_px=dataset.size_px),
        net=net,
        training=TrainingConfig(),
    )
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(run.model_dump()), encoding="utf-8")
    model = make_net(net, len(dataset.classes))
    initialise(model, torch.Generator().manual_seed(seed))
    save_file(model.state_dict(), folder / "model.safetensors")
    record = {"weights_sha256": file_digest(folder / "model.safetensors"), "dataset": dataset.describe()}
    write_json(folder / "record.json", record | {"mlflow_run_id": None})
    return model
