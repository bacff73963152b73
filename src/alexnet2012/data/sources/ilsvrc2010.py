"""ILSVRC-2010 from its official tars, with the images that patch_images.tar replaces."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.listing import Listing, Problem, Source
from alexnet2012.data.sources.classes import read_devkit
from alexnet2012.data.sources.ilsvrc2012 import compare_length, list_numbered_tar, list_train_tar
from alexnet2012.data.sources.layouts import (
    DEVKIT_2010,
    EDITION_2010,
    PATCHES_2010,
    TEST_2010,
    TEST_TRUTH_2010,
    TRAIN_2010,
    VAL_2010,
    source_folder,
)
from alexnet2012.data.sources.names import list_some, stems_of
from alexnet2012.data.sources.tars import walk_tar
from alexnet2012.data.sources.verify import ILSVRC2010, verify

NUMBERED = re.compile(rf"{EDITION_2010}_(val|test)_\d{{8}}")
OF_CLASS = re.compile(r"(n\d{8})_.+")


def find_ilsvrc2010(dataset: DatasetConfig) -> Source:
    """Every image in canonical order, patched.

    Raises DataError when some are missing (unless `complete` is false) or labels contradict each other.
    """
    folder = source_folder(dataset)
    devkit = read_devkit(folder / DEVKIT_2010, EDITION_2010)
    test_file = folder / TEST_TRUTH_2010
    test_truth = devkit.read_truth(test_file.read_text(encoding="ascii", errors="replace"), str(test_file))
    truths = {
        "val": (VAL_2010, devkit.val_truth, devkit.truth_name),
        "test": (TEST_2010, test_truth, str(test_file)),
    }
    splits, differences = {}, []
    for split, (archive, truth, where) in truths.items():
        splits[split] = list_numbered_tar(folder / archive, split, EDITION_2010, devkit.classes, truth, where)
        differences += compare_length(truth, where, ILSVRC2010.counts[split])
    splits = {"train": list_train_tar(folder / TRAIN_2010, devkit.classes), **splits}
    if (folder / PATCHES_2010).is_file():
        splits = _patch(splits, folder / PATCHES_2010)
    else:
        print(f"{folder / PATCHES_2010} is not there: the blank images that it replaces stay blank", flush=True)
    source = Source(
        description=f"ILSVRC-2010 from the official tars in {folder}",
        folder=folder,
        classes=devkit.classes,
        splits=splits,
        differences=tuple(differences),
        official_ids=devkit.official_ids,
        train_counts=devkit.train_counts,
    )
    return verify(source, ILSVRC2010, dataset.complete)


def _patch(splits: dict[str, Listing], archive: Path) -> dict[str, Listing]:
    """The splits, with the images that `archive` replaces taken from there.

    It prints which images it cannot place; of several that replace one, the first is taken.
    """
    patches = _take_firsts(walk_tar(archive), archive.name)
    replaced = pa.array([_canonical_name(path) for path in patches.names.to_pylist()], pa.string())
    placed, patched = np.zeros(len(patches), bool), {}
    for split, images in splits.items():
        rows = pc.index_in(replaced, images.names)
        taken = rows.is_valid().to_numpy(zero_copy_only=False)
        placed |= taken
        # Of the images and the patches behind them those at `order`, under the images' names and labels.
        order = np.arange(len(images))
        order[pc.drop_null(rows).to_numpy()] = len(images) + np.flatnonzero(taken)
        table = pa.concat_tables([images.table, patches.table]).unify_dictionaries().combine_chunks().take(order)
        patched[split] = replace(images, table=table).put(name=images.names, label=images.labels)
    if not placed.all():
        strangers = patches.names.take(np.flatnonzero(~placed)).to_pylist()
        count, named = len(strangers), list_some(strangers)
        print(f"{archive.name}: {count:,} images replace none that is known: {named}", flush=True)
    print(f"{archive.name}: {np.count_nonzero(placed):,} images replaced", flush=True)
    test = patched["test"]
    return patched | {"test": replace(test, problems=(*test.problems, *patches.problems))}


def _take_firsts(patches: Listing, archive_name: str) -> Listing:
    """The first of the images that replace the same one, and problems for the others."""
    paths = patches.names.to_pylist()
    firsts: dict[str, int] = {}
    kept, problems = [], []
    for row, name in enumerate(map(_canonical_name, paths)):
        if name is None or firsts.setdefault(name, row) == row:
            kept.append(row)
        else:
            reason = f"{archive_name}!{paths[firsts[name]]} replaces {name} already; only that one is taken"
            problems.append(Problem(f"{archive_name}!{paths[row]}", reason))
    return replace(patches.take(np.array(kept, np.int64)), problems=(*patches.problems, *problems))


def _canonical_name(path: str) -> str | None:
    """Of the image that a member such as patch_images/val/ILSVRC2010_val_00000017.JPEG replaces."""
    stem = stems_of(pa.array([path]))[0].as_py()
    if match := NUMBERED.fullmatch(stem):
        split, name = match[1], f"{match[1]}/{stem}"
    elif match := OF_CLASS.fullmatch(stem):
        split, name = "train", f"train/{match[1]}/{stem}"
    else:
        return None
    # A folder that names another split than the image does makes it one of neither.
    return name if not {"train", "val", "test"} - {split} & set(path.split("/")[:-1]) else None
