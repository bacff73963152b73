"""The classes of a dataset, from the development kits of ILSVRC-2010 and -2012 or from files that list classes.

The kits have their own ids of classes (ILSVRC2012_ID), which are not in the order of the WordNet ids. Here, a class's
label is its rank among the sorted WordNet ids of the leaf synsets. The kits also list the inner nodes of the hierarchy
(676 in 2010, 860 in 2012), which have no images.
"""

import io
import re
import tarfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from alexnet2012.data.sources.image_names import WNID, in_one_line
from alexnet2012.data.sources.tars import read_members
from alexnet2012.errors import DataError

SYNSETS = "data/meta.mat"
NUMBERED = re.compile(r"(n\d{8})\s+(\d{1,6})(?:\s|$)", re.ASCII)


@dataclass(frozen=True, eq=False)
class Devkit:
    """A development kit. Classes in the order of their labels: WordNet ids, the edition's own ids, and the published
    numbers of training images.

    `val_truth`: labels of the validation images, int64, image number n at index n - 1; `truth_name`: its name in
    messages.
    """

    classes: tuple[str, ...]
    official_ids: tuple[int, ...]
    train_counts: np.ndarray
    truth_name: str
    val_truth: np.ndarray


def read_devkit(archive: Path, edition: str) -> Devkit:
    """Read the official .tar.gz in memory. Raises DataError if it is damaged or not of `edition` (e.g. ILSVRC2012)."""
    truth = f"data/{edition}_validation_ground_truth.txt"
    try:
        members = read_members(archive, (SYNSETS, truth))
    except (OSError, EOFError, tarfile.TarError, ValueError) as error:
        raise DataError(
            f"{archive} cannot be read: {error}. It is damaged or cut short, or another edition's; download it again."
        ) from None
    wnids, ids, counts = _read_synsets(members[SYNSETS], f"{archive}!{SYNSETS}", f"{edition}_ID")
    name = f"the validation ground truth of {archive.name}"
    labels = read_truth(members[truth].decode("ascii", "replace"), ids, f"{archive}!{truth}")
    return Devkit(wnids, ids, np.array(counts, np.int64), name, labels)


def read_truth(text: str, ids: tuple[int, ...], where: str) -> np.ndarray:
    """Labels from a text with one of the edition's class ids on each line. Raises DataError with the number of a bad
    line."""
    lines = [line.strip() for line in text.rstrip().split("\n")] if text.strip() else []
    label_of = {str(number): label for label, number in enumerate(ids)}
    for number, line in enumerate(lines, 1):
        if line not in label_of:
            raise DataError(
                f"{where}, line {number}: {line!r} is not the id of a class; expected a number from {min(ids)} to "
                f"{max(ids)}. Download the file again."
            )
    return np.array([label_of[line] for line in lines], np.int64)


def read_class_list(path: Path) -> tuple[str, ...]:
    """The WordNet ids in the file `path`, sorted. Raises DataError as `list_wnids` does, and for a folder."""
    try:
        return list_wnids(path.read_text(encoding="utf-8-sig", errors="replace"), str(path))
    except IsADirectoryError:
        raise DataError(f"{path} is a folder; expected a file with a WordNet id on each line.") from None


def list_wnids(text: str, where: str) -> tuple[str, ...]:
    """The WordNet ids at the beginnings of a text's lines, sorted; # begins a comment.

    Raises DataError for a line that begins with anything else, a duplicate id, and fewer than two ids.
    """
    line_of: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        wnid = next(iter(line.partition("#")[0].split()), None)
        if wnid is None:
            continue
        if not WNID.fullmatch(wnid):
            raise DataError(f"{where}, line {number}: {wnid!r} is no WordNet id; expected n and eight digits.")
        if wnid in line_of:
            raise DataError(
                f"{where} names {wnid} twice, in lines {line_of[wnid]} and {number}. Remove one of the lines."
            )
        line_of[wnid] = number
    if len(line_of) < 2:
        raise DataError(f"{where} names {len(line_of)} classes; expected two or more, each on its own line.")
    return tuple(sorted(line_of))


def read_class_numbers(path: Path, classes: int) -> tuple[str, ...]:
    """The WordNet ids of classes 1 to `classes`, from lines of an id, its number and a word, as in map_clsloc.txt.

    Raises DataError for any other line, duplicate ids or numbers, and missing numbers.
    """
    wnid_of: dict[int, str] = {}
    for place, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        match = NUMBERED.match(line)
        if match and 1 <= int(match[2]) <= classes and int(match[2]) not in wnid_of:
            wnid_of[int(match[2])] = match[1]
        elif line.strip():
            raise DataError(
                f"{path}, line {place}: {in_one_line(line)!r}; expected a WordNet id and a number from 1 to "
                f"{classes:,} that no earlier line has. Download the file again, or remove it."
            )
    if len(set(wnid_of.values())) < classes:
        raise DataError(
            f"{path} has {len(set(wnid_of.values())):,} WordNet ids for {len(wnid_of):,} numbers; expected {classes:,} "
            "of both. Download the file again, or remove it."
        )
    return tuple(wnid_of[number] for number in range(1, classes + 1))


def _read_synsets(
    content: bytes, where: str, id_field: str
) -> tuple[tuple[str, ...], tuple[int, ...], tuple[int, ...]]:
    """WordNet ids, the edition's ids and numbers of training images of the leaf synsets, sorted by WordNet id."""
    # A damaged file can raise any exception within scipy's reader, or make it crash: hence a process of its own.
    try:
        with ProcessPoolExecutor(1, get_context("fork")) as pool:
            synsets = pool.submit(_load_synsets, content).result()
    except Exception as error:
        raise DataError(f"{where} cannot be read: {error}. Download the devkit again.") from None
    fields = (id_field, "WNID", "num_children", "num_train_images")
    if missing := [name for name in fields if name not in (synsets.dtype.names or ())]:
        raise DataError(f"{where} has no {' and '.join(missing)} in its synsets; it is not the devkit of this edition.")
    try:
        leaves = sorted(
            (str(synset["WNID"]), int(synset[id_field]), int(synset["num_train_images"]))
            for synset in synsets
            if int(synset["num_children"]) == 0
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{where} has synsets without numbers: {error}. Download the devkit again.") from None
    wnids, ids, counts = zip(*leaves, strict=True) if leaves else ((), (), ())
    if len(set(wnids)) != len(leaves) or sorted(ids) != list(range(1, len(leaves) + 1)):
        raise DataError(
            f"{where}: expected the {len(leaves)} synsets without children to have unique WordNet ids and ids 1 to "
            f"{len(leaves)}. Download the devkit again."
        )
    return wnids, ids, counts


def _load_synsets(content: bytes) -> np.ndarray:
    from scipy.io import loadmat

    return np.atleast_1d(loadmat(io.BytesIO(content), squeeze_me=True)["synsets"])
