"""ILSVRC-2012 from its official tars or class folders; Kaggle's tree and the parquet shards have their own modules."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.sources import layouts
from alexnet2012.data.sources.devkit import Devkit, read_devkit
from alexnet2012.data.sources.ilsvrc import list_numbered_tar, list_train_tar, list_withheld_tar, list_withheld_tree
from alexnet2012.data.sources.kaggle import list_kaggle
from alexnet2012.data.sources.labels import Truth, refuse_other_truth
from alexnet2012.data.sources.names import WNID, list_some
from alexnet2012.data.sources.parquet import list_parquet
from alexnet2012.data.sources.rows import arrange_numbered, arrange_train, refuse_added_wnids
from alexnet2012.data.sources.source import Checksum, Source
from alexnet2012.data.sources.trees import label_by_folder, list_tree
from alexnet2012.data.sources.verify import ILSVRC2012, Inventory, verify
from alexnet2012.errors import DataError

MD5 = {
    layouts.TRAIN_2012: "1d675b47d978889d74fa0da5fadfb00e",
    layouts.VAL_2012: "29b22e2961454d5413ddabcf34fc5622",
    layouts.DEVKIT_2012: "fa75699e90414af021442c21a62c3abf",
    layouts.TESTS_2012[0]: "e1b8681fff3d63731c599df9b4b6fc02",
}


def find_ilsvrc2012(dataset: DatasetConfig) -> Source:
    """Every image in canonical order, whatever the layout; test, if there, with withheld labels.

    Raises DataError when images are missing (unless `complete` is false) or labels contradict each other.
    """
    folder = layouts.source_folder(dataset)
    readers: dict[str, Callable[[Path], Inventory]] = {
        "tars": _list_tars,
        "kaggle": list_kaggle,
        "parquet": list_parquet,
        "folder": _list_folders,
    }
    layout = layouts.choose_layout(folder, dataset.layout)
    found = readers[layout](folder)
    if layout != "tars":
        found = _with_devkit(found)
    return verify(found, ILSVRC2012, dataset.complete)


def _list_tars(folder: Path) -> Inventory:
    devkit = read_devkit(folder / layouts.DEVKIT_2012, layouts.EDITION_2012)
    truth = _truth_of(devkit)
    val, val_problems = list_numbered_tar(folder / layouts.VAL_2012, "val", layouts.EDITION_2012, truth)
    train, train_problems, strangers = list_train_tar(folder / layouts.TRAIN_2012, devkit.classes)
    splits, problems = {"train": train, "val": val}, (*train_problems, *val_problems)
    test = layouts.first_file(folder, layouts.TESTS_2012)
    if test is not None:
        splits["test"], test_problems = list_withheld_tar(test, layouts.EDITION_2012)
        problems += test_problems
    return Inventory(
        description=f"ILSVRC-2012 from the official tars in {folder}",
        folder=folder,
        classes=devkit.classes,
        splits=splits,
        problems=problems,
        differences=(*strangers, *truth.compare_length(ILSVRC2012.counts["val"])),
        checksums=tuple(Checksum(folder / name, md5) for name, md5 in MD5.items() if (folder / name).is_file()),
        official_ids=devkit.official_ids,
        train_counts=devkit.train_counts,
    )


def _list_folders(folder: Path) -> Inventory:
    classes, differences = _read_class_folders(folder / "train")
    tree = list_tree(folder, folder / "train")
    rows, strangers = label_by_folder(tree, folder / "train", folder, classes, "train")
    train, train_problems = arrange_train(rows, classes, tree.files)
    problems, differences = [*tree.problems, *train_problems], differences + strangers
    tree = list_tree(folder, folder / "val")
    rows, strangers = label_by_folder(tree, folder / "val", folder, classes, "val")
    val, val_problems = arrange_numbered(rows, "val", layouts.EDITION_2012, tree.files)
    refuse_added_wnids(rows, val, classes, "val", tree.files)
    problems, differences = [*problems, *tree.problems, *val_problems], differences + strangers
    splits = {"train": train, "val": val}
    if (folder / "test").is_dir():
        splits["test"], test_problems = list_withheld_tree(folder, folder / "test", layouts.EDITION_2012)
        problems += test_problems
    return Inventory(
        description=f"ILSVRC-2012 from the class folders in {folder}",
        folder=folder,
        classes=classes,
        splits=splits,
        problems=tuple(problems),
        differences=differences,
    )


def _read_class_folders(root: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The classes, and a sentence on the folders that are none."""
    names = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    classes = tuple(name for name in names if WNID.fullmatch(name))
    strangers = [name for name in names if not WNID.fullmatch(name)]
    if not strangers:
        return classes, ()
    return classes, (f"train: these folders are not named nXXXXXXXX as classes are: {list_some(strangers)}",)


def _truth_of(devkit: Devkit) -> Truth:
    return Truth(devkit.val_truth, devkit.classes, f"the validation ground truth of {layouts.DEVKIT_2012}")


def _with_devkit(found: Inventory) -> Inventory:
    """With what the devkit says of the classes, if it lies beside the images.

    Raises DataError when it does not know a class or gives a validation image another label.
    """
    archive = found.folder / layouts.DEVKIT_2012
    if not archive.is_file():
        return found
    devkit = read_devkit(archive, layouts.EDITION_2012)
    label_of = {wnid: label for label, wnid in enumerate(devkit.classes)}
    if strangers := [name for name in found.classes if name not in label_of]:
        raise DataError(
            f"{found.description}: {archive.name} does not know the classes {list_some(strangers)}; they are no "
            "synsets of this edition. Remove them, or use kind: imagefolder."
        )
    truth = _truth_of(devkit)
    refuse_other_truth(found.splits["val"], found.classes, truth)
    labels = [label_of[wnid] for wnid in found.classes]
    return replace(
        found,
        official_ids=tuple(devkit.official_ids[label] for label in labels),
        train_counts=devkit.train_counts[labels],
        differences=(*found.differences, *truth.compare_length(ILSVRC2012.counts["val"])),
        checksums=(*found.checksums, Checksum(archive, MD5[archive.name])),
    )
