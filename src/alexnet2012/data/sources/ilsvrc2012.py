"""ILSVRC-2012 from its official tars or class folders; Kaggle's tree and the parquet shards have their own modules."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from alexnet2012.data.sources import layouts
from alexnet2012.data.sources.devkit import read_devkit
from alexnet2012.data.sources.ilsvrc import compare_truth, list_numbered_tar, list_train_tar, withhold
from alexnet2012.data.sources.kaggle import list_kaggle
from alexnet2012.data.sources.parquet import list_parquet
from alexnet2012.data.sources.rows import arrange_numbered, arrange_train, list_some
from alexnet2012.data.sources.source import Checksum, Source
from alexnet2012.data.sources.trees import label_by_folder, list_tree
from alexnet2012.data.sources.verify import ILSVRC2012, Inventory, verify
from alexnet2012.dataset_config import DatasetConfig
from alexnet2012.errors import DataError

EDITION = "ILSVRC2012"
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
        found = _with_official_ids(found)
    return verify(found, ILSVRC2012, dataset.complete)


def _list_tars(folder: Path) -> Inventory:
    devkit = read_devkit(folder / layouts.DEVKIT_2012, EDITION)
    truth_name = f"the validation ground truth of {layouts.DEVKIT_2012}"
    val, val_problems = list_numbered_tar(folder / layouts.VAL_2012, "val", EDITION, devkit.val_truth, truth_name)
    train, train_problems, strangers = list_train_tar(folder / layouts.TRAIN_2012, devkit.classes)
    splits, problems = {"train": train, "val": val}, (*train_problems, *val_problems)
    test = layouts.first_file(folder, layouts.TESTS_2012)
    if test is not None:
        splits["test"], test_problems = list_numbered_tar(test, "test", EDITION, None)
        problems += test_problems
    return Inventory(
        description=f"ILSVRC-2012 from the official tars in {folder}",
        folder=folder,
        classes=devkit.classes,
        splits=splits,
        problems=problems,
        differences=(*strangers, *compare_truth(devkit.val_truth, ILSVRC2012.counts["val"], truth_name)),
        checksums=tuple(Checksum(folder / name, md5) for name, md5 in MD5.items() if (folder / name).is_file()),
        official_ids=devkit.official_ids,
        train_counts=devkit.train_counts,
    )


def _list_folders(folder: Path) -> Inventory:
    classes = tuple(sorted(path.name for path in (folder / "train").iterdir() if path.is_dir()))
    splits, problems, differences = {}, [], []
    for split in ("train", "val"):
        tree = list_tree(folder, folder / split)
        rows, strangers = label_by_folder(tree, folder / split, folder, classes, split)
        differences += strangers
        arranged = (
            arrange_train(rows, classes, tree.files)
            if split == "train"
            else arrange_numbered(rows, split, EDITION, tree.files)
        )
        splits[split] = arranged[0]
        problems += [*tree.problems, *arranged[1]]
    if (folder / "test").is_dir():
        tree = list_tree(folder, folder / "test")
        test, test_problems = arrange_numbered(tree.rows, "test", EDITION, tree.files)
        splits["test"] = withhold(test)
        problems += [*tree.problems, *test_problems]
    return Inventory(
        description=f"ILSVRC-2012 from the class folders in {folder}",
        folder=folder,
        classes=classes,
        splits=splits,
        problems=tuple(problems),
        differences=tuple(differences),
    )


def _with_official_ids(found: Inventory) -> Inventory:
    """With what the devkit says of the classes, if it lies beside the images."""
    archive = found.folder / layouts.DEVKIT_2012
    if not archive.is_file():
        return found
    devkit = read_devkit(archive, EDITION)
    label_of = {wnid: label for label, wnid in enumerate(devkit.classes)}
    if strangers := [name for name in found.classes if name not in label_of]:
        raise DataError(
            f"{found.description}: {archive.name} does not know the classes {list_some(strangers)}; they are no "
            "synsets of this edition. Remove them, or use kind: imagefolder."
        )
    labels = [label_of[wnid] for wnid in found.classes]
    return replace(
        found,
        official_ids=tuple(devkit.official_ids[label] for label in labels),
        train_counts=devkit.train_counts[labels],
        checksums=(*found.checksums, Checksum(archive, MD5[archive.name])),
    )
