"""A folder of class folders of image files as a source."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.decode import IMAGE_FORMATS
from alexnet2012.data.listing import Listing, Problem
from alexnet2012.data.packed import SPLITS
from alexnet2012.data.sources.draw import draw_fractions
from alexnet2012.data.sources.names import as_text, list_some
from alexnet2012.data.sources.rows import Files, Rows
from alexnet2012.data.sources.source import Source, as_list
from alexnet2012.data.sources.trees import holds, list_tree
from alexnet2012.errors import DataError


def scan_image_folder(dataset: DatasetConfig) -> Source:
    """Images from `train/<class>/`, `val/<class>/`, `test/<class>/`, or from `<class>/` folders alone.

    A split that has no folder is drawn from the training images, class by class, with `split_seed`. Order: by class,
    then by file name. Raises DataError when a class is empty, missing from a split, too small to be split, or has
    images in sub-folders.
    """
    folder = Path(str(dataset.folder)).expanduser()
    if not folder.is_dir():
        raise DataError(f"The image folder {folder} does not exist; name an existing one as the dataset's folder.")
    given = [name for name in SPLITS if (folder / name).is_dir()]
    if given and "train" not in given:
        raise DataError(f"{folder} has {given[0]}/ but no train/; name the folder of training images train/.")
    roots = {name: folder / name for name in given} or {"train": folder}
    found = {name: _scan_classes(folder, root) for name, root in roots.items()}
    _refuse_differing_classes(folder, {name: split.classes for name, split in found.items()})
    fractions = {"val": dataset.val_fraction, "test": dataset.test_fraction}
    drawn = {name: fraction for name, fraction in fractions.items() if name not in found}
    train = found["train"]
    rows = {name: np.arange(len(split.images)) for name, split in found.items()}
    rows |= draw_fractions(train.images.labels, train.classes, drawn, dataset.split_seed)
    splits = {name: _list_rows(found.get(name, train), rows[name]) for name in SPLITS}
    how = ", ".join(f"{name} {'drawn from train' if name in drawn else 'as given'}" for name in ("val", "test"))
    return Source(
        description=f"image files of {dataset.folder} ({how})",
        folder=folder,
        classes=train.classes,
        splits=splits,
        problems=tuple(problem for split in found.values() for problem in split.problems),
    )


@dataclass(frozen=True, eq=False)
class _Folder:
    """The images of `train/`, `val/` or `test/`, class by class and by name; labels number `classes`."""

    classes: tuple[str, ...]
    images: Rows
    files: Files
    problems: tuple[Problem, ...]


def _scan_classes(folder: Path, root: Path) -> _Folder:
    with os.scandir(root) as entries:
        names = sorted(entry.name for entry in entries if holds(entry.is_dir) and not entry.name.startswith("."))
    if not names:
        raise DataError(f"{root} holds no class folders; put the images of each class into a folder of its own there.")
    classes = tuple(as_text(os.fsencode(name)) for name in names)
    tree = list_tree(folder, root, _is_image)
    below = "" if root == folder else f"{root.name}/"
    parts = [path.removeprefix(below).split("/") for path in tree.rows.paths.to_pylist()]
    _refuse_deep_images(root, ["/".join(part) for part in parts if len(part) > 2])
    if loose := [part[0] for part in parts if len(part) == 1]:
        named = list_some(loose)
        print(f"{root}: {len(loose):,} images lie beside the class folders and are left out: {named}", flush=True)
    label_of = {name: label for label, name in enumerate(classes)}
    rows = np.array([k for k, part in enumerate(parts) if len(part) == 2], np.int64)
    labels = np.array([label_of[part[0]] for part in parts if len(part) == 2], np.int64)
    counts = np.bincount(labels, minlength=len(classes))
    if empty := [classes[label] for label in np.flatnonzero(counts == 0).tolist()]:
        raise DataError(
            f"{root}: these classes have no image ({', '.join(IMAGE_FORMATS)}): {', '.join(empty)}. "
            "Add images to them or remove their folders."
        )
    return _Folder(classes, replace(tree.rows.take(rows), labels=labels), tree.files, tree.problems)


def _is_image(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in IMAGE_FORMATS  # noqa: PTH122 (a Path for each of millions is slow)


def _refuse_deep_images(root: Path, deep: list[str]) -> None:
    if deep:
        raise DataError(
            f"{root}: {len(deep):,} images lie in sub-folders of class folders: {list_some(deep)}. The folder of a "
            "class must hold its images directly; move them there or remove the sub-folders."
        )


def _refuse_differing_classes(folder: Path, found: dict[str, tuple[str, ...]]) -> None:
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


def _list_rows(split: _Folder, rows: np.ndarray) -> Listing:
    """Each image is a file of its own, and the listing knows no other files."""
    images = split.images.take(rows)
    return Listing(
        files=split.files.paths.take(images.file),
        file=np.arange(len(rows), dtype=np.int32),
        offset=images.offset,
        size=images.size,
        names=images.paths,
        labels=images.labels,
    )
