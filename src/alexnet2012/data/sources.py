"""Where images come from: CIFAR-10 as arrays, or a folder of image files; each with its splits in a canonical order."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alexnet2012.config import DatasetConfig
from alexnet2012.data import downloads
from alexnet2012.data.packed import SPLITS
from alexnet2012.errors import DataError

IMAGE_FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".bmp": "BMP",
    ".webp": "WEBP",
    ".ppm": "PPM",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR10_VAL_PER_CLASS = 500


@dataclass(frozen=True)
class SourceSplit:
    """One split before packing: names and labels (n,), and the images (n, s, s, 3) if they are no files to be read."""

    names: tuple[str, ...]
    labels: np.ndarray
    images: np.ndarray | None = None


@dataclass(frozen=True)
class Source:
    """What is to be packed; `names` of the splits are paths relative to `folder` where the images are files."""

    description: str
    folder: Path
    classes: tuple[str, ...]
    splits: dict[str, SourceSplit]


def find_source(dataset: DatasetConfig, downloads_folder: Path) -> Source:
    """The images that a configuration names. Raises DataError when they are missing or not what they should be."""
    if dataset.kind == "cifar10":
        return find_cifar10(dataset, downloads_folder)
    return scan_image_folder(dataset)


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
        f"CIFAR-10 could not be had. Tried:\n{_as_list(failures)}\nPut {_accepted_forms()} into {downloads_folder}, or "
        "name the folder that holds one of them as the dataset's folder in the configuration."
    )


def _read_named_folder(folder: Path, split_seed: int) -> Source:
    failures: list[str] = []
    if source := _first_readable(folder, split_seed, failures):
        return source
    raise DataError(
        f"CIFAR-10 was to be read from the folder {folder}, and could not be:\n{_as_list(failures)}\n"
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


def _as_list(lines: list[str]) -> str:
    return "\n".join(f"  - {line}" for line in lines)


def _split_cifar10(path: Path, split_seed: int) -> Source:
    cifar10 = downloads.read_cifar10(path)
    kept, drawn = draw_per_class(cifar10.train_labels, CIFAR10_VAL_PER_CLASS, split_seed)
    train_names = np.array([f"official-train/{k:05d}" for k in range(len(cifar10.train_labels))])
    test_names = tuple(f"official-test/{k:05d}" for k in range(len(cifar10.test_labels)))
    splits = {
        name: SourceSplit(tuple(train_names[rows].tolist()), cifar10.train_labels[rows], cifar10.train_images[rows])
        for name, rows in (("train", kept), ("val", drawn))
    }
    splits["test"] = SourceSplit(test_names, cifar10.test_labels, cifar10.test_images)
    return Source(f"CIFAR-10 from {path.name}, content sha256 {cifar10.digest}", path, CIFAR10_CLASSES, splits)


def draw_per_class(labels: np.ndarray, per_class: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers (kept, drawn), each ascending: `per_class` rows of every class are drawn by PCG64(seed)."""
    generator = np.random.default_rng(seed)
    classes = np.unique(labels)
    drawn = np.sort(np.concatenate([generator.permutation(np.flatnonzero(labels == c))[:per_class] for c in classes]))
    return np.setdiff1d(np.arange(len(labels)), drawn), drawn


