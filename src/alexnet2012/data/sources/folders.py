"""A folder of class folders of image files as a source."""

import os
from pathlib import Path

import numpy as np

from alexnet2012.data.decode import IMAGE_FORMATS
from alexnet2012.data.listing import Listing
from alexnet2012.data.packed import SPLITS
from alexnet2012.data.sources.draw import count_splits, draw_splits, share_of
from alexnet2012.data.sources.source import Source, as_list
from alexnet2012.dataset_config import DatasetConfig
from alexnet2012.errors import DataError


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
            f"{folder}: every split must have the classes of train/, but\n{as_list(differences)}\n"
            "Make the class folders the same in every split."
        )


def _draw_splits(
    train: dict[str, list[str]], fractions: dict[str, float], seed: int
) -> dict[str, dict[str, list[str]]]:
    """The splits of `fractions`, and train without them; at least one image of each class in each."""
    generator = np.random.default_rng(seed)
    splits: dict[str, dict[str, list[str]]] = {name: {} for name in ("train", *fractions)}
    for class_name, files in train.items():
        counts = count_splits(len(files), fractions)
        if counts is None:
            wanted = ", ".join(f"{share_of(len(files), fraction)} for {name}" for name, fraction in fractions.items())
            raise DataError(
                f"Class {class_name} has only {len(files)} images: with {wanted} none would be left for train. Add "
                "images to it, remove it, or lower val_fraction and test_fraction."
            )
        for name, rows in draw_splits(len(files), counts, generator).items():
            splits[name][class_name] = [files[k] for k in rows.tolist()]
    return splits


def _flatten(folder: Path, root: Path, classes: dict[str, list[str]]) -> Listing:
    import pyarrow as pa

    prefix = "" if root == folder else f"{root.name}/"
    names = [f"{prefix}{name}/{file}" for name, files in classes.items() for file in files]
    # A file name that is not UTF-8 keeps its bytes: Arrow's strings hold no others, its binaries hold all.
    paths = pa.array([os.fsencode(name) for name in names], pa.binary())
    count = len(names)
    return Listing(
        files=paths,
        file=np.arange(count, dtype=np.int32),
        offset=np.zeros(count, dtype=np.int64),
        size=np.array([(folder / name).stat().st_size for name in names], dtype=np.int64),
        names=pa.array([os.fsencode(name).decode("utf-8", "backslashreplace") for name in names], pa.string()),
        labels=np.repeat(np.arange(len(classes)), [len(files) for files in classes.values()]),
    )
