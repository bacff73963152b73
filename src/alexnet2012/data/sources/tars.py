"""The images inside tars and tars of tars, found by walking their headers; nothing is extracted, nothing written."""

import re
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from alexnet2012.data.listing import Problem
from alexnet2012.data.sources.names import IMAGE_NAME, as_text
from alexnet2012.data.sources.rows import Rows
from alexnet2012.errors import DataError

GZIP_MAGIC = b"\x1f\x8b"
BLOCK = tarfile.BLOCKSIZE
SYNSET_TAR = re.compile(r"(?:.*/)?(n\d{8})\.tar")
LIKE_SYNSET_TAR = re.compile(r"(?i)(?:.*/)?(n\d{8})\.(?:tar(?:\.\w+)?|tgz|tbz2?|txz)")
NO_TAR_NAME = "its name does not end with .tar; an uncompressed tar was expected"
PROGRESS_EVERY_S = 10.0


@dataclass(frozen=True, eq=False)
class Walked:
    """The images of one tar in its order, at offsets of the file on disk; `others` counts the members that are none."""

    images: Rows
    problems: tuple[Problem, ...]
    others: int


@dataclass(frozen=True)
class InnerTar:
    """A synset's nXXXXXXXX.tar in bytes [start, end) of a file; `name` as the file calls it, empty for all of it."""

    wnid: str
    name: str
    start: int
    end: int


@dataclass(frozen=True)
class InnerTars:
    """What lies in a tar of tars. `unusable`: (WordNet id, member, why) of what is named like a synset's tar only.

    `problems`: images beside the tars. `others` counts the members that are none of these.
    """

    tars: tuple[InnerTar, ...] = ()
    unusable: tuple[tuple[str, str, str], ...] = ()
    problems: tuple[Problem, ...] = ()
    others: int = 0


def walk_tar(archive: Path) -> Walked:
    """The images of a flat tar. Raises DataError when it is compressed, cut short or damaged."""
    began = time.monotonic()
    with _open(archive) as file:
        walked = _collect(file, 0, archive.stat().st_size, archive, archive.name)
    report_listed(archive.name, len(walked.images), walked.others, began)
    return walked


def walk_tar_of_tars(archive: Path, found: InnerTars) -> Iterator[tuple[str, Walked]]:
    """(WordNet id, images) of each of the tars `found` in `archive`; offsets are those of `archive` itself.

    Raises DataError as walk_tar does.
    """
    began = said = time.monotonic()
    images, others = 0, found.others
    for inner in found.tars:
        walked = walk_inner_tar(archive, inner, archive.name)
        images, others = images + len(walked.images), others + walked.others
        yield inner.wnid, walked
        if time.monotonic() - said >= PROGRESS_EVERY_S:
            said = time.monotonic()
            print(f"{archive.name}: {images:,} images listed so far, at {inner.wnid}", flush=True)
    report_listed(archive.name, images, others, began)


def list_inner_tars(archive: Path) -> InnerTars:
    """The synsets' tars inside a tar, in its order. Raises DataError as walk_tar does."""
    tars, unusable, problems, others = [], [], [], 0
    with _open(archive) as file:
        for member in _walk(file, 0, archive.stat().st_size, archive):
            name, start = as_text(member.name), member.offset_data
            if match := LIKE_SYNSET_TAR.fullmatch(member.name):
                reason = _why_unreadable(member) if SYNSET_TAR.fullmatch(member.name) else NO_TAR_NAME
                if reason:
                    unusable.append((match[1].lower(), name, reason))
                else:
                    tars.append(InnerTar(match[1], name, start, start + member.size))
            elif IMAGE_NAME.search(member.name) and not member.isdir():
                reason = _why_not(member) or "it lies beside the tars of the classes, not in one of them"
                problems.append(Problem(f"{archive.name}!{name}", reason))
            elif not member.isdir():
                others += 1
    return InnerTars(tuple(tars), tuple(unusable), tuple(problems), others)


def walk_inner_tar(archive: Path, inner: InnerTar, archive_name: str) -> Walked:
    """The images of one synset; `archive_name` is what problems call the file. Raises DataError as walk_tar does."""
    place, prefix = (f"{archive}!{inner.name}", f"{inner.name}/") if inner.name else (archive, "")
    with _open(archive) as file:
        return _collect(file, inner.start, inner.end, place, archive_name, prefix)


