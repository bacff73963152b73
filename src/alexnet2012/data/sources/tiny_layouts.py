"""Where the files of Tiny ImageNet lie, and which of them are missing: names only, nothing is opened."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from alexnet2012.data.sources.shards import Shards, find_shards

FOLDER = "tiny-imagenet-200"
ARCHIVE = "tiny-imagenet-200.zip"
ADDRESS = f"http://cs231n.stanford.edu/{ARCHIVE}"
CLASSES = "wnids.txt"
ANNOTATIONS = "val/val_annotations.txt"
NEEDED = {"train": "the training images", "val": "the validation images", CLASSES: "the 200 classes"}
VAL_SHARDS = ("valid", "validation", "val")  # what copies call their shards of val
ACCEPTED = (
    f"{ARCHIVE} ({ADDRESS}), its folder {FOLDER}/, or the shards data/*.parquet of a Hugging Face copy "
    "(zh-plus/tiny-imagenet, Maysee/tiny-imagenet)"
)


@dataclass(frozen=True)
class Place:
    """One layout of Tiny ImageNet. `path`: the archive, the folder of train/ and val/, or that of the shards."""

    layout: Literal["zip", "folder", "parquet"]
    path: Path


def find_place(folder: Path) -> Place | None:
    """The layout that lies in `folder`, or that it is itself; None where there is none."""
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
    """A sentence for each file or folder that is missing; empty when all are there."""
    if not folder.exists():
        return [f"{folder} does not exist; name {ACCEPTED}, or remove the line to have the archive fetched"]
    place = find_place(folder)
    if place is None:
        return [f"{folder} is none of these, and holds none of them: {ACCEPTED}"]
    if place.layout == "folder":
        return _check_folder(place.path)
    return _check_shards(place.path, complete) if place.layout == "parquet" else []


def find_val_shards(folder: Path) -> tuple[str, Shards]:
    """What the shards of val are called, and which there are."""
    found = [(name, find_shards(folder, name)) for name in VAL_SHARDS]
    return next((each for each in found if each[1].paths), found[0])


def _check_folder(root: Path) -> list[str]:
    missing = [f"{root / name} is missing: {what}" for name, what in NEEDED.items() if not (root / name).exists()]
    if (root / "val" / "images").is_dir() and not (root / ANNOTATIONS).is_file():
        missing.append(f"{root / ANNOTATIONS} is missing: the labels of val/images/")
    return missing


def _check_shards(folder: Path, complete: bool) -> list[str]:
    missing = []
    for split, shards in (("train", find_shards(folder, "train")), find_val_shards(folder)):
        if not shards.paths:
            missing.append(f"{folder / 'data' / split}-*.parquet are missing")
        if shards.mixed:
            missing.append(shards.mixed)
        if shards.missing and complete:
            missing.append(f"{shards.missing}; fetch them, or set complete: false to accept the images that are there")
    return missing
