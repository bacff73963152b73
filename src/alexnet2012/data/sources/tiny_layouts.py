"""Where the files of Tiny ImageNet lie, and which of them are missing: names only, nothing is opened."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

FOLDER = "tiny-imagenet-200"
CLASSES = "wnids.txt"
ANNOTATIONS = "val/val_annotations.txt"
NEEDED = {"train": "the training images", "val": "the validation images", CLASSES: "the 200 classes"}


@dataclass(frozen=True)
class Place:
    """One layout of Tiny ImageNet. `path`: the folder that holds train/ and val/."""

    layout: Literal["folder"]
    path: Path


def find_place(folder: Path) -> Place | None:
    """The layout that lies in `folder`, or that it is itself; None where there is none."""
    for place in (folder, folder / FOLDER):
        if any((place / name).exists() for name in ("train", CLASSES)):
            return Place("folder", place)
    return None


def check_tiny_imagenet(folder: Path) -> list[str]:
    """A sentence for each file or folder that is missing; empty when all are there."""
    if not folder.exists():
        return [f"{folder} does not exist; name the folder that holds {FOLDER}/"]
    place = find_place(folder)
    if place is None:
        return [f"{folder} holds no Tiny ImageNet: {FOLDER}/ or its train/ and {CLASSES} were expected there"]
    missing = [
        f"{place.path / name} is missing: {what}" for name, what in NEEDED.items() if not (place.path / name).exists()
    ]
    if (place.path / "val" / "images").is_dir() and not (place.path / ANNOTATIONS).is_file():
        missing.append(f"{place.path / ANNOTATIONS} is missing: the labels of val/images/")
    return missing
