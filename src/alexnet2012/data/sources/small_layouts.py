"""Paths of the files of Tiny ImageNet and downsampled ImageNet, and which are missing; no file is opened."""

import re
from collections import defaultdict
from pathlib import Path
from typing import Literal, NamedTuple

from alexnet2012.data.sources.layouts import Shards, find_shards, lack_shards

FOLDER = "tiny-imagenet-200"
ARCHIVE = "tiny-imagenet-200.zip"
ADDRESS = f"http://cs231n.stanford.edu/{ARCHIVE}"
CLASSES = "wnids.txt"
ANNOTATIONS = "val/val_annotations.txt"
NEEDED = {"train": "the training images", "val": "the validation images", CLASSES: "the 200 classes"}
VAL_SHARDS = ("valid", "validation", "val")  # names of the val shards in different copies
ACCEPTED = (
    f"{ARCHIVE} ({ADDRESS}), its folder {FOLDER}/, or the shards data/*.parquet of a Hugging Face copy "
    "(zh-plus/tiny-imagenet, Maysee/tiny-imagenet)"
)

VAL = "val_data"
TRAIN = tuple(f"train_data_batch_{number}" for number in range(1, 11))
CLASS_MAP = "map_clsloc.txt"
BATCH_FILE = re.compile(r"(train_data_batch_\d+|val_data)(\.npz)?", re.ASCII)


class Place(NamedTuple):
    """A copy of Tiny ImageNet. `path`: the archive, the folder with train/ and val/, or the folder with the shards."""

    layout: Literal["zip", "folder", "parquet"]
    path: Path


def find_tiny_imagenet_in(folder: Path) -> Place | None:
    """The copy of Tiny ImageNet in `folder`, or at this path itself; None if there is none."""
    if folder.is_file():
        return Place("zip", folder) if folder.suffix.lower() == ".zip" else None
    if (folder / "train").is_dir():
        return Place("folder", folder)
    if (folder / ARCHIVE).is_file():
        return Place("zip", folder / ARCHIVE)
    if (folder / FOLDER).is_dir():
        return Place("folder", folder / FOLDER)
    if any(find_shards(folder, split).paths for split in ("train", *VAL_SHARDS)):
        return Place("parquet", folder)
    return Place("folder", folder) if any((folder / name).exists() for name in NEEDED) else None


def check_tiny_imagenet(folder: Path, complete: bool) -> list[str]:
    """A sentence for each missing file or folder; empty if nothing is missing."""
    if not folder.exists():
        return [f"{folder} does not exist; name {ACCEPTED}, or remove the line to have the archive fetched"]
    place = find_tiny_imagenet_in(folder)
    if place is None:
        return [f"{folder} is none of these, and holds none of them: {ACCEPTED}"]
    layout, root = place
    if layout == "parquet":
        splits = (("train", find_shards(folder, "train")), find_val_shards(folder))
        return [line for split, shards in splits for line in lack_shards(folder, split, shards, complete)]
    if layout == "zip":
        return []
    missing = [f"{root / name} is missing: {what}" for name, what in NEEDED.items() if not (root / name).exists()]
    if (root / "val" / "images").is_dir() and not (root / ANNOTATIONS).is_file():
        missing.append(f"{root / ANNOTATIONS} is missing: the labels of val/images/")
    return missing


def find_val_shards(folder: Path) -> tuple[str, Shards]:
    """The name and the shards of Tiny ImageNet's val."""
    found = [(name, find_shards(folder, name)) for name in VAL_SHARDS]
    return next((each for each in found if each[1].paths), found[0])


def find_batches(folder: Path) -> dict[str, list[Path]]:
    """By batch name, its files (pickles or npz) in `folder` and its direct sub-folders."""
    found = defaultdict(list)
    for path in sorted([*folder.glob("*"), *folder.glob("*/*")]):
        match = BATCH_FILE.fullmatch(path.name)
        if match and path.is_file():
            found[match[1]].append(path)
    return dict(found)


def find_class_map(folder: Path) -> Path | None:
    """The path of map_clsloc.txt, in `folder` or beside a batch; None if there is none."""
    places = [folder, *(path.parent for paths in find_batches(folder).values() for path in paths)]
    return next((place / CLASS_MAP for place in places if (place / CLASS_MAP).is_file()), None)


def check_downsampled(folder: Path, complete: bool) -> list[str]:
    """A sentence for each batch that is missing, duplicate or not of the release; empty if there is none.

    Unless `complete`, val_data and one training batch are enough.
    """
    if not folder.is_dir():
        return [f"{folder} does not exist; name the folder that holds {TRAIN[0]} to {TRAIN[-1]} and {VAL}"]
    found = find_batches(folder)
    wrong = [
        f"{' and '.join(map(str, paths))} are the same batch; remove all but one of them"
        for paths in found.values()
        if len(paths) > 1
    ]
    wrong += [
        f"{paths[0]} is no batch of downsampled ImageNet, which has {TRAIN[0]} to {TRAIN[-1]} and {VAL}; remove it"
        for name, paths in found.items()
        if name not in (*TRAIN, VAL)
    ]
    missing = [name for name in (*TRAIN, VAL) if name not in found]
    if not complete and any(name in found for name in TRAIN):
        missing = [name for name in missing if name == VAL]
    archives = ", ".join(path.name for path in sorted(folder.glob("Imagenet*.zip")))
    unpack = f"; unpack {archives}, or those of them that hold it" if archives else ""
    if not found:
        return [f"{folder} holds none of {TRAIN[0]} to {TRAIN[-1]} and {VAL}, with or without .npz{unpack}"]
    advice = f"with or without .npz, there or in a folder of it{unpack}"
    return wrong + [f"{folder / name} is missing, {advice}" for name in missing]
