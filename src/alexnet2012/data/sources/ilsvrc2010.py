"""ILSVRC-2010 from its official tars, with the images that patch_images.tar replaces."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.listing import Listing, Problem, Source, concatenate
from alexnet2012.data.sources import layouts
from alexnet2012.data.sources.classes import read_devkit, read_truth
from alexnet2012.data.sources.ilsvrc2012 import compare_length, list_numbered_tar, list_train_tar
from alexnet2012.data.sources.image_names import list_some, stems_of
from alexnet2012.data.sources.tars import walk_tar
from alexnet2012.data.sources.verify import ILSVRC2010, verify

NUMBERED = re.compile(rf"{layouts.EDITION_2010}_(val|test)_\d{{8}}")
OF_CLASS = re.compile(r"(n\d{8})_.+")


def find_ilsvrc2010(dataset: DatasetConfig) -> Source:
    """All images in canonical order, with the patches applied.

    Raises DataError if images are missing (unless `complete` is false) or labels contradict each other.
    """
    folder = layouts.source_folder(dataset)
    devkit = read_devkit(folder / layouts.DEVKIT_2010, layouts.EDITION_2010)
    test_file = folder / layouts.TEST_TRUTH_2010
    test_truth = read_truth(
        test_file.read_text(encoding="ascii", errors="replace"), devkit.official_ids, str(test_file)
    )
    truths = {
        "val": (layouts.VAL_2010, devkit.val_truth, devkit.truth_name),
        "test": (layouts.TEST_2010, test_truth, str(test_file)),
    }
    splits = {}
    for split, (archive, truth, where) in truths.items():
        images = list_numbered_tar(folder / archive, split, layouts.EDITION_2010, devkit.classes, truth, where)
        splits[split] = compare_length(images, truth, where, ILSVRC2010.counts[split])
    splits = {"train": list_train_tar(folder / layouts.TRAIN_2010, devkit.classes), **splits}
    problems: tuple[Problem, ...] = ()
    if (folder / layouts.PATCHES_2010).is_file():
        splits, problems = _patch(splits, folder / layouts.PATCHES_2010)
    else:
        print(f"{folder / layouts.PATCHES_2010} is not there: the blank images that it replaces stay blank", flush=True)
    source = Source(
        description=f"ILSVRC-2010 from the official tars in {folder}",
        folder=folder,
        classes=devkit.classes,
        splits=splits,
        problems=problems,
        official_ids=devkit.official_ids,
        train_counts=devkit.train_counts,
    )
    return verify(source, ILSVRC2010, dataset.complete)


def _patch(splits: dict[str, Listing], archive: Path) -> tuple[dict[str, Listing], tuple[Problem, ...]]:
    """The splits with images replaced by those of `archive`, and the problems of its members.

    Images in `archive` that replace no known image are printed; of several replacements of one image, the first counts.
    """
    patches = walk_tar(archive)
    row_of: dict[str, int] = {}
    problems = list(patches.problems)
    for row, path in enumerate(patches.names.to_pylist()):
        name = _canonical_name(path) or path
        if (first := row_of.setdefault(name, row)) != row:
            reason = f"{patches.find_place(first)} replaces {name} already; only that one is taken"
            problems.append(Problem(patches.find_place(row), reason))
    names, rows = pa.array([*row_of], pa.string()), np.array([*row_of.values()], np.int64)
    placed, patched = np.zeros(len(rows), bool), {}
    for split, images in splits.items():
        replaced = pc.index_in(names, images.names)
        taken = replaced.is_valid().to_numpy(zero_copy_only=False)
        placed |= taken
        # Append the patches to the images and select by `order`; names and labels stay those of the images.
        order = np.arange(len(images))
        order[pc.drop_null(replaced).to_numpy()] = len(images) + rows[taken]
        both = concatenate([images, patches]).take(order).put(name=images.names, label=images.labels)
        patched[split] = replace(both, problems=images.problems)
    if not placed.all():
        strangers = patches.names.take(rows[~placed]).to_pylist()
        count, named = len(strangers), list_some(strangers)
        print(f"{archive.name}: {count:,} images replace none that is known: {named}", flush=True)
    print(f"{archive.name}: {np.count_nonzero(placed):,} images replaced", flush=True)
    return patched, tuple(problems)


def _canonical_name(path: str) -> str | None:
    """The canonical name of the image that a member such as patch_images/val/ILSVRC2010_val_00000017.JPEG replaces;
    None if there is none."""
    stem = stems_of(pa.array([path]))[0].as_py()
    if match := NUMBERED.fullmatch(stem):
        split, name = match[1], f"{match[1]}/{stem}"
    elif match := OF_CLASS.fullmatch(stem):
        split, name = "train", f"train/{match[1]}/{stem}"
    else:
        return None
    # An image in a folder of another split than its name says belongs to neither.
    return name if not {"train", "val", "test"} - {split} & set(path.split("/")[:-1]) else None
