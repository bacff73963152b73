"""Where the files of each source lie, and which of them are missing: names only, in milliseconds, nothing is opened."""

from dataclasses import dataclass
from pathlib import Path

from alexnet2012.config.datasets import DOWNSAMPLED, RELEASES, TINY_IMAGENET, DatasetConfig
from alexnet2012.data.sources.downsampled_layouts import check_downsampled
from alexnet2012.data.sources.shards import find_shards
from alexnet2012.data.sources.tiny_layouts import check_tiny_imagenet
from alexnet2012.errors import ConfigError

EDITION_2010, EDITION_2012 = "ILSVRC2010", "ILSVRC2012"  # as their files and images are named
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


@dataclass(frozen=True)
class Found:
    """What of one layout lies in a folder: the files that mark it, and a sentence for each that is missing.

    `parts`: sentences on what a whole edition would need besides, but complete: false does not.
    """

    marks: tuple[str, ...]
    missing: tuple[str, ...]
    parts: tuple[str, ...] = ()

    def lacks(self, complete: bool) -> list[str]:
        return [*self.missing, *(self.parts if complete else ())]


def check_source(dataset: DatasetConfig) -> list[str]:
    """A sentence for each file or folder that the dataset needs and that is not there; empty when all are."""
    if dataset.folder is None:
        return []
    folder = source_folder(dataset)
    if dataset.kind == "cifar10":
        return [] if folder.exists() else [f"{folder} does not exist; CIFAR-10 was to be read from it"]
    if dataset.kind == TINY_IMAGENET:
        return check_tiny_imagenet(folder, dataset.complete)
    if not folder.is_dir():
        return [f"the folder {folder} does not exist; name an existing one as the dataset's folder"]
    if dataset.kind == "ilsvrc2010":
        return list(_find_files(folder, TARS_2010).missing)
    if dataset.kind == DOWNSAMPLED:
        return check_downsampled(folder, dataset.complete)
    if dataset.kind == "ilsvrc2012":
        return _check_2012(folder, dataset.layout, dataset.complete)
    if dataset.kind in RELEASES:
        return _check_release(folder, Path(str(dataset.class_list)).expanduser())
    return []


def refuse_place_of_packed(where: str, dataset: DatasetConfig, target: Path) -> None:
    """Raises ConfigError when the dataset's own images lie in `target`, a folder that packing replaces."""
    if dataset.folder is not None and source_folder(dataset).resolve().is_relative_to(target.resolve()):
        raise ConfigError(
            f"{where}: folder {dataset.folder} is where packed images go, and {target} is replaced; move the images to "
            "another place, and name that as the dataset's folder"
        )


def source_folder(dataset: DatasetConfig) -> Path:
    return Path(str(dataset.folder)).expanduser()


def choose_layout(folder: Path, layout: str) -> str:
    """The layout that the configuration names or, for auto, the one that is there, as check_source has found."""
    return layout if layout != "auto" else next(name for name, look in LAYOUTS_2012.items() if look(folder).marks)


def kaggle_root(folder: Path) -> Path:
    """The folder that holds Data/CLS-LOC: `folder`, or the ILSVRC/ in it."""
    return folder if (folder / KAGGLE_IMAGES).is_dir() else folder / "ILSVRC"


def kaggle_table(folder: Path, name: str) -> Path | None:
    """Kaggle's file `name`, which lies beside ILSVRC/ and that some copies move into it."""
    root = kaggle_root(folder)
    return next((place / name for place in (root.parent, root) if (place / name).is_file()), None)


def first_file(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _check_2012(folder: Path, layout: str, complete: bool) -> list[str]:
    if layout != "auto":
        return LAYOUTS_2012[layout](folder).lacks(complete)
    looked = {name: look(folder) for name, look in LAYOUTS_2012.items()}
    present = [name for name, found in looked.items() if found.marks]
    if len(present) == 1:
        return looked[present[0]].lacks(complete)
    if present:
        found = "; ".join(f"{name} ({', '.join(looked[name].marks)})" for name in present)
        return [f"{folder} holds ILSVRC-2012 in several layouts: {found}; set layout: to the one that is to be read"]
    return [
        f"layout {name}, looked for in {folder}: {'; '.join(found.missing)} (set layout: {name} if it is this one)"
        for name, found in looked.items()
    ]


def _check_release(folder: Path, class_list: Path) -> list[str]:
    missing = []
    if class_list.is_dir():
        missing.append(f"the class list {class_list} is a folder; name a file with a WordNet id on each of its lines")
    elif not class_list.is_file():
        missing.append(f"the class list {class_list} does not exist; write a WordNet id on each of its lines")
    if next(folder.rglob("*.tar"), None) is None:
        missing.append(f"{folder} holds no .tar; the release's nXXXXXXXX.tar were expected there or in its sub-folders")
    return missing


def _find_files(folder: Path, needed: dict[str, str]) -> Found:
    marks = tuple(name for name in needed if (folder / name).is_file())
    missing = (f"{folder / name} is missing: {what}" for name, what in needed.items() if name not in marks)
    return Found(marks, tuple(missing))


def _find_tars(folder: Path) -> Found:
    found = _find_files(folder, TARS_2012)
    # The devkit alone may lie beside any layout, to give the official ids.
    return Found(tuple(mark for mark in found.marks if mark != DEVKIT_2012), found.missing)


def _find_kaggle(folder: Path) -> Found:
    images = kaggle_root(folder) / KAGGLE_IMAGES
    missing = [f"{images / name}/ is missing" for name in ("train", "val") if not (images / name).is_dir()]
    for name, what in ((KAGGLE_MAPPING, "the classes"), (KAGGLE_VAL, "the validation labels")):
        if kaggle_table(folder, name) is None:
            missing.append(f"{kaggle_root(folder).parent / name} is missing: {what}")
    return Found((str(images.relative_to(folder)),) if images.is_dir() else (), tuple(missing))


def _find_parquet(folder: Path) -> Found:
    needed = ("train", "validation")
    shards = {split: find_shards(folder, split) for split in PARQUET_SPLITS}
    missing = [f"{folder / 'data' / split}-*.parquet are missing" for split in needed if not shards[split].paths]
    mixed = (found.mixed for found in shards.values() if found.mixed)
    marks = (f"{shards[split].paths[0].relative_to(folder)}, ..." for split in needed if shards[split].paths)
    parts = (
        f"{found.missing}; fetch them, or set complete: false to accept the images that are there"
        for found in shards.values()
        if found.missing
    )
    return Found(tuple(marks), (*missing, *mixed), tuple(parts))


def _find_folders(folder: Path) -> Found:
    there = [name for name in ("train", "val") if (folder / name).is_dir()]
    missing = (f"{folder / name}/ is missing" for name in ("train", "val") if name not in there)
    return Found(tuple(f"{name}/" for name in there), tuple(missing))


LAYOUTS_2012 = {"tars": _find_tars, "kaggle": _find_kaggle, "parquet": _find_parquet, "folder": _find_folders}