def report_listed(name: str, images: int, others: int, began: float, such_as: str = "") -> None:
    ignored = f"; {others:,} other files ignored{such_as and f', such as {such_as}'}" if others else ""
    print(f"{name}: {images:,} images listed in {time.monotonic() - began:.0f} s{ignored}", flush=True)


def _open(archive: Path) -> IO[bytes]:
    # Unbuffered: a header is 512 bytes, and the next one lies behind an image.
    return archive.open("rb", buffering=0)


def _collect(file: IO[bytes], start: int, end: int, place: Path | str, archive_name: str, prefix: str = "") -> Walked:
    names, offsets, sizes, problems, others = [], [], [], [], 0
    for member in _walk(file, start, end, place):
        if member.isdir():
            continue
        if not IMAGE_NAME.search(member.name):
            others += 1
        elif reason := _why_not(member):
            problems.append(Problem(f"{archive_name}!{prefix}{as_text(member.name)}", reason))
        else:
            names.append(prefix + as_text(member.name))
            offsets.append(member.offset_data)
            sizes.append(member.size)
    return Walked(Rows.of(names, np.array(offsets, np.int64), np.array(sizes, np.int64)), tuple(problems), others)


def _why_not(member: tarfile.TarInfo) -> str:
    if reason := _why_unreadable(member):
        return reason
    if member.name.startswith("/") or ".." in member.name.split("/"):
        return "its path leads out of the archive"
    return ""


def _why_unreadable(member: tarfile.TarInfo) -> str:
    if member.issym() or member.islnk():
        return f"it is a link (to {as_text(member.linkname)}), and links in archives are not followed"
    if member.issparse():
        return "it is stored as a sparse file, which cannot be read at an offset"
    if not member.isreg():
        return "it is no regular file but a device or a pipe"
    return ""


def _walk(file: IO[bytes], start: int, end: int, place: Path | str) -> Iterator[tarfile.TarInfo]:
    """The members of the tar in bytes [start, end) of `file`, with offsets of `file`."""
    if start == end:
        return
    _refuse_compressed(file, start, place)
    file.seek(start)
    try:
        # A TarFile that starts in the middle of a file counts its offsets from the file's beginning.
        with tarfile.TarFile(fileobj=_Window(file, end)) as tar:
            while member := tar.next():
                tar.members.clear()  # TarFile would keep every one of them
                if member.offset_data + member.size > end:
                    raise _cut_short(place, member, start, end)
                yield member
            _refuse_early_end(file, tar.offset, start, end, place)
    except tarfile.TarError as error:
        raise DataError(
            f"{place} cannot be read as a tar of {end - start:,} bytes: {error}. It is damaged or cut short; "
            "compare its size with the publisher's and download it again."
        ) from None


def _refuse_compressed(file: IO[bytes], start: int, place: Path | str) -> None:
    file.seek(start)
    if file.read(2) == GZIP_MAGIC:
        raise DataError(
            f"{place} is compressed with gzip; images are read at their offsets, which only an uncompressed tar has. "
            "Gunzip it and keep its name."
        )


def _cut_short(place: Path | str, member: tarfile.TarInfo, start: int, end: int) -> DataError:
    return DataError(
        f"{place} is cut short: its member {as_text(member.name)} reaches to byte "
        f"{member.offset_data + member.size - start:,}, but there are only {end - start:,}. Download it again."
    )


def _refuse_early_end(file: IO[bytes], offset: int, start: int, end: int, place: Path | str) -> None:
    """A tar ends with blocks of zeros; TarFile takes a damaged header, or the end of the file, for the end as well."""
    file.seek(offset)
    block = file.read(max(0, min(BLOCK, end - offset)))
    if block == bytes(BLOCK):
        return
    what = "is cut short: it ends without a tar's end mark" if len(block) < BLOCK else "has a damaged header"
    raise DataError(f"{place} {what} at byte {offset - start:,} of {end - start:,}. Download it again.")


class _Window:
    """A file that ends at `end`, as far as TarFile looks at it."""

    def __init__(self, file: IO[bytes], end: int) -> None:
        self._file, self._end = file, end
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        return self._file.read(max(0, min(size, self._end - self._file.tell())))
