"""The Fall 2009 and Fall 2011 releases of ImageNet: a tar for each synset, read by a class list."""

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.listing import Listing, Problem
from alexnet2012.data.packed import SPLITS
from alexnet2012.data.sources import layouts
from alexnet2012.data.sources.class_list import read_class_list
from alexnet2012.data.sources.draw import count_splits, draw_splits
from alexnet2012.data.sources.names import as_text, list_some
from alexnet2012.data.sources.rows import Files, arrange_train
from alexnet2012.data.sources.source import Source
from alexnet2012.data.sources.tars import (
    LIKE_SYNSET_TAR,
    NO_TAR_NAME,
    PROGRESS_EVERY_S,
    SYNSET_TAR,
    InnerTar,
    InnerTars,
    list_inner_tars,
    report_listed,
    walk_inner_tar,
)
from alexnet2012.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

FALL_2009_CLASSES = 10_184  # §6, with 8.9 million images
TITLES = {"fall2009": "the Fall 2009 release", "fall2011": "the Fall 2011 release"}
WHOLE = re.compile(r".*whole.*\.tar")  # fall11_whole.tar: the synsets' tars in one
CHUNK_CLASSES = 256


def find_release(dataset: DatasetConfig) -> Source:
    """The listed classes; val and test are drawn from the images of each with `split_seed`.

    Raises DataError when a listed class has no tar or too few images; tars of other classes are ignored.
    """
    folder = layouts.source_folder(dataset)
    classes = read_class_list(Path(str(dataset.class_list)).expanduser())
    archives, tar_of = _find_tars(folder, classes)
    fractions = {"val": dataset.val_fraction, "test": dataset.test_fraction}
    generator = np.random.default_rng(dataset.split_seed)
    parts = {name: _Part() for name in SPLITS}
    problems, too_few = [], []
    for label, (listing, found) in enumerate(_list_classes(folder, classes, archives, tar_of)):
        problems += found
        counts = count_splits(len(listing), fractions)
        if counts is None:
            too_few.append(f"{classes[label]} ({len(listing)})")
            continue
        for name, rows in draw_splits(len(listing), counts, generator).items():
            parts[name].add(listing.take(rows), label)
    if too_few:
        raise DataError(
            f"{folder}: {len(too_few):,} classes have too few images to be split into train, val and test: "
            f"{list_some(too_few)}. Remove them from {dataset.class_list}."
        )
    files = _files_of(archives, folder)
    # One split after another: what one is made of is freed before the next, which counts with 15 million images.
    splits = {name: parts.pop(name).join(files) for name in SPLITS}
    description = f"{TITLES[dataset.kind]}, {len(classes):,} classes from {folder}"
    return Source(
        description, folder, classes, splits, tuple(problems), part=_describe_part(dataset.kind, len(classes))
    )


def _describe_part(kind: str, classes: int) -> str:
    """Empty for the classes of §6's Fall 2009, as far as their number tells; of Fall 2011 the paper gives no number."""
    if kind != "fall2009" or classes == FALL_2009_CLASSES:
        return ""
    return f"{classes:,} of {FALL_2009_CLASSES:,} classes"


def _find_tars(folder: Path, classes: tuple[str, ...]) -> tuple[list[Path], dict[str, tuple[int, InnerTar]]]:
    """The archives, and for each class the number of its archive and where in it the class lies.

    A tar of the class's own goes before one inside a tar of the whole release.
    """
    archives, tar_of, wanted, ignored, unusable = [], {}, set(classes), set(), {}
    for path in _find_archives(folder):
        found = _look_into(path)
        place = as_text(os.fsencode(path.relative_to(folder)))
        for wnid, name, reason in found.unusable:
            unusable[wnid] = f"{place}!{name} ({reason})" if name else f"{place} ({reason})"
        if found.problems:
            named = list_some([problem.path for problem in found.problems])
            count = len(found.problems)
            print(f"{place}: {count:,} images lie beside the tars of the classes and are left out: {named}", flush=True)
        archives += [path] if found.tars else []
        for inner in found.tars:
            if inner.wnid not in wanted:
                ignored.add(inner.wnid)
            elif inner.wnid not in tar_of:
                tar_of[inner.wnid] = (len(archives) - 1, inner)
            elif inner.name == "":
                first = archives[tar_of[inner.wnid][0]]
                raise DataError(f"{folder} holds two tars of {inner.wnid}, {first} and {path}; remove one of them.")
    if missing := [wnid for wnid in classes if wnid not in tar_of]:
        seen = [unusable[wnid] for wnid in missing if wnid in unusable]
        raise DataError(
            f"{folder} holds no tar of {len(missing):,} of the {len(classes):,} listed classes: {list_some(missing)}. "
            + (f"These cannot be read: {list_some(seen)}. " if seen else "")
            + "Put their nXXXXXXXX.tar there or remove them from the class list."
        )
    if ignored:
        print(f"{folder}: {len(ignored):,} tars of classes that are not listed are ignored", flush=True)
    return archives, tar_of