def scan_image_folder(dataset: DatasetConfig) -> Source:
    """Images from `train/<class>/`, `val/<class>/`, `test/<class>/`, or from `<class>/` folders alone.

    A split that has no folder is drawn from the training images, class by class, with `split_seed`. Order: by class,
    then by file name. Raises DataError when a class is empty, missing from a split, or too small to be split.
    """
    folder = Path(str(dataset.folder)).expanduser()
    if not folder.is_dir():
        raise DataError(f"The image folder {folder} does not exist; name an existing one as the dataset's folder.")
    given = [name for name in SPLITS if (folder / name).is_dir()]
    if given and "train" not in given:
        raise DataError(f"{folder} has {given[0]}/ but no train/; name the folder of training images train/.")
    roots = {name: folder / name for name in given} or {"train": folder}
    found = {name: _scan_classes(root) for name, root in roots.items()}
    _refuse_differing_classes(folder, found)
    fractions = {"val": dataset.val_fraction, "test": dataset.test_fraction}
    drawn = {name: fraction for name, fraction in fractions.items() if name not in found}
    found |= _draw_splits(found["train"], drawn, dataset.split_seed)
    splits = {name: _flatten(folder, roots.get(name, roots["train"]), found[name]) for name in SPLITS}
    how = ", ".join(f"{name} {'drawn from train' if name in drawn else 'as given'}" for name in ("val", "test"))
    return Source(f"image files of {dataset.folder} ({how})", folder, tuple(found["train"]), splits)


def _scan_classes(root: Path) -> dict[str, list[str]]:
    """Class -> sorted file names."""
    with os.scandir(root) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    if not names:
        raise DataError(f"{root} holds no class folders; put the images of each class into a folder of its own there.")
    classes, ignored = {}, []
    for name in names:
        with os.scandir(root / name) as entries:
            files = [entry.name for entry in entries if not entry.name.startswith(".")]
        classes[name] = sorted(file for file in files if Path(file).suffix.lower() in IMAGE_FORMATS)
        ignored += [f"{name}/{file}" for file in files if Path(file).suffix.lower() not in IMAGE_FORMATS]
    if ignored:
        print(f"{root}: {len(ignored):,} entries are no images by their names, such as {min(ignored)}", flush=True)
    if empty := [name for name, files in classes.items() if not files]:
        raise DataError(
            f"{root}: these classes have no image ({', '.join(IMAGE_FORMATS)}): {', '.join(empty)}. "
            "Add images to them or remove their folders."
        )
    return classes


def _refuse_differing_classes(folder: Path, found: dict[str, dict[str, list[str]]]) -> None:
    expected = set(found["train"])
    differences = []
    for split, classes in found.items():
        if missing := sorted(expected - set(classes)):
            differences.append(f"{split}/ lacks {', '.join(missing)}")
        if added := sorted(set(classes) - expected):
            differences.append(f"{split}/ has {', '.join(added)}, which train/ has not")
    if differences:
        raise DataError(
            f"{folder}: every split must have the classes of train/, but\n{_as_list(differences)}\n"
            "Make the class folders the same in every split."
        )


def _draw_splits(
    train: dict[str, list[str]], fractions: dict[str, float], seed: int
) -> dict[str, dict[str, list[str]]]:
    """The splits of `fractions`, and train without them; at least one image of each class in each."""
    generator = np.random.default_rng(seed)
    splits: dict[str, dict[str, list[str]]] = {name: {} for name in ("train", *fractions)}
    for class_name, files in train.items():
        counts = {name: max(1, int(fraction * len(files) + 0.5)) for name, fraction in fractions.items()}
        if sum(counts.values()) >= len(files):
            wanted = ", ".join(f"{count} for {name}" for name, count in counts.items())
            raise DataError(
                f"Class {class_name} has only {len(files)} images: with {wanted} none would be left for train. Add "
                "images to it, remove it, or lower val_fraction and test_fraction."
            )
        order = generator.permutation(len(files)).tolist()
        for name, count in counts.items():
            splits[name][class_name] = [files[k] for k in sorted(order[:count])]
            order = order[count:]
        splits["train"][class_name] = [files[k] for k in sorted(order)]
    return splits


def _flatten(folder: Path, root: Path, classes: dict[str, list[str]]) -> SourceSplit:
    prefix = "" if root == folder else f"{root.name}/"
    names = tuple(f"{prefix}{name}/{file}" for name, files in classes.items() for file in files)
    labels = np.repeat(np.arange(len(classes)), [len(files) for files in classes.values()])
    return SourceSplit(names, labels)
