"""From images as they lie in a source to a Listing: canonical names, canonical order, each name once."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from alexnet2012.data.listing import Listing, Problem

if TYPE_CHECKING:
    import pyarrow as pa

# .JPEG in any case, and what gzip makes of it; a name that starts with a dot is some system's own.
IMAGE_NAME = re.compile(r"(?i)(?:^|/)[^./][^/]*\.(?:jpe?g|png)(?:\.gz)?$")
EXTENSION = r"(?i)\.(jpe?g|png)(\.gz)?$"
ADDED_WNID = r"_n\d{8}$"  # the Hugging Face copy adds it: n01440764_10026_n01440764.JPEG
LISTED = 20


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
    container: Literal["bytes", "parquet"] = "bytes"

    @classmethod
    def of(cls, paths: Sequence[bytes], container: Literal["bytes", "parquet"] = "bytes") -> "Files":
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
    rows: Rows, classes: Sequence[str], files: Files, prefix: str = "train/"
) -> tuple[Listing, tuple[Problem, ...]]:
    """Named train/<wnid>/<stem> and ordered by (wnid, stem); of several with one name, the source's first is taken."""
    import pyarrow as pa
    import pyarrow.compute as pc

    stems = stems_of(rows.paths)
    table = pa.table({"label": rows.labels, "stem": stems, "row": np.arange(len(rows))})
    order = pc.sort_indices(table, [(name, "ascending") for name in table.column_names]).to_numpy()
    stems, labels = stems.take(order), rows.labels[order]
    again = np.zeros(len(rows), bool)
    again[1:] = pc.equal(stems[1:], stems[:-1]).to_numpy(zero_copy_only=False) & (labels[1:] == labels[:-1])
    folders = pa.array([prefix + wnid for wnid in classes], pa.string()).take(pa.array(labels))
    names = pc.binary_join_element_wise(folders, stems, "/")
    return _listing_of_first(rows, order, again, names, files)


def arrange_numbered(rows: Rows, split: str, edition: str, files: Files) -> tuple[Listing, tuple[Problem, ...]]:
    """Named <split>/<stem>, ordered by the number in the name; one without a number is a Problem.

    `edition` as in the names: ILSVRC2012_val_00000001.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    stems = stems_of(rows.paths)
    known = pc.match_substring_regex(stems, rf"^{edition}_{split}_\d{{8}}$").to_numpy(zero_copy_only=False)
    reason = f"its name is not {edition}_{split}_ and eight digits, so nothing tells its label or its place"
    strangers = tuple(Problem(_where(rows, k, files), reason) for k in np.flatnonzero(~known).tolist())
    numbered = np.flatnonzero(known)
    rows, stems = rows.take(numbered), stems.take(numbered)
    numbers = numbers_of(stems)
    order = np.argsort(numbers, kind="stable")
    numbers, stems = numbers[order], stems.take(order)
    again = np.zeros(len(rows), bool)
    again[1:] = numbers[1:] == numbers[:-1]
    names = pc.binary_join_element_wise(pa.scalar(split), stems, "/")
    listing, problems = _listing_of_first(rows, order, again, names, files)
    return listing, strangers + problems


def stems_of(paths: "pa.Array") -> "pa.Array":
    """The edition's own names of images: no folder, no extension, no WordNet id that a copy has added."""
    import pyarrow.compute as pc

    names = pc.replace_substring_regex(pc.replace_substring_regex(paths, "^.*/", ""), EXTENSION, "")
    return pc.replace_substring_regex(names, ADDED_WNID, "")


def numbers_of(names: "pa.Array") -> np.ndarray:
    """The eight digits that each name ends with, int64."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.cast(pc.utf8_slice_codeunits(names, -8), pa.int64()).to_numpy()


def label_by_number(listing: Listing, truth: np.ndarray, where: str) -> tuple[Listing, tuple[Problem, ...]]:
    """The images whose number has a label in `truth` (number n at n - 1; negative: none); Problems for the others."""
    numbers = numbers_of(listing.names)
    known = (numbers >= 1) & (numbers <= len(truth))
    known[known] = truth[numbers[known] - 1] >= 0
    rows = np.flatnonzero(known)
    reason = f"{where} has no label for it"
    problems = tuple(Problem(_place_of(listing, k), reason) for k in np.flatnonzero(~known).tolist())
    return replace(listing.take(rows), labels=truth[numbers[rows] - 1]), problems


def as_text(name: str | bytes) -> str:
    """A name that is not UTF-8, with backslashes in place of its odd bytes: Arrow's strings hold no others."""
    raw = name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", "backslashreplace")


def list_some(items: Sequence[str], limit: int = LISTED) -> str:
    """The first of them in a line, and how many more there are."""
    more = f" and {len(items) - limit:,} more" if len(items) > limit else ""
    return ", ".join(items[:limit]) + more


def _listing_of_first(
    rows: Rows, order: np.ndarray, again: np.ndarray, names: "pa.Array", files: Files
) -> tuple[Listing, tuple[Problem, ...]]:
    firsts = np.flatnonzero(~again)
    problems = []
    for k in np.flatnonzero(again).tolist():
        first = firsts[np.searchsorted(firsts, k) - 1]
        other = _where(rows, order[first], files)
        problems.append(
            Problem(_where(rows, order[k], files), f"{other} is {names[k]} already; only that one is taken")
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
    file, path = as_text(files.paths[int(rows.file[k])].as_py()), rows.paths[int(k)].as_py()
    return file if file.endswith(path) else f"{file}!{path}"


def _place_of(listing: Listing, k: int) -> str:
    """As _where, of an image that is listed already: the member's extension is not known any more."""
    file = as_text(listing.files[int(listing.file[k])].as_py())
    stem = listing.names[k].as_py().rpartition("/")[2]
    return file if stem in file else f"{file}!{stem}"