def _find_archives(folder: Path) -> list[Path]:
    """All that is named like a tar of a class, then all that is named like one of the whole release."""
    paths = folder.rglob("*")
    named = [path for path in paths if LIKE_SYNSET_TAR.fullmatch(path.name) or WHOLE.fullmatch(path.name)]
    return sorted(named, key=lambda path: (bool(WHOLE.fullmatch(path.name)), path))


def _look_into(path: Path) -> InnerTars:
    match = LIKE_SYNSET_TAR.fullmatch(path.name)
    if match is None:
        return list_inner_tars(path)
    if not SYNSET_TAR.fullmatch(path.name):
        return InnerTars(unusable=((match[1].lower(), "", NO_TAR_NAME),))
    if not path.is_file():
        return InnerTars(unusable=((match[1], "", "it is no file, or a link to one that does not exist"),))
    return InnerTars(tars=(InnerTar(match[1], "", 0, path.stat().st_size),))


def _list_classes(
    folder: Path, classes: tuple[str, ...], archives: list[Path], tar_of: dict[str, tuple[int, InnerTar]]
) -> Iterator[tuple[Listing, tuple[Problem, ...]]]:
    """Each class's images in canonical order, under labels 0, and its problems."""
    began = said = time.monotonic()
    images = others = 0
    files = _files_of(archives, folder)
    for wnid in classes:
        number, inner = tar_of[wnid]
        walked = walk_inner_tar(archives[number], inner, str(archives[number].relative_to(folder)))
        listing, duplicates = arrange_train(
            walked.images.in_file(number), (wnid,), files, prefix="", official_names=False
        )
        images, others = images + len(listing), others + walked.others
        yield listing, (*walked.problems, *duplicates)
        if time.monotonic() - said >= PROGRESS_EVERY_S:
            said = time.monotonic()
            print(f"{folder}: {images:,} images listed so far, at {wnid}", flush=True)
    report_listed(f"{folder}, {len(classes):,} classes", images, others, began)


def _files_of(archives: list[Path], folder: Path) -> Files:
    return Files.of([os.fsencode(path.relative_to(folder)) for path in archives])


@dataclass
class _Part:
    """One split, class by class, as columns alone.

    The small pieces are joined into chunks on the way: thousands of them at once would leave the heap in shreds.
    """

    pieces: list[Listing] = field(default_factory=list)
    names: list["pa.Array"] = field(default_factory=list)
    columns: dict[str, list[np.ndarray]] = field(default_factory=lambda: {"file": [], "offset": [], "size": []})
    counts: list[tuple[int, int]] = field(default_factory=list)

    def add(self, listing: Listing, label: int) -> None:
        self.pieces.append(listing)
        self.counts.append((label, len(listing)))
        if len(self.pieces) >= CHUNK_CLASSES:
            self._join_pieces()

    def _join_pieces(self) -> None:
        import pyarrow as pa

        self.names.append(pa.concat_arrays([piece.names for piece in self.pieces]))
        for name, chunks in self.columns.items():
            chunks.append(np.concatenate([getattr(piece, name) for piece in self.pieces]))
        self.pieces.clear()

    def join(self, files: Files) -> Listing:
        """All of them; the chunks are given up, column by column."""
        import pyarrow as pa

        if self.pieces:
            self._join_pieces()
        names = pa.concat_arrays(self.names)
        self.names.clear()
        joined = {name: np.concatenate(self.columns.pop(name)) for name in list(self.columns)}
        labels, counts = np.array(self.counts, np.int64).T
        return Listing(files.paths, names=names, labels=np.repeat(labels, counts), **joined)
