"""ILSVRC-2012 from its official tars or class folders; Kaggle's tree and the parquet shards have their own modules.

The tars of ILSVRC-2010 have the same structure: a tar of tars for training, flat tars of numbered images for the rest.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.listing import Checksum, Listing, Source, concatenate
from alexnet2012.data.sources import layouts
from alexnet2012.data.sources.arrange import (
    NAMED,
    arrange_numbered,
    arrange_train,
    arrange_withheld,
    label_by_number,
    refuse_contradictions,
    take_numbered,
)
from alexnet2012.data.sources.classes import Devkit, read_devkit
from alexnet2012.data.sources.folders import label_by_folder, list_tree
from alexnet2012.data.sources.image_names import WNID, list_some, numbers_of, stems_of
from alexnet2012.data.sources.kaggle import list_kaggle
from alexnet2012.data.sources.parquet import list_parquet
from alexnet2012.data.sources.tars import list_inner_tars, walk_inner_tars, walk_tar
from alexnet2012.data.sources.verify import ILSVRC2012, verify
from alexnet2012.errors import DataError

MD5 = {
    layouts.TRAIN_2012: "1d675b47d978889d74fa0da5fadfb00e",
    layouts.VAL_2012: "29b22e2961454d5413ddabcf34fc5622",
    layouts.DEVKIT_2012: "fa75699e90414af021442c21a62c3abf",
    layouts.TESTS_2012[0]: "e1b8681fff3d63731c599df9b4b6fc02",
}


def find_ilsvrc2012(dataset: DatasetConfig) -> Source:
    """All images in canonical order, which is the same for every layout; test, if present, has withheld labels.

    Raises DataError if images are missing (unless `complete` is false) or labels contradict each other.
    """
    folder = layouts.source_folder(dataset)
    layout, archives = layouts.choose_layout(folder, dataset.layout), [layouts.DEVKIT_2012]
    if layout == "tars":
        devkit, archives = read_devkit(folder / layouts.DEVKIT_2012, layouts.EDITION_2012), [*MD5]
        source = _with_devkit(_list_tars(folder, devkit), devkit)
    else:
        source = {"kaggle": list_kaggle, "parquet": list_parquet, "folder": _list_folders}[layout](folder)
        if (folder / layouts.DEVKIT_2012).is_file():
            source = _with_devkit(source, read_devkit(folder / layouts.DEVKIT_2012, layouts.EDITION_2012))
    there = [name for name in archives if (folder / name).is_file()]
    source = replace(source, checksums=tuple(Checksum(folder / name, MD5[name]) for name in there))
    return verify(source, ILSVRC2012, dataset.complete)


def list_train_tar(archive: Path, classes: tuple[str, ...]) -> Listing:
    """The training images of a tar of tars; inner tars that are unusable or of no class are differences."""
    tars, problems, others = list_inner_tars(archive)
    pieces, differences = [], []
    if unusable := [f"{tar.name} ({tar.fault})" for tar in tars if tar.fault]:
        differences.append(
            f"train: {len(unusable):,} members of {archive.name} are named like the tars of classes and cannot be "
            f"read: {list_some(unusable)}"
        )
    usable = [tar for tar in tars if not tar.fault]
    if not usable:
        raise DataError(
            f"{archive} holds no nXXXXXXXX.tar, though a tar of them, one for each class, was expected. "
            f"{''.join(f'{line}. ' for line in differences)}Use the official archive."
        )
    label_of = {wnid: label for label, wnid in enumerate(classes)}
    for wnid, images in walk_inner_tars(usable, archive.parent, archive.name, others):
        if wnid in label_of:
            pieces.append(images.put(label=label_of[wnid]))
        else:
            pieces.append(images.take(np.arange(0)))  # no images, only its problems
            differences.append(f"train: {wnid}.tar, {len(images):,} images, is of no class of the edition")
    train = concatenate(pieces).note(*differences)
    return arrange_train(replace(train, problems=(*problems, *train.problems)), classes)


def list_numbered_tar(
    archive: Path, split: str, edition: str, classes: tuple[str, ...], truth: np.ndarray, where: str
) -> Listing:
    """The numbered images of a flat tar. `truth` has the label of number n at index n - 1; messages call it `where`.

    Raises DataError for an image number beyond the truth, and for an image whose name contradicts its label.
    """
    images = take_numbered(walk_tar(archive), split, edition)
    highest = numbers_of(stems_of(images.names)).max(initial=0)
    if highest > len(truth):
        raise DataError(
            f"{where} has {len(truth):,} lines, but {archive} holds image number {highest:,}; line n is the label of "
            "image n. Fetch both again."
        )
    return arrange_numbered(label_by_number(images, truth, where), split, classes)


def compare_length(images: Listing, truth: np.ndarray, where: str, expected: int) -> Listing:
    """The images, with a difference if the ground truth does not have `expected` lines."""
    if len(truth) == expected:
        return images
    return images.note(f"{where} has {len(truth):,} lines; {expected:,} were expected")


def _list_tars(folder: Path, devkit: Devkit) -> Source:
    truth, where = devkit.val_truth, devkit.truth_name
    # Val first, because listing the training images takes minutes.
    val = list_numbered_tar(folder / layouts.VAL_2012, "val", layouts.EDITION_2012, devkit.classes, truth, where)
    splits = {"train": list_train_tar(folder / layouts.TRAIN_2012, devkit.classes), "val": val}
    for archive in [folder / name for name in layouts.TESTS_2012 if (folder / name).is_file()][:1]:
        splits["test"] = arrange_withheld(walk_tar(archive), layouts.EDITION_2012)
    return Source(f"ILSVRC-2012 from the official tars in {folder}", folder, devkit.classes, splits)


def _list_folders(folder: Path) -> Source:
    names = sorted(path.name for path in (folder / "train").iterdir() if path.is_dir() and path.name[0] != ".")
    classes = tuple(name for name in names if WNID.fullmatch(name))
    train, val = (
        label_by_folder(list_tree(folder, folder / split), f"{split}/", classes, split) for split in ("train", "val")
    )
    if strangers := [name for name in names if name not in classes]:
        train = train.note(f"train: these folders are not named nXXXXXXXX as classes are: {list_some(strangers)}")
    splits = {
        "train": arrange_train(train, classes),
        "val": arrange_numbered(take_numbered(val, "val", layouts.EDITION_2012), "val", classes),
    }
    if (folder / "test").is_dir():
        splits["test"] = arrange_withheld(list_tree(folder, folder / "test"), layouts.EDITION_2012)
    return Source(f"ILSVRC-2012 from the class folders in {folder}", folder, classes, splits)


def _with_devkit(source: Source, devkit: Devkit) -> Source:
    """The source with official ids and counts of its classes from the devkit.

    Raises DataError if the devkit does not have a class or gives a validation image another label.
    """
    label_of = {wnid: label for label, wnid in enumerate(devkit.classes)}
    if strangers := [name for name in source.classes if name not in label_of]:
        raise DataError(
            f"{source.description}: {layouts.DEVKIT_2012} does not know the classes {list_some(strangers)}; they are "
            "no synsets of this edition. Remove them, or use kind: imagefolder."
        )
    labels = [label_of[wnid] for wnid in source.classes]
    val = source.splits["val"]
    _refuse_other_truth(val, source.classes, np.array(labels, np.int64), devkit)
    val = compare_length(val, devkit.val_truth, devkit.truth_name, ILSVRC2012.counts["val"])
    return replace(
        source,
        splits=source.splits | {"val": val},
        official_ids=tuple(devkit.official_ids[label] for label in labels),
        train_counts=devkit.train_counts[labels],
    )


def _refuse_other_truth(val: Listing, classes: tuple[str, ...], labels: np.ndarray, devkit: Devkit) -> None:
    """Raise DataError if a validation image is of another class than the devkit says; `labels`: the devkit's labels of
    `classes`."""
    numbers = numbers_of(val.names)
    known = np.flatnonzero((numbers >= 1) & (numbers <= len(devkit.val_truth)))
    truth = devkit.val_truth[numbers[known] - 1]
    odd = np.flatnonzero(labels[val.labels[known]] != truth)
    lines = [
        f"{val.names[row]} is labelled {classes[val.labels[row]]}, but {devkit.classes[truth[k]]} by the devkit"
        for k, row in zip(odd[:NAMED], known[odd], strict=False)
    ]
    heading = f"{len(odd):,} validation images have other labels than {devkit.truth_name} gives them"
    refuse_contradictions(heading, lines, len(odd), "One of the two is wrong; fetch them again.")
