"""ILSVRC-2012 from Kaggle's CLS-LOC tree, with labels from its CSV files, matched by image name."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from alexnet2012.data.listing import Listing, Source
from alexnet2012.data.sources import layouts
from alexnet2012.data.sources.arrange import (
    NO_CLASS,
    arrange_numbered,
    arrange_train,
    arrange_withheld,
    label_by_number,
    take_numbered,
)
from alexnet2012.data.sources.classes import read_class_list
from alexnet2012.data.sources.folders import label_by_folder, list_tree
from alexnet2012.data.sources.image_names import list_some, numbers_of, stems_of
from alexnet2012.errors import DataError

COLUMNS = ["ImageId", "PredictionString"]


def list_kaggle(folder: Path) -> Source:
    """ILSVRC-2012 from Kaggle's tree. Raises DataError if a CSV is malformed or contradicts the images' folders or
    names."""
    root = layouts.kaggle_root(folder) / layouts.KAGGLE_IMAGES
    classes = read_class_list(layouts.kaggle_table(folder, layouts.KAGGLE_MAPPING))
    train = label_by_folder(list_tree(folder, root / "train"), f"{root.relative_to(folder)}/train/", classes, "train")
    train = arrange_train(train, classes)
    if (train_csv := layouts.kaggle_table(folder, layouts.KAGGLE_TRAIN)).is_file():
        train = _compare_train(train, classes, train_csv)
    val = take_numbered(list_tree(folder, root / "val"), "val", layouts.EDITION_2012)
    val_csv = layouts.kaggle_table(folder, layouts.KAGGLE_VAL)
    val = label_by_number(val, _read_val_truth(val_csv, classes), val_csv.name)
    splits = {"train": train, "val": arrange_numbered(val, "val", classes)}
    if (root / "test").is_dir():
        splits["test"] = arrange_withheld(list_tree(folder, root / "test"), layouts.EDITION_2012)
    return Source(f"ILSVRC-2012 from Kaggle's tree in {folder}", folder, classes, splits)


def _read_solution(path: Path, classes: tuple[str, ...]) -> tuple[pa.Array, np.ndarray]:
    """Image ids and labels from a LOC_*_solution.csv, in its order; a prediction begins with the WordNet id."""
    convert = csv.ConvertOptions(column_types=dict.fromkeys(COLUMNS, pa.string()), include_columns=COLUMNS)
    try:
        table = csv.read_csv(path, convert_options=convert)
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"{path} cannot be read as a table with the columns {' and '.join(COLUMNS)}: {error}. Fetch it again."
        ) from None
    ids, predictions = (table[name].combine_chunks() for name in COLUMNS)
    wnids = pc.replace_substring_regex(pc.utf8_trim_whitespace(predictions), r"\s.*$", "")
    labels = pc.fill_null(pc.index_in(wnids, pa.array(classes, pa.string())), NO_CLASS).to_numpy().astype(np.int64)
    for row in np.flatnonzero(labels == NO_CLASS)[:1]:
        raise DataError(
            f"{path}, line {row + 2}: {predictions[row].as_py()!r} does not begin with a class of "
            f"{layouts.KAGGLE_MAPPING}. Fetch both files again."
        )
    return ids, labels


def _read_val_truth(path: Path, classes: tuple[str, ...]) -> np.ndarray:
    """Labels of the validation images, number n at index n - 1; NO_CLASS if there is none."""
    ids, labels = _read_solution(path, classes)
    numbered = pc.match_substring_regex(ids, rf"^{layouts.EDITION_2012}_val_\d{{8}}$")
    for row in np.flatnonzero(pc.or_(pc.invert(numbered), pc.ends_with(ids, "_00000000")))[:1]:
        raise DataError(
            f"{path}, line {row + 2}: {ids[row].as_py()!r} is not the name of a validation image, such as "
            f"{layouts.EDITION_2012}_val_00000001. Fetch the file again."
        )
    numbers = numbers_of(ids)
    truth = np.full(numbers.max(initial=0), NO_CLASS)
    truth[numbers - 1] = labels
    if len(odd := np.flatnonzero(truth[numbers - 1] != labels)):
        raise DataError(f"{path} gives {ids[odd[0]]} two different classes. Fetch the file again.")
    return truth


def _compare_train(train: Listing, classes: tuple[str, ...], path: Path) -> Listing:
    """The training images, with a difference for images of the CSV that are missing. Images that the CSV lacks are no
    fault: it lists only those with bounding boxes.
    """
    ids, labels = _read_solution(path, classes)
    at = pc.index_in(ids, stems_of(train.names))
    there, rows = np.flatnonzero(at.is_valid()), pc.drop_null(at).to_numpy()
    if len(odd := np.flatnonzero(train.labels[rows] != labels[there])):
        csv_row, row = there[odd[0]], rows[odd[0]]
        raise DataError(
            f"{path} puts {len(odd):,} images into other classes than their folders do; {ids[csv_row]} is "
            f"{classes[labels[csv_row]]} there and lies in {classes[train.labels[row]]}/. Fetch the tree again."
        )
    missing = ids.filter(pc.is_null(at)).to_pylist()
    if not missing:
        return train
    return train.note(f"train: {len(missing):,} images of {path.name} are missing: {list_some(missing)}")
