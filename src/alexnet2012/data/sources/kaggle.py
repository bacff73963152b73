"""ILSVRC-2012 as Kaggle's CLS-LOC tree, its CSV files joined to the images by name."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from alexnet2012.data.listing import Listing
from alexnet2012.data.sources import layouts
from alexnet2012.data.sources.class_list import read_class_list
from alexnet2012.data.sources.ilsvrc import list_withheld_tree
from alexnet2012.data.sources.names import list_some, numbers_of, stems_of
from alexnet2012.data.sources.rows import arrange_numbered, arrange_train, label_by_number, refuse_added_wnids
from alexnet2012.data.sources.trees import NO_CLASS, label_by_folder, list_tree
from alexnet2012.data.sources.verify import Inventory
from alexnet2012.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa


def list_kaggle(folder: Path) -> Inventory:
    """Raises DataError when a CSV is not what it should be or contradicts the images' folders or names."""
    images = layouts.kaggle_root(folder) / layouts.KAGGLE_IMAGES
    classes = read_class_list(_table(folder, layouts.KAGGLE_MAPPING))
    tree = list_tree(folder, images / "train")
    rows, differences = label_by_folder(tree, images / "train", folder, classes, "train")
    train, problems = arrange_train(rows, classes, tree.files)
    problems = (*tree.problems, *problems)
    if train_csv := layouts.kaggle_table(folder, layouts.KAGGLE_TRAIN):
        differences += _compare_train(train, classes, train_csv)
    val_csv = _table(folder, layouts.KAGGLE_VAL)
    tree = list_tree(folder, images / "val")
    val, val_problems = arrange_numbered(tree.rows, "val", layouts.EDITION_2012, tree.files)
    val, unlabelled = label_by_number(val, _read_val_truth(val_csv, classes), val_csv.name)
    refuse_added_wnids(tree.rows, val, classes, "val", tree.files)
    splits, problems = {"train": train, "val": val}, (*problems, *tree.problems, *val_problems, *unlabelled)
    if (images / "test").is_dir():
        splits["test"], test_problems = list_withheld_tree(folder, images / "test", layouts.EDITION_2012)
        problems += test_problems
    return Inventory(f"ILSVRC-2012 from Kaggle's tree in {folder}", folder, classes, splits, problems, differences)


def _table(folder: Path, name: str) -> Path:
    path = layouts.kaggle_table(folder, name)
    if path is None:
        raise DataError(f"{layouts.kaggle_root(folder).parent / name} is missing; it is part of Kaggle's download.")
    return path


def _read_solution(path: Path, classes: tuple[str, ...]) -> tuple["pa.Array", np.ndarray]:
    """Image ids and labels of a LOC_*_solution.csv, in its order: the first token of a prediction is the WordNet id."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv

    columns = ["ImageId", "PredictionString"]
    convert = csv.ConvertOptions(column_types=dict.fromkeys(columns, pa.string()), include_columns=columns)
    try:
        table = csv.read_csv(path, convert_options=convert).combine_chunks()
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"{path} cannot be read as a table with the columns {' and '.join(columns)}: {error}. Fetch it again."
        ) from None
    ids, predictions = (pa.array(table[name].to_pylist(), pa.string()) for name in columns)
    wnids = pc.replace_substring_regex(pc.utf8_trim_whitespace(predictions), r"\s.*$", "")
    labels = pc.fill_null(pc.index_in(wnids, pa.array(classes, pa.string())), NO_CLASS).to_numpy().astype(np.int64)
    for k in np.flatnonzero(labels == NO_CLASS)[:1].tolist():
        raise DataError(
            f"{path}, line {k + 2}: {predictions[k].as_py()!r} does not begin with a class of "
            f"{layouts.KAGGLE_MAPPING}. Fetch both files again."
        )
    return ids, labels


def _read_val_truth(path: Path, classes: tuple[str, ...]) -> np.ndarray:
    """Labels by the number in the image's name, number n at n - 1; NO_CLASS where there is none."""
    import pyarrow.compute as pc

    ids, labels = _read_solution(path, classes)
    edition = layouts.EDITION_2012
    numbered = pc.match_substring_regex(ids, rf"^{edition}_val_\d{{8}}$")
    known = pc.and_not(numbered, pc.ends_with(ids, "_00000000")).to_numpy(zero_copy_only=False)
    for k in np.flatnonzero(~known)[:1].tolist():
        raise DataError(
            f"{path}, line {k + 2}: {ids[k].as_py()!r} is not the name of a validation image, such as "
            f"{edition}_val_00000001. Fetch the file again."
        )
    numbers = numbers_of(ids)
    truth = np.full(numbers.max(initial=0), NO_CLASS)
    truth[numbers - 1] = labels
    if len(odd := np.flatnonzero(truth[numbers - 1] != labels)):
        raise DataError(f"{path} gives {ids[int(odd[0])].as_py()} two different classes. Fetch the file again.")
    return truth


def _compare_train(train: Listing, classes: tuple[str, ...], path: Path) -> tuple[str, ...]:
    """A sentence on the images of the CSV that are not there. Images that it lacks are no fault: it lists those with
    bounding boxes only.
    """
    import pyarrow.compute as pc

    ids, labels = _read_solution(path, classes)
    at = pc.index_in(ids, stems_of(train.names))
    there = at.is_valid().to_numpy(zero_copy_only=False)
    rows = pc.drop_null(at).to_numpy()
    if len(odd := np.flatnonzero(train.labels[rows] != labels[there])):
        k = int(np.flatnonzero(there)[odd[0]])
        raise DataError(
            f"{path} puts {len(odd):,} images into other classes than their folders do; {ids[k].as_py()} is "
            f"{classes[labels[k]]} there and lies in {classes[train.labels[rows[odd[0]]]]}/. Fetch the tree again."
        )
    missing = ids.filter(pc.is_null(at))
    if not len(missing):
        return ()
    return (f"train: {len(missing):,} images of {path.name} are missing: {list_some(missing[:21].to_pylist())}",)
