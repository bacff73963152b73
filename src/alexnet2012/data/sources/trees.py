"""Image files in trees of folders."""

import errno
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from alexnet2012.data.listing import Problem
from alexnet2012.data.sources.names import IMAGE_NAME, as_text, list_some
from alexnet2012.data.sources.rows import Files, Rows
from alexnet2012.data.sources.tars import report_listed

NO_CLASS = -2


@dataclass(frozen=True, eq=False)
class Tree:
    """Image files below a folder, folder by folder and by name; row k is the whole of file k. Labels are all 0."""

    rows: Rows
    files: Files
    problems: tuple[Problem, ...]


def list_tree(folder: Path, root: Path, is_image: Callable[[str], object] = IMAGE_NAME.search) -> Tree:
    """The files below `root` that are images by their names, their paths relative to `folder`.

    A broken link is a Problem.
    """
    import pyarrow as pa

    began = time.monotonic()
    paths, sizes, problems, others, other = [], [], [], 0, ""
    for entry in _walk(root):
        path = os.path.relpath(entry.path, folder)
        if not is_image(path):
            others, other = others + 1, other or as_text(os.fsencode(path))
        elif not holds(entry.is_file):
            problems.append(Problem(as_text(os.fsencode(path)), "it is no file, or a link to one that does not exist"))
        else:
            paths.append(os.fsencode(path))
            sizes.append(entry.stat().st_size)
    count = len(paths)
    rows = Rows(
        paths=pa.array([as_text(path) for path in paths], pa.string()),
        file=np.arange(count, dtype=np.int32),
        offset=np.zeros(count, np.int64),
        size=np.array(sizes, np.int64),
        labels=np.zeros(count, np.int64),
    )
    report_listed(f"{folder if root == folder else root.relative_to(folder)}/", count, others, began, other)
    return Tree(rows, Files.of(paths), tuple(problems))


def label_by_folder(
    tree: Tree, root: Path, folder: Path, classes: Sequence[str], split: str
) -> tuple[Rows, tuple[str, ...]]:
    """The images in the folders of `classes` below `root`, labelled; a sentence on those that lie elsewhere."""
    import pyarrow as pa
    import pyarrow.compute as pc

    below = pc.utf8_slice_codeunits(tree.rows.paths, len(f"{as_text(os.fsencode(root.relative_to(folder)))}/"))
    wnids = pc.replace_substring_regex(below, "/.*$", "")
    labels = pc.fill_null(pc.index_in(wnids, pa.array(classes, pa.string())), NO_CLASS).to_numpy().astype(np.int64)
    known = np.flatnonzero(labels != NO_CLASS)
    strangers = wnids.take(np.flatnonzero(labels == NO_CLASS))
    rows = replace(tree.rows, labels=labels).take(known)
    if not len(strangers):
        return rows, ()
    named = list_some(sorted(set(strangers.to_pylist())))
    return rows, (f"{split}: {len(strangers):,} images do not lie in a class of the edition: {named}",)


def _walk(root: Path) -> Iterator[os.DirEntry]:
    with os.scandir(root) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        if entry.name.startswith("."):
            continue
        if holds(entry.is_dir):
            yield from _walk(Path(entry.path))
        else:
            yield entry


def holds(test: Callable[[], bool]) -> bool:
    """Whether an entry's is_dir or is_file says so; a link that leads to itself is neither."""
    try:
        return test()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return False
        raise
