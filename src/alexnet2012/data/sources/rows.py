"""From images as they lie in a source to a Listing: canonical names, canonical order, each name once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from alexnet2012.data.listing import Container, Listing, Problem
from alexnet2012.data.sources.labels import refuse_other_classes
from alexnet2012.data.sources.names import added_wnids_of, as_text, numbers_of, own_wnids_of, stems_of
from alexnet2012.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

OFFICIAL_STEM = r"^n\d{8}_\d+$"


@dataclass(frozen=True, eq=False)
class Rows:
    """Images in the order in which they lie in a source: `paths` as it writes them, the rest as in a Listing."""

    paths: "pa.Array"
    file: np.ndarray
    offset: np.ndarray
    size: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(cls, paths: Sequence[str], offset: np.ndarray, size: np.ndarray) -> "Rows":
        """Of one file, number 0, and one class, number 0."""
        import pyarrow as pa

        count = len(paths)
        return cls(pa.array(paths, pa.string()), np.zeros(count, np.int32), offset, size, np.zeros(count, np.int64))

    def __len__(self) -> int:
        return len(self.labels)

    def labelled(self, label: int) -> "Rows":
        return replace(self, labels=np.full(len(self), label, np.int64))

    def in_file(self, file: int) -> "Rows":
        return replace(self, file=np.full(len(self), file, np.int32))

    def take(self, rows: np.ndarray) -> "Rows":
        return Rows(self.paths.take(rows), self.file[rows], self.offset[rows], self.size[rows], self.labels[rows])


@dataclass(frozen=True, eq=False)
class Files:
    """The files of a source that Rows point into, relative to its folder, and how they hold images."""

    paths: "pa.Array"
    container: Container = "bytes"

    @classmethod
    def of(cls, paths: Sequence[bytes], container: Container = "bytes") -> "Files":
        import pyarrow as pa

        return cls(pa.array(paths, pa.binary()), container)


def join_rows(pieces: Sequence[Rows]) -> Rows:
    import pyarrow as pa

    if not pieces:
        return Rows.of([], np.zeros(0, np.int64), np.zeros(0, np.int64))
    columns = (
        np.concatenate([getattr(piece, name) for piece in pieces]) for name in ("file", "offset", "size", "labels")
    )
    return Rows(pa.concat_arrays([piece.paths for piece in pieces]), *columns)


def arrange_train(
    rows: Rows, classes: Sequence[str], files: Files, prefix: str = "train/", official_names: bool = True
) -> tuple[Listing, tuple[Problem, ...]]:
    """Named train/<wnid>/<stem> and ordered by (wnid, stem); of several with one name, the source's first is taken.

    Raises DataError for a WordNet id in a name that is not the image's class. With `official_names` every stem is to be
    a WordNet id and a number, and any other is a Problem.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    for wnids in (own_wnids_of(rows.paths), added_wnids_of(rows.paths)):
        refuse_other_classes(wnids, classes, rows.labels, lambda k: _where(rows, k, files), "training images")
    strangers: tuple[Problem, ...] = ()
    if official_names:
        reason = "its name is not nXXXXXXXX_ and a number, as every training image of the edition is named"
        rows, strangers = _take_named(rows, OFFICIAL_STEM, reason, files)
    stems = stems_of(rows.paths)
    table = pa.table({"label": rows.labels, "stem": stems, "row": np.arange(len(rows))})
    order = pc.sort_indices(table, [(name, "ascending") for name in table.column_names]).to_numpy()
    stems, labels = stems.take(order), rows.labels[order]
    again = np.zeros(len(rows), bool)
    again[1:] = pc.equal(stems[1:], stems[:-1]).to_numpy(zero_copy_only=False) & (labels[1:] == labels[:-1])
    folders = pa.array([prefix + wnid for wnid in classes], pa.string()).take(pa.array(labels))
    names = pc.binary_join_element_wise(folders, stems, "/")
    listing, problems = _listing_of_first(rows, order, again, names, files)
    return listing, strangers + problems


