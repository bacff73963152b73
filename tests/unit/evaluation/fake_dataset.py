"""A packed dataset of random pixels, with a manifest where a test opens it as a job does."""

import json
from pathlib import Path

import numpy as np

from alexnet2012.data.packed import MANIFEST_VERSION, PackedDataset


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
    manifest = {
        "version": MANIFEST_VERSION,
        **{
            name: getattr(dataset, name)
            for name in ("name", "digest", "classes", "counts", "size_px", "part", "kind", "storage")
        },
        "official_ids": dataset.official_ids,
    }
    (dataset.folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
