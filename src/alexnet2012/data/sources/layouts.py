"""Paths of the files of ILSVRC's editions and of ImageNet's releases, and which are missing; no file is opened."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from alexnet2012.config.datasets import DatasetConfig

EDITION_2010, EDITION_2012 = "ILSVRC2010", "ILSVRC2012"  # as in the names of files and images
TRAIN_2012 = "ILSVRC2012_img_train.tar"
VAL_2012 = "ILSVRC2012_img_val.tar"
TESTS_2012 = ("ILSVRC2012_img_test_v10102019.tar", "ILSVRC2012_img_test.tar")
DEVKIT_2012 = "ILSVRC2012_devkit_t12.tar.gz"
TRAIN_2010, VAL_2010, TEST_2010 = (f"ILSVRC2010_images_{split}.tar" for split in ("train", "val", "test"))
DEVKIT_2010 = "ILSVRC2010_devkit-1.0.tar.gz"
TEST_TRUTH_2010 = "ILSVRC2010_test_ground_truth.txt"
PATCHES_2010 = "patch_images.tar"
PARQUET_SPLITS = ("train", "validation", "test")
KAGGLE_IMAGES = Path("Data") / "CLS-LOC"
KAGGLE_MAPPING = "LOC_synset_mapping.txt"
KAGGLE_VAL = "LOC_val_solution.csv"
KAGGLE_TRAIN = "LOC_train_solution.csv"

TARS_2012 = {
    TRAIN_2012: "the training images",
    VAL_2012: "the validation images",
    DEVKIT_2012: "the classes and the validation labels",
}
TARS_2010 = {
    TRAIN_2010: "the training images",
    VAL_2010: "the validation images",
    TEST_2010: "the test images",
    DEVKIT_2010: "the classes and the validation labels",
    TEST_TRUTH_2010: "the test labels, a download of its own",
}
SHARD = re.compile(r".*-(\d+)-of-(\d+)(?:-\w+)?\.parquet")  # some copies add a hash: train-00000-of-00294-a1b2
LISTED = 20


@dataclass(frozen=True)
class Shards:
    """The parquet shards of a split, sorted by name. `wrong`: a sentence if they belong to several sets; `missing`: a
    sentence if some are missing.
    """

    paths: tuple[Path, ...]
    wrong: str = ""
    missing: str = ""


class Layout(NamedTuple):
    """The files of one layout in a folder: those that mark it, and a sentence for each missing one."""

    marks: list[str]
    missing: list[str]


def source_folder(dataset: DatasetConfig) -> Path:
    """The dataset's folder, with ~ expanded."""
    return Path(str(dataset.folder)).expanduser()


def check_ilsvrc2010(folder: Path) -> list[str]:
    """A sentence for each missing file."""
    return _find_files(folder, TARS_2010).missing


def check_ilsvrc2012(folder: Path, layout: str, complete: bool) -> list[str]:
    """A sentence for each file missing from `layout`; for auto, from the only layout in `folder`, or sentences on the
    layouts if there is not exactly one."""
    if layout != "auto":
        return LAYOUTS_2012[layout](folder, complete).missing
    looked = {name: look(folder, complete) for name, look in LAYOUTS_2012.items()}
    present = [name for name, found in looked.items() if found.marks]
    if len(present) == 1:
        return looked[present[0]].missing
    if present:
        found = "; ".join(f"{name} ({', '.join(looked[name].marks)})" for name in present)
        return [f"{folder} holds ILSVRC-2012 in several layouts: {found}; set layout: to the one that is to be read"]
    return [
        f"layout {name}, looked for in {folder}: {'; '.join(found.missing)} (set layout: {name} if it is this one)"
        for name, found in looked.items()
    ]


def check_release(folder: Path, class_list: Path) -> list[str]:
    """A sentence if the list of classes is missing, and one if there is no tar."""
    missing = []
    if class_list.is_dir():
        missing.append(f"the class list {class_list} is a folder; name a file with a WordNet id on each of its lines")
    elif not class_list.is_file():
        missing.append(f"the class list {class_list} does not exist; write a WordNet id on each of its lines")
    if next(folder.rglob("*.tar"), None) is None:
        missing.append(f"{folder} holds no .tar; the release's nXXXXXXXX.tar were expected there or in its sub-folders")
    return missing


def choose_layout(folder: Path, layout: str) -> str:
    """The configured layout; for auto, the one that `folder` has (`check_source` makes sure that there is one)."""
    return (
        layout if layout != "auto" else next(name for name, look in LAYOUTS_2012.items() if look(folder, False).marks)
    )


