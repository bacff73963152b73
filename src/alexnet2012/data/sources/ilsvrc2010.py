"""ILSVRC-2010 from its official tars, with the images that patch_images.tar replaces."""

import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.listing import Listing, Problem
from alexnet2012.data.sources import layouts
from alexnet2012.data.sources.devkit import read_devkit
from alexnet2012.data.sources.ilsvrc import list_numbered_tar, list_train_tar
from alexnet2012.data.sources.labels import Truth
from alexnet2012.data.sources.names import list_some, stems_of
from alexnet2012.data.sources.rows import Rows
from alexnet2012.data.sources.source import Source
from alexnet2012.data.sources.tars import walk_tar
from alexnet2012.data.sources.verify import ILSVRC2010, Inventory, verify

NUMBERED = re.compile(rf"{layouts.EDITION_2010}_(val|test)_\d{{8}}")
OF_CLASS = re.compile(r"(n\d{8})_.+")


def find_ilsvrc2010(dataset: DatasetConfig) -> Source:
    """Every image in canonical order, patched.

    Raises DataError when some are missing (unless `complete` is false) or labels contradict each other.
    """
    folder = layouts.source_folder(dataset)
    devkit = read_devkit(folder / layouts.DEVKIT_2010, layouts.EDITION_2010)
    test_truth_file = folder / layouts.TEST_TRUTH_2010
    test_truth = devkit.read_truth(test_truth_file.read_text(encoding="ascii", errors="replace"), str(test_truth_file))
    val_truth_name = f"the validation ground truth of {layouts.DEVKIT_2010}"
    truths = {
        "val": (layouts.VAL_2010, Truth(devkit.val_truth, devkit.classes, val_truth_name)),
        "test": (layouts.TEST_2010, Truth(test_truth, devkit.classes, str(test_truth_file))),
    }
    splits, problems, differences = {}, [], []
    for split, (archive, truth) in truths.items():
        splits[split], split_problems = list_numbered_tar(folder / archive, split, layouts.EDITION_2010, truth)
        problems += split_problems
        differences += truth.compare_length(ILSVRC2010.counts[split])
    train, train_problems, strangers = list_train_tar(folder / layouts.TRAIN_2010, devkit.classes)
    patched, patch_problems = _patch({"train": train} | splits, folder / layouts.PATCHES_2010)
    found = Inventory(
        description=f"ILSVRC-2010 from the official tars in {folder}",
        folder=folder,
        classes=devkit.classes,
        splits=patched,
        problems=(*train_problems, *problems, *patch_problems),
        differences=(*strangers, *differences),
        official_ids=devkit.official_ids,
        train_counts=devkit.train_counts,
    )
    return verify(found, ILSVRC2010, dataset.complete)


def _patch(splits: dict[str, Listing], archive: Path) -> tuple[dict[str, Listing], tuple[Problem, ...]]:
    """The splits, with the images that `archive` replaces taken from there, and the problems of its members.

    It prints which images it cannot place; of several that replace one, the first is taken.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if not archive.is_file():
        print(f"{archive} is not there: the blank images that it replaces stay blank", flush=True)
        return splits, ()
    walked = walk_tar(archive)
    images, names, problems = _take_firsts(walked.images, archive.name)
    rows_of = {split: pc.index_in(pa.array(names, pa.string()), listing.names) for split, listing in splits.items()}
    placed = np.zeros(len(names), bool)
    patched = {}
    for split, listing in splits.items():
        rows = rows_of[split]
        taken = rows.is_valid().to_numpy(zero_copy_only=False)
        placed |= taken
        at = pc.drop_null(rows).to_numpy()
        file, offset, size = (column.copy() for column in (listing.file, listing.offset, listing.size))
        file[at], offset[at], size[at] = len(listing.files), images.offset[taken], images.size[taken]
        files = pa.concat_arrays([listing.files, pa.array([os.fsencode(archive.name)], pa.binary())])
        patched[split] = replace(listing, files=files, file=file, offset=offset, size=size)
    if not placed.all():
        strangers = images.paths.take(np.flatnonzero(~placed)).to_pylist()
        print(
            f"{archive.name}: {len(strangers):,} images replace none that is known: {list_some(strangers)}", flush=True
        )
    print(f"{archive.name}: {np.count_nonzero(placed):,} images replaced", flush=True)
    return patched, (*walked.problems, *problems)


def _take_firsts(images: Rows, archive_name: str) -> tuple[Rows, list[str | None], tuple[Problem, ...]]:
    """The first of the images that replace the same one, what each of them replaces, and problems for the others."""
    paths = images.paths.to_pylist()
    names = [_canonical_name(path) for path in paths]
    firsts: dict[str, int] = {}
    kept, problems = [], []
    for k, name in enumerate(names):
        if name is None or firsts.setdefault(name, k) == k:
            kept.append(k)
        else:
            first = f"{archive_name}!{paths[firsts[name]]}"
            reason = f"{first} replaces {name} already; only that one is taken"
            problems.append(Problem(f"{archive_name}!{paths[k]}", reason))
    return images.take(np.array(kept, np.int64)), [names[k] for k in kept], tuple(problems)


def _canonical_name(path: str) -> str | None:
    """Of the image that a member such as patch_images/val/ILSVRC2010_val_00000017.JPEG replaces."""
    import pyarrow as pa

    stem = stems_of(pa.array([path]))[0].as_py()
    folders = path.split("/")[:-1]
    if match := NUMBERED.fullmatch(stem):
        split, name = match[1], f"{match[1]}/{stem}"
    elif match := OF_CLASS.fullmatch(stem):
        split, name = "train", f"train/{match[1]}/{stem}"
    else:
        return None
    # A folder that names another split than the image does makes it one of neither.
    return name if not {"train", "val", "test"} - {split} & set(folders) else None
