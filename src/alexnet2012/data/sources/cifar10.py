"""CIFAR-10 as a source: from a named folder, from data/downloads/, or fetched."""

from pathlib import Path

import numpy as np

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data import downloads
from alexnet2012.data.listing import Arrays
from alexnet2012.data.sources.draw import draw_per_class
from alexnet2012.data.sources.source import Source, as_list
from alexnet2012.errors import DataError

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR10_VAL_PER_CLASS = 500


def find_cifar10(
    dataset: DatasetConfig,
    downloads_folder: Path,
    ways: tuple[downloads.Way, ...] = downloads.WAYS,
    stall_s: float = downloads.STALL_S,
) -> Source:
    """45,000 / 5,000 / 10,000 images: val is 500 of each class drawn from the official training set with `split_seed`.

    A folder that the user named is the only place looked at; otherwise `downloads_folder`, then each way to fetch the
    files. Raises DataError with the reason why each of them failed.
    """
    if dataset.folder is not None:
        return _read_named_folder(Path(dataset.folder).expanduser(), dataset.split_seed)
    failures: list[str] = []
    if source := _first_readable(downloads_folder, dataset.split_seed, failures):
        return source
    for way in ways:
        print(f"CIFAR-10: trying {way.name} ...", flush=True)
        try:
            return _split_cifar10(downloads.fetch(way, downloads_folder, stall_s), dataset.split_seed)
        except DataError as error:
            failures.append(f"{way.name}: {error}")
            print(f"CIFAR-10: {failures[-1]}", flush=True)
    raise DataError(
        f"CIFAR-10 could not be had. Tried:\n{as_list(failures)}\nPut {_accepted_forms()} into {downloads_folder}, or "
        "name the folder that holds one of them as the dataset's folder in the configuration."
    )


def _read_named_folder(folder: Path, split_seed: int) -> Source:
    failures: list[str] = []
    if source := _first_readable(folder, split_seed, failures):
        return source
    raise DataError(
        f"CIFAR-10 was to be read from the folder {folder}, and could not be:\n{as_list(failures)}\n"
        f"Put {_accepted_forms()} there, or remove the dataset's folder from the configuration to have it downloaded."
    )


def _first_readable(folder: Path, split_seed: int, failures: list[str]) -> Source | None:
    forms = downloads.find_cached(folder)
    if not forms:
        failures.append(f"{folder}: holds none of {_accepted_forms()}")
    for path in forms:
        print(f"CIFAR-10: trying {path} ...", flush=True)
        try:
            return _split_cifar10(path, split_seed)
        except DataError as error:
            failures.append(str(error))
            print(f"CIFAR-10: {error}", flush=True)
    return None


def _accepted_forms() -> str:
    return f"{downloads.OFFICIAL_FOLDER}/, {downloads.OFFICIAL_ARCHIVE.file_name} or {downloads.NPM_ARCHIVE.file_name}"


def _split_cifar10(path: Path, split_seed: int) -> Source:
    import pyarrow as pa

    cifar10 = downloads.read_cifar10(path)
    kept, drawn = draw_per_class(cifar10.train_labels, CIFAR10_VAL_PER_CLASS, split_seed)
    train_names = np.array([f"official-train/{k:05d}" for k in range(len(cifar10.train_labels))])
    test_names = pa.array([f"official-test/{k:05d}" for k in range(len(cifar10.test_labels))], pa.string())
    splits = {
        name: Arrays(pa.array(train_names[rows], pa.string()), cifar10.train_labels[rows], cifar10.train_images[rows])
        for name, rows in (("train", kept), ("val", drawn))
    }
    splits["test"] = Arrays(test_names, cifar10.test_labels, cifar10.test_images)
    return Source(f"CIFAR-10 from {path.name}, content sha256 {cifar10.digest}", path, CIFAR10_CLASSES, splits)
