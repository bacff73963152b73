"""Tiny ImageNet as the parquet shards of its Hugging Face copies, most of which lack the names of the images."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from alexnet2012.data.listing import Listing, Problem
from alexnet2012.data.sources.names import WNID, list_some, stems_of
from alexnet2012.data.sources.parquet import read_split
from alexnet2012.data.sources.rows import OFFICIAL_STEM, Files, Rows, arrange_train
from alexnet2012.data.sources.shards import find_shards
from alexnet2012.data.sources.tiny_layouts import CLASSES, find_val_shards
from alexnet2012.data.sources.tiny_listing import read_classes, read_text
from alexnet2012.data.sources.verify import Inventory
from alexnet2012.errors import DataError

STEMS = {"train": OFFICIAL_STEM, "val": r"^val_\d+$"}


def list_shards(folder: Path) -> Inventory:
    """The images of train and val by class and name or, where the shards have none, by class and row.

    Raises DataError for damaged shards, other columns, and labels that are of no class.
    """
    val_name, val_shards = find_val_shards(folder)
    shards = find_shards(folder, "train")
    read = {
        split: (name, *read_split(folder, name, names=False)) for split, name in (("train", "train"), ("val", val_name))
    }
    numbered = _read_class_names(folder, shards.paths[0])
    classes = tuple(sorted(numbered))
    label_of = np.array([classes.index(name) for name in numbered], np.int64)
    splits: dict[str, Listing] = {}
    problems: tuple[Problem, ...] = ()
    for split, (written, rows, files) in read.items():
        rows = replace(rows, labels=_translate(rows.labels, label_of, f"{folder}: {written}-*.parquet"))
        splits[split], more = _arrange(rows, classes, files, split)
        problems += more
    lacking = tuple(each.missing for each in (shards, val_shards) if each.missing)
    return Inventory(
        f"Tiny ImageNet from the parquet shards in {folder}", folder, classes, splits, problems, differences=lacking
    )


def _arrange(rows: Rows, classes: Sequence[str], files: Files, split: str) -> tuple[Listing, tuple[Problem, ...]]:
    """By class and name; images without official names are named by their place among the rows of their class."""
    import pyarrow as pa
    import pyarrow.compute as pc

    named = pc.match_substring_regex(stems_of(rows.paths), STEMS[split])
    if not pc.all(pc.fill_null(named, False)).as_py():
        by_class = np.argsort(rows.labels, kind="stable")
        ends = np.cumsum(np.bincount(rows.labels, minlength=len(classes)))
        place = np.empty(len(rows), np.int64)
        place[by_class] = np.arange(len(rows)) - np.concatenate([[0], ends])[rows.labels[by_class]]
        rows = replace(rows, paths=pa.array([f"{k:05d}" for k in place.tolist()], pa.string()))
    return arrange_train(rows, classes, files, prefix=f"{split}/", official_names=False)


def _translate(labels: np.ndarray, label_of: np.ndarray, where: str) -> np.ndarray:
    odd = np.flatnonzero((labels < 0) | (labels >= len(label_of)))
    if len(odd):
        raise DataError(
            f"{where}: row {odd[0]:,} has label {labels[odd[0]]}, and {len(odd) - 1:,} more are of no class; 0 to "
            f"{len(label_of) - 1} were expected. Use the shards of another copy."
        )
    return label_of[labels]


def _read_class_names(folder: Path, shard: Path) -> list[str]:
    """The WordNet ids in the order in which labels number them: by the shard's own metadata, else sorted in wnids.txt.

    Raises DataError where neither tells them.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_schema(shard).metadata or {}
        names = json.loads(metadata[b"huggingface"])["info"]["features"]["label"]["names"]
    except (pa.ArrowException, ValueError, KeyError, TypeError):
        names = []
    if names and all(WNID.fullmatch(str(name)) for name in names):
        return list(names)
    if (beside := folder / CLASSES).is_file():
        return list(read_classes(read_text(beside), str(folder)))
    found = f"names the classes {list_some([str(name) for name in names], 3)}" if names else "does not name the classes"
    raise DataError(
        f"{shard} {found}, where WordNet ids were expected; put the official {CLASSES} into {folder}, whose classes, "
        "sorted, the labels then number."
    )