def arrange_numbered(rows: Rows, split: str, edition: str, files: Files) -> tuple[Listing, tuple[Problem, ...]]:
    """Named <split>/<stem>, ordered by the number in the name; one without a number is a Problem.

    `edition` as in the names: ILSVRC2012_val_00000001. Raises DataError for one number under two labels.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    reason = f"its name is not {edition}_{split}_ and eight digits, so nothing tells its label or its place"
    rows, strangers = _take_named(rows, rf"^{edition}_{split}_\d{{8}}$", reason, files)
    stems = stems_of(rows.paths)
    numbers = numbers_of(stems)
    order = np.argsort(numbers, kind="stable")
    numbers, stems, labels = numbers[order], stems.take(order), rows.labels[order]
    again = np.zeros(len(rows), bool)
    again[1:] = numbers[1:] == numbers[:-1]
    if len(odd := np.flatnonzero(again[1:] & (labels[1:] != labels[:-1]))):
        first, second = (_where(rows, order[odd[0] + k], files) for k in (0, 1))
        raise DataError(
            f"{len(odd):,} images come again with other labels, such as {first} and {second}; only one of them can be "
            "right. Fetch them again."
        )
    names = pc.binary_join_element_wise(pa.scalar(split), stems, "/")
    listing, problems = _listing_of_first(rows, order, again, names, files)
    return listing, strangers + problems


def refuse_added_wnids(rows: Rows, listing: Listing, classes: Sequence[str], split: str, files: Files) -> None:
    """Raises DataError if the WordNet id that a copy has added to a numbered image's name is not its label's.

    `listing` holds those of `rows` that have a label.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    added = added_wnids_of(rows.paths)
    told = np.flatnonzero(added.is_valid().to_numpy(zero_copy_only=False))
    names = pc.binary_join_element_wise(pa.scalar(split), stems_of(rows.paths.take(told)), "/")
    at = pc.index_in(names, listing.names)
    there = at.is_valid().to_numpy(zero_copy_only=False)
    told, labels = told[there], listing.labels[pc.drop_null(at).to_numpy()]
    what = {"val": "validation images", "test": "test images"}[split]
    refuse_other_classes(added.take(told), classes, labels, lambda k: _where(rows, told[k], files), what)


def label_by_number(listing: Listing, truth: np.ndarray, where: str) -> tuple[Listing, tuple[Problem, ...]]:
    """The images whose number has a label in `truth` (number n at n - 1; negative: none); Problems for the others."""
    numbers = numbers_of(listing.names)
    known = (numbers >= 1) & (numbers <= len(truth))
    known[known] = truth[numbers[known] - 1] >= 0
    rows = np.flatnonzero(known)
    reason = f"{where} has no label for it"
    problems = tuple(Problem(_place_of(listing, k), reason) for k in np.flatnonzero(~known).tolist())
    return replace(listing.take(rows), labels=truth[numbers[rows] - 1]), problems


def _take_named(rows: Rows, pattern: str, reason: str, files: Files) -> tuple[Rows, tuple[Problem, ...]]:
    """The rows whose stems match; a Problem for each of the others."""
    import pyarrow.compute as pc

    known = pc.match_substring_regex(stems_of(rows.paths), pattern).to_numpy(zero_copy_only=False)
    strangers = tuple(Problem(_where(rows, k, files), reason) for k in np.flatnonzero(~known).tolist())
    return (rows.take(np.flatnonzero(known)) if strangers else rows), strangers


def _listing_of_first(
    rows: Rows, order: np.ndarray, again: np.ndarray, names: "pa.Array", files: Files
) -> tuple[Listing, tuple[Problem, ...]]:
    firsts = np.flatnonzero(~again)
    problems = []
    for k in np.flatnonzero(again).tolist():
        first = firsts[np.searchsorted(firsts, k) - 1]
        other = _where(rows, order[first], files)
        problems.append(
            Problem(
                _where(rows, order[k], files), f"{other} is {as_text(names[k].as_py())} already; only that one is taken"
            )
        )
    taken = order[firsts]
    listing = Listing(
        files=files.paths,
        file=rows.file[taken],
        offset=rows.offset[taken],
        size=rows.size[taken],
        names=names.take(firsts),
        labels=rows.labels[taken],
        container=files.container,
    )
    return listing, tuple(problems)


def _where(rows: Rows, k: int, files: Files) -> str:
    """Row k as `archive!member`, or as the path of a file of its own."""
    file, path = as_text(files.paths[int(rows.file[k])].as_py()), as_text(rows.paths[int(k)].as_py())
    return file if file.endswith(path) else f"{file}!{path}"


def _place_of(listing: Listing, k: int) -> str:
    """As _where, of an image that is listed already: the member's extension is not known any more."""
    file = as_text(listing.files[int(listing.file[k])].as_py())
    stem = listing.names[k].as_py().rpartition("/")[2]
    return file if stem in file else f"{file}!{stem}"
