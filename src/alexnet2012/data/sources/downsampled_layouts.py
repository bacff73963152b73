"""Where the batches of downsampled ImageNet lie, and which of them are missing: names only, nothing is opened."""

import re
from collections import defaultdict
from pathlib import Path

VAL = "val_data"
TRAIN = tuple(f"train_data_batch_{number}" for number in range(1, 11))
CLASS_MAP = "map_clsloc.txt"
BATCH_FILE = re.compile(r"(train_data_batch_\d+|val_data)(\.npz)?", re.ASCII)


def find_batches(folder: Path) -> dict[str, list[Path]]:
    """The files of each batch, pickles or npz, in `folder` and in the folders in it, by the batch's name."""
    found = defaultdict(list)
    for path in sorted([*folder.glob("*"), *folder.glob("*/*")]):
        match = BATCH_FILE.fullmatch(path.name)
        if match and path.is_file():
            found[match[1]].append(path)
    return dict(found)


def find_class_map(folder: Path) -> Path | None:
    """The file of the classes' numbers, in `folder` or beside a batch."""
    places = [folder, *(path.parent for paths in find_batches(folder).values() for path in paths)]
    return next((place / CLASS_MAP for place in places if (place / CLASS_MAP).is_file()), None)


def check_downsampled(folder: Path, complete: bool) -> list[str]:
    """A sentence for each batch that is missing, is there more than once, or is not of the release; empty when all is
    well.

    Without `complete` val_data and one training batch are enough.
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
    return wrong + _list_missing(folder, found, complete)


def _list_missing(folder: Path, found: dict[str, list[Path]], complete: bool) -> list[str]:
    missing = [name for name in (*TRAIN, VAL) if name not in found]
    if not complete and any(name in found for name in TRAIN):
        missing = [name for name in missing if name == VAL]
    archives = ", ".join(path.name for path in sorted(folder.glob("Imagenet*.zip")))
    unpack = f"; unpack {archives}, or those of them that hold it" if archives else ""
    if not found:
        return [f"{folder} holds none of {TRAIN[0]} to {TRAIN[-1]} and {VAL}, with or without .npz{unpack}"]
    return [f"{folder / name} is missing, with or without .npz, there or in a folder of it{unpack}" for name in missing]
