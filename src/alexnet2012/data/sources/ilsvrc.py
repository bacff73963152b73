"""What the tars of ILSVRC-2010 and -2012 share: a tar of tars for training, flat numbered tars for the rest."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from alexnet2012.data.listing import WITHHELD, Listing, Problem
from alexnet2012.data.sources.rows import (
    Files,
    arrange_numbered,
    arrange_train,
    join_rows,
    label_by_number,
    numbers_of,
)
from alexnet2012.data.sources.tars import walk_tar, walk_tar_of_tars
from alexnet2012.errors import DataError


def list_train_tar(archive: Path, classes: tuple[str, ...]) -> tuple[Listing, tuple[Problem, ...], tuple[str, ...]]:
    """The training images of a tar of tars, problems, and a sentence for each inner tar that is of no class."""
    label_of = {wnid: label for label, wnid in enumerate(classes)}
    pieces, problems, strangers, inner = [], [], [], 0
    for wnid, walked in walk_tar_of_tars(archive):
        inner += 1
        problems += walked.problems
        if wnid in label_of:
            pieces.append(walked.images.labelled(label_of[wnid]))
        else:
            strangers.append(f"train: {wnid}.tar, {len(walked.images):,} images, is of no class of the edition")
    if not inner:
        raise DataError(
            f"{archive} holds no nXXXXXXXX.tar, though a tar of them, one for each class, was expected. Use the "
            "official archive."
        )
    listing, duplicates = arrange_train(join_rows(pieces), classes, Files.of([archive.name.encode()]))
    return listing, (*problems, *duplicates), tuple(strangers)


def list_numbered_tar(
    archive: Path, split: str, edition: str, truth: np.ndarray | None, truth_name: str = ""
) -> tuple[Listing, tuple[Problem, ...]]:
    """The images of a flat tar by their numbers, labelled by `truth` (number n at n - 1), or withheld without it.

    Raises DataError when there is an image beyond the truth's last line.
    """
    walked = walk_tar(archive)
    listing, problems = arrange_numbered(walked.images, split, edition, Files.of([archive.name.encode()]))
    problems = (*walked.problems, *problems)
    if truth is None:
        return withhold(listing), problems
    highest = numbers_of(listing.names).max(initial=0)
    if highest > len(truth):
        raise DataError(
            f"{truth_name} has {len(truth):,} lines, but {archive} holds image number {highest:,}; line n is the label "
            "of image n. Fetch both again."
        )
    listing, unlabelled = label_by_number(listing, truth, truth_name)
    return listing, (*problems, *unlabelled)


def withhold(listing: Listing) -> Listing:
    return replace(listing, labels=np.full(len(listing), WITHHELD))


def compare_truth(truth: np.ndarray, expected: int, truth_name: str) -> tuple[str, ...]:
    """A sentence when a ground truth has another number of lines than the edition has images."""
    return () if len(truth) == expected else (f"{truth_name} has {len(truth):,} lines; {expected:,} were expected",)
