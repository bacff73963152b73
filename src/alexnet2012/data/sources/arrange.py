"""Arranging a source's images into a split: canonical names and order, no duplicates, and labels without contradiction.

A wrong label would go unnoticed in training, so names, folders and ground truths must agree on an image's class.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from alexnet2012.data.listing import WITHHELD, Listing, Problem
from alexnet2012.data.sources.image_names import ADDED_WNID, OWN_WNID, find_wnids, in_one_line, numbers_of, stems_of
from alexnet2012.errors import DataError

OFFICIAL_STEM = r"^n\d{8}_\d+$"
NO_CLASS = -2
NAMED = 5


def arrange_train(
    images: Listing, classes: Sequence[str], prefix: str = "train/", official_names: bool = True
) -> Listing:
    """Training images, named train/<wnid>/<stem> and ordered by (wnid, stem); of duplicates, the first is kept.

    Raises DataError if the WordNet id in a name is not the image's class. With `official_names`, images whose stem is
    not a WordNet id and a number are left out as Problems.
    """
    for pattern in (OWN_WNID, ADDED_WNID):
        refuse_other_classes(images, pattern, classes, "training images")
    if official_names:
        reason = "its name is not nXXXXXXXX_ and a number, as every training image of the edition is named"
        images = _take_named(images, OFFICIAL_STEM, reason)
    keys = pa.table({"label": images.labels, "stem": stems_of(images.names), "row": np.arange(len(images))})
    keys = keys.sort_by([(name, "ascending") for name in keys.column_names]).combine_chunks()
    folders = pa.array([prefix + wnid for wnid in classes], pa.string()).take(keys["label"])
    names = pc.binary_join_element_wise(folders, keys["stem"], "/")
    return _take_firsts(images.take(keys["row"]), names)


def take_numbered(images: Listing, split: str, edition: str) -> Listing:
    """The images named like ILSVRC2012_val_00000001 for this split and edition; a Problem for each of the others."""
    reason = f"its name is not {edition}_{split}_ and eight digits, so nothing tells its label or its place"
    return _take_named(images, rf"^{edition}_{split}_\d{{8}}$", reason)


def label_by_number(images: Listing, truth: np.ndarray, where: str) -> Listing:
    """The numbered images, labelled from `truth` (number n at index n - 1); Problems for images without a label, that
    is beyond its end or negative."""
    numbers = numbers_of(stems_of(images.names))
    known = (numbers >= 1) & (numbers <= len(truth))
    known[known] = truth[numbers[known] - 1] >= 0
    labelled = _take_known(images, known, f"{where} has no label for it")
    return labelled.put(label=truth[numbers[known] - 1])


def arrange_numbered(images: Listing, split: str, classes: Sequence[str]) -> Listing:
    """Numbered images, named <split>/<stem> and ordered by number; of duplicates, the first is kept.

    Raises DataError for a number with two labels, and if the WordNet id in a name is not the image's class.
    """
    refuse_other_classes(images, ADDED_WNID, classes, "validation images" if split == "val" else "test images")
    order = np.argsort(numbers_of(stems_of(images.names)), kind="stable")
    images = images.take(order)
    stems = stems_of(images.names)
    again = pc.equal(stems[1:], stems[:-1]).to_numpy(zero_copy_only=False)
    if len(odd := np.flatnonzero(again & (images.labels[1:] != images.labels[:-1]))):
        first, second = (images.find_place(odd[0] + k) for k in (0, 1))
        raise DataError(
            f"{len(odd):,} images occur twice with different labels, such as {first} and {second}; only one of them "
            "can be right. Download them again."
        )
    return _take_firsts(images, pc.binary_join_element_wise(pa.scalar(split), stems, "/"))


def arrange_withheld(images: Listing, edition: str) -> Listing:
    """The numbered test images, with label WITHHELD: the true labels are not public."""
    return arrange_numbered(take_numbered(images, "test", edition).put(label=WITHHELD), "test", ())


def refuse_other_classes(images: Listing, pattern: str, classes: Sequence[str], what: str) -> None:
    """Raise DataError if the WordNet id that `pattern` finds in an image's name contradicts its label.

    Negative labels are skipped. `what` the images are called in the message, as in "training images".
    """
    told = find_wnids(images.names, pattern)
    labelled = pa.array(classes, pa.string()).take(pa.array(images.labels, mask=images.labels < 0))
    odd = np.flatnonzero(pc.fill_null(pc.not_equal(told, labelled), False))
    refuse_contradictions(
        f"{len(odd):,} {what} have another class in their names than the one they are listed under",
        [f"{images.find_place(k)} is of {told[k]} by its name, but listed under {labelled[k]}" for k in odd[:NAMED]],
        len(odd),
        "One of the two is wrong, and nets would be trained on wrong labels; download the images again.",
    )


def refuse_contradictions(heading: str, lines: list[str], count: int, advice: str) -> None:
    """Raise DataError with the first NAMED of `count` contradictions, if `count` is not 0."""
    if count:
        more = f"; and {count - NAMED:,} more" if count > NAMED else ""
        raise DataError(f"{heading}: {'; '.join(lines[:NAMED])}{more}. {advice}")


def _take_named(images: Listing, pattern: str, reason: str) -> Listing:
    """The images whose stems match `pattern`; a Problem for each of the others."""
    known = pc.match_substring_regex(stems_of(images.names), pattern)
    return _take_known(images, known.to_numpy(zero_copy_only=False), reason)


def _take_known(images: Listing, known: np.ndarray, reason: str) -> Listing:
    problems = (Problem(images.find_place(row), reason) for row in np.flatnonzero(~known))
    return replace(images.take(np.flatnonzero(known)), problems=(*images.problems, *problems))


def _take_firsts(images: Listing, names: pa.Array) -> Listing:
    """The images, sorted by canonical `names`, under these names; a Problem for each duplicate."""
    names = names.combine_chunks() if isinstance(names, pa.ChunkedArray) else names
    again = np.zeros(len(images), bool)
    again[1:] = pc.equal(names[1:], names[:-1])
    firsts, problems = np.flatnonzero(~again), []
    for row in np.flatnonzero(again):
        first = images.find_place(firsts[np.searchsorted(firsts, row) - 1])
        reason = f"{first} is {in_one_line(names[row].as_py())} already; only that one is taken"
        problems.append(Problem(images.find_place(row), reason))
    return replace(images.take(firsts).put(name=names.take(firsts)), problems=(*images.problems, *problems))
