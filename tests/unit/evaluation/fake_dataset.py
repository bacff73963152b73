"""A packed dataset of random pixels, opened without the manifest that the tests of data/ are about."""

from pathlib import Path

import numpy as np

from alexnet2012.data.packed import PackedDataset


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
