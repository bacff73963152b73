"""Photographs as files: drawn from scikit-learn's two, and once more from a packed dataset."""

from pathlib import Path

import numpy as np
from PIL import Image

from alexnet2012.data.packed import open_packed


def write_photographs(folder: Path, classes: int, per_class: int) -> None:
    """500x375 crops of scikit-learn's two photographs at quality 97: 99 kB each, where ILSVRC-2012's have 115."""
    from sklearn.datasets import load_sample_images

    random = np.random.default_rng(0)
    sources = [Image.fromarray(image) for image in load_sample_images().images]
    for k in range(classes):
        (folder / f"class{k:02d}").mkdir()
        for number in range(per_class):
            source = sources[number % 2]
            left, top = random.integers(source.width - 499), random.integers(source.height - 374)
            photograph = source.crop((left, top, left + 500, top + 375))
            photograph.save(folder / f"class{k:02d}" / f"{number:04d}.JPEG", quality=97)


def write_jpegs_of(packed: Path, folder: Path) -> None:
    """The training images of a packed dataset at quality 90, in class folders, so that path order is row order."""
    dataset = open_packed(packed)
    train = dataset.split("train")
    for row in np.argsort(train.labels, kind="stable"):
        target = folder / dataset.classes[train.labels[row]]
        target.mkdir(exist_ok=True)
        Image.fromarray(train.images[row]).save(target / f"{row:05d}.jpg", quality=90)
