"""What the tars of ILSVRC-2010 and -2012 share: a tar of tars for training, flat numbered tars for the rest."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from alexnet2012.data.listing import WITHHELD, Listing, Problem
from alexnet2012.data.sources.labels import Truth
from alexnet2012.data.sources.names import list_some, numbers_of
from alexnet2012.data.sources.rows import (
    Files,
    Rows,
    arrange_numbered,
    arrange_train,
    join_rows,
    label_by_number,
    refuse_added_wnids,
)
from alexnet2012.data.sources.tars import InnerTars, list_inner_tars, walk_tar, walk_tar_of_tars
from alexnet2012.data.sources.trees import list_tree
from alexnet2012.errors import DataError


def list_train_tar(archive: Path, classes: tuple[str, ...]) -> tuple[Listing, tuple[Problem, ...], tuple[str, ...]]:
    """The training images of a tar of tars, problems, and sentences on inner tars that are of no class or unusable."""
    label_of = {wnid: label for label, wnid in enumerate(classes)}
    found = list_inner_tars(archive)
    pieces, problems, strangers = [], [*found.problems], _describe_unusable(archive, found)
    if not found.tars:
        raise DataError(
            f"{archive} holds no nXXXXXXXX.tar, though a tar of them, one for each class, was expected. "
            f"{''.join(f'{line}. ' for line in strangers)}Use the official archive."
        )
    for wnid, walked in walk_tar_of_tars(archive, found):
        problems += walked.problems
        if wnid in label_of:
            pieces.append(walked.images.labelled(label_of[wnid]))
        else:
            strangers.append(f"train: {wnid}.tar, {len(walked.images):,} images, is of no class of the edition")
    listing, duplicates = arrange_train(join_rows(pieces), classes, Files.of([os.fsencode(archive.name)]))
    return listing, (*problems, *duplicates), tuple(strangers)


def _describe_unusable(archive: Path, found: InnerTars) -> list[str]:
    if not found.unusable:
        return []
    named = list_some([f"{name} ({reason})" for _, name, reason in found.unusable])
    return [
        f"train: {len(found.unusable):,} members of {archive.name} are named like the tars of classes and cannot be "
        f"read: {named}"
    ]


def list_numbered_tar(archive: Path, split: str, edition: str, truth: Truth) -> tuple[Listing, tuple[Problem, ...]]:
    """The images of a flat tar by their numbers, labelled by `truth`.

    Raises DataError when there is an image beyond the truth's last line, or one whose name contradicts its label.
    """
    walked = walk_tar(archive)
    files = Files.of([os.fsencode(archive.name)])
    listing, problems = arrange_numbered(walked.images, split, edition, files)
    highest = numbers_of(listing.names).max(initial=0)
    if highest > len(truth.labels):
        raise DataError(
            f"{truth.name} has {len(truth.labels):,} lines, but {archive} holds image number {highest:,}; line n is "
            "the label of image n. Fetch both again."
        )
    listing, unlabelled = label_by_number(listing, truth.labels, truth.name)
    refuse_added_wnids(walked.images, listing, truth.classes, split, files)
    return listing, (*walked.problems, *problems, *unlabelled)


def list_withheld_tar(archive: Path, edition: str) -> tuple[Listing, tuple[Problem, ...]]:
    """The test images of a flat tar, whose labels are not public."""
    walked = walk_tar(archive)
    listing, problems = arrange_withheld(walked.images, edition, Files.of([os.fsencode(archive.name)]))
    return listing, (*walked.problems, *problems)


def list_withheld_tree(folder: Path, root: Path, edition: str) -> tuple[Listing, tuple[Problem, ...]]:
    """The test images below `root`, a folder in `folder`, whose labels are not public."""
    tree = list_tree(folder, root)
    listing, problems = arrange_withheld(tree.rows, edition, tree.files)
    return listing, (*tree.problems, *problems)


def arrange_withheld(rows: Rows, edition: str, files: Files) -> tuple[Listing, tuple[Problem, ...]]:
    """The test images by their numbers, whatever labels the rows have."""
    withheld = replace(rows, labels=np.full(len(rows), WITHHELD))
    return arrange_numbered(withheld, "test", edition, files)