def kaggle_root(folder: Path) -> Path:
    """The folder that holds Data/CLS-LOC: `folder`, or the ILSVRC/ in it."""
    return folder if (folder / KAGGLE_IMAGES).is_dir() else folder / "ILSVRC"


def kaggle_table(folder: Path, name: str) -> Path:
    """The path of Kaggle's file `name`, beside ILSVRC/ or, in some copies, in it."""
    root = kaggle_root(folder)
    return next((place / name for place in (root.parent, root) if (place / name).is_file()), root.parent / name)


def find_shards(folder: Path, split: str) -> Shards:
    """The split's shards in `folder`/data or in `folder`."""
    within, beside = (tuple(sorted(place.glob(f"{split}-*.parquet"))) for place in (folder / "data", folder))
    if within and beside:
        return Shards(within, f"{split}-*.parquet lie in {folder} as well as in its data/; remove one of the two sets")
    paths = within or beside
    path_of: dict[tuple[int | str, int | None], Path] = {}  # by number of the shard and number of shards
    for path in paths:
        match = SHARD.fullmatch(path.name)
        key = (int(match[1]), int(match[2])) if match else (path.name, None)
        of_same_number = path_of.setdefault(key, path)
        other = next((other for (_, total), other in path_of.items() if total != key[1]), of_same_number)
        if other != path:
            both = f"{other.name} and {path.name}"
            return Shards(paths, f"{path.parent} holds shards of two sets, such as {both}; remove those of one set")
    total = next((total for _, total in path_of), None)
    missing = [number for number in range(total or 0) if (number, total) not in path_of]
    if not missing:
        return Shards(paths)
    more = f" and {len(missing) - LISTED:,} more" if len(missing) > LISTED else ""
    named = ", ".join(map(str, missing[:LISTED])) + more
    place = f"{paths[0].parent}/{split}-*-of-{total:05d}.parquet"
    return Shards(paths, missing=f"{place}: {len(missing):,} of {total:,} shards are missing: {named}")


def lack_shards(folder: Path, split: str, shards: Shards, complete: bool) -> list[str]:
    """A sentence for each reason why the shards of a split cannot be read."""
    lacking = [] if shards.paths else [f"{folder / 'data' / split}-*.parquet are missing"]
    if shards.wrong:
        lacking.append(shards.wrong)
    if shards.missing and complete:
        lacking.append(f"{shards.missing}; fetch them, or set complete: false to accept the images that are there")
    return lacking


def _find_files(folder: Path, needed: dict[str, str]) -> Layout:
    marks = [name for name in needed if (folder / name).is_file()]
    return Layout(marks, [f"{folder / name} is missing: {needed[name]}" for name in needed if name not in marks])


def _find_tars(folder: Path, complete: bool) -> Layout:
    marks, missing = _find_files(folder, TARS_2012)
    # The devkit does not mark this layout: it may lie beside any other to provide the official ids.
    return Layout([mark for mark in marks if mark != DEVKIT_2012], missing)


def _find_kaggle(folder: Path, complete: bool) -> Layout:
    images = kaggle_root(folder) / KAGGLE_IMAGES
    missing = [f"{images / name}/ is missing" for name in ("train", "val") if not (images / name).is_dir()]
    for name, what in ((KAGGLE_MAPPING, "the classes"), (KAGGLE_VAL, "the validation labels")):
        if not (table := kaggle_table(folder, name)).is_file():
            missing.append(f"{table} is missing: {what}")
    return Layout([str(images.relative_to(folder))] if images.is_dir() else [], missing)


def _find_parquet(folder: Path, complete: bool) -> Layout:
    marks, missing = [], []
    for split in PARQUET_SPLITS:
        shards = find_shards(folder, split)
        if split == "test" and not shards.paths:
            continue
        if split != "test" and shards.paths:
            marks.append(f"{shards.paths[0].relative_to(folder)}, ...")
        missing += lack_shards(folder, split, shards, complete)
    return Layout(marks, missing)


def _find_folders(folder: Path, complete: bool) -> Layout:
    there = [name for name in ("train", "val") if (folder / name).is_dir()]
    missing = [f"{folder / name}/ is missing" for name in ("train", "val") if name not in there]
    return Layout([f"{name}/" for name in there], missing)


LAYOUTS_2012 = {"tars": _find_tars, "kaggle": _find_kaggle, "parquet": _find_parquet, "folder": _find_folders}
