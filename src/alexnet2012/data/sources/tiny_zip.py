"""Tiny ImageNet's official archive, a zip that is read where it lies."""

import time
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from alexnet2012.data.sources.names import IMAGE_NAME, as_text, list_some
from alexnet2012.data.sources.rows import Files, Rows
from alexnet2012.data.sources.source import Checksum
from alexnet2012.data.sources.tars import report_listed
from alexnet2012.data.sources.tiny_download import PUBLISHED, PUBLISHED_BYTES
from alexnet2012.data.sources.tiny_layouts import ANNOTATIONS, CLASSES
from alexnet2012.data.sources.tiny_listing import Official, list_official
from alexnet2012.data.sources.trees import Tree
from alexnet2012.data.sources.verify import Inventory
from alexnet2012.errors import DataError

ADVICE = f"The official {PUBLISHED.file_name} has {PUBLISHED_BYTES:,} bytes; compare, and download it again"
Member = tuple[int, zipfile.ZipInfo]  # with its number in the directory


def list_zip(archive: Path) -> Inventory:
    """The official tree inside a zip; members may be stored or deflated.

    Raises DataError for what is no whole zip or holds another tree, and as list_official does.
    """
    began = time.monotonic()
    try:
        with zipfile.ZipFile(archive) as file:
            members = list(enumerate(file.infolist()))
            root = _find_root(archive, [member.filename for _, member in members])
            train, val = (_list_tree(archive, members, root, split) for split in ("train", "val"))
            texts = [_read_text(archive, file, f"{root}{name}") for name in (CLASSES, ANNOTATIONS)]
    except (zipfile.BadZipFile, OSError, RuntimeError) as error:
        size = archive.stat().st_size
        raise DataError(f"{archive} ({size:,} bytes) cannot be read as a zip: {error}. {ADVICE}.") from None
    listed = len(train.rows) + len(val.rows)
    report_listed(archive.name, listed, len(members) - listed, began)
    found = list_official(Official(str(archive), archive.parent, train, val, texts[0] or "", texts[1]))
    return replace(found, checksums=(Checksum(archive, PUBLISHED.checksum),))


def _find_root(archive: Path, names: Sequence[str]) -> str:
    """What the paths of the tree begin with, as in "tiny-imagenet-200/"."""
    roots = [name.removesuffix(CLASSES) for name in names if f"/{name}".endswith(f"/{CLASSES}")]
    if len(roots) != 1:
        found = f"holds several {CLASSES}: {list_some(roots)}" if roots else f"holds no {CLASSES}"
        raise DataError(
            f"{archive} {found}; tiny-imagenet-200/{CLASSES} beside train/ and val/ was expected. {ADVICE}."
        )
    return roots[0]


def _list_tree(archive: Path, members: Sequence[Member], root: str, split: str) -> Tree:
    """The images of a split, their paths relative to `root`."""
    import pyarrow as pa

    images = [
        (number, member)
        for number, member in members
        if member.filename.startswith(f"{root}{split}/") and IMAGE_NAME.search(member.filename)
    ]
    rows = Rows(
        paths=pa.array([as_text(member.filename.removeprefix(root)) for _, member in images], pa.string()),
        file=np.zeros(len(images), np.int32),
        offset=np.array([number for number, _ in images], np.int64),
        size=np.array([member.file_size for _, member in images], np.int64),
        labels=np.zeros(len(images), np.int64),
    )
    return Tree(rows, Files.of([archive.name.encode("utf-8", "surrogateescape")], "zip"), ())


def _read_text(archive: Path, file: zipfile.ZipFile, name: str) -> str | None:
    """The text of a member; None where there is none of that name."""
    if name not in file.NameToInfo:
        return None
    try:
        return file.read(name).decode()
    except UnicodeDecodeError:
        raise DataError(f"{archive}: {name} is not text in UTF-8; it is damaged. {ADVICE}.") from None
