"""Writers of small stand-ins: CIFAR-10 in each of its published forms, and folders of pictures."""

import io
import json
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.sources.cifar10 import BATCHES, Cifar10

PER_BATCH = 12


def folder_config(folder: Path, **settings) -> DatasetConfig:
    """A folder of pictures, packed at 8 pixels."""
    return DatasetConfig(kind="imagefolder", folder=str(folder), **({"size_px": 8} | settings))


class Python2Pickler(pickle._Pickler):
    """Writes every string as Python 2's `str`, as the official batches were written."""

    def save_string(self, text):
        data = text if isinstance(text, bytes) else text.encode("latin-1")
        self.write(b"T" + struct.pack("<i", len(data)) + data)

    dispatch = pickle._Pickler.dispatch | {str: save_string, bytes: save_string}


def write_official(archive_path: Path, cifar10: Cifar10) -> None:
    images = np.concatenate([cifar10.train_images, cifar10.test_images])
    labels = np.concatenate([cifar10.train_labels, cifar10.test_labels])
    members = {}
    for k, name in enumerate(BATCHES):
        rows = slice(k * PER_BATCH, (k + 1) * PER_BATCH)
        planes = np.ascontiguousarray(images[rows].transpose(0, 3, 1, 2)).reshape(PER_BATCH, 3072)
        buffer = io.BytesIO()
        batch = {"batch_label": name, "labels": labels[rows].tolist(), "data": planes}
        Python2Pickler(buffer, protocol=2).dump(batch)
        members[f"cifar-10-batches-py/{name}"] = buffer.getvalue().replace(b"cnumpy._core.", b"cnumpy.core.")
    write_tar(archive_path, members)


def write_npm(archive_path: Path, cifar10: Cifar10) -> None:
    images = np.concatenate([cifar10.train_images, cifar10.test_images])
    members = {
        "package/train_lables.json": json.dumps(cifar10.train_labels.tolist()).encode(),
        "package/test_lables.json": json.dumps(cifar10.test_labels.tolist()).encode(),
    }
    for k, name in enumerate(BATCHES):
        buffer = io.BytesIO()
        rows = images[k * PER_BATCH : (k + 1) * PER_BATCH].reshape(PER_BATCH, 1024, 3)
        Image.fromarray(rows).save(buffer, "PNG")
        members[f"package/{name}.png"] = buffer.getvalue()
    write_tar(archive_path, members)


def write_tar(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def write_pictures(folder: Path, count: int, seed: int = 0, size: tuple[int, int] = (20, 16)) -> None:
    """`count` PNGs of random pixels, 000.png and on."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    for k in range(count):
        pixels = generator.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{k:03d}.png")


def list_files(folder: Path) -> list[str]:
    """What lies in a folder but for locks."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")
