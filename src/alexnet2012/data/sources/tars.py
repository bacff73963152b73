"""Listing the images in tars and tars of tars by walking the headers; nothing is extracted or written."""

import os
import re
import tarfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from alexnet2012.data.listing import Listing, Problem
from alexnet2012.data.reading import MAX_UNPACKED_BYTES
from alexnet2012.data.sources.image_names import IMAGE_NAME, in_one_line
from alexnet2012.errors import DataError

GZIP_MAGIC = b"\x1f\x8b"
BLOCK = tarfile.BLOCKSIZE
SYNSET_TAR = re.compile(r"(?:.*/)?(n\d{8})\.tar")
LIKE_SYNSET_TAR = re.compile(r"(?i)(?:.*/)?(n\d{8})\.(?:tar(?:\.\w+)?|tgz|tbz2?|txz)")
NO_TAR_NAME = "its name does not end with .tar; an uncompressed tar was expected"
PROGRESS_EVERY_S = 10.0


class InnerTar(NamedTuple):
    """A synset's nXXXXXXXX.tar, by its name: bytes [start, end) of `archive`, where it is the member `name`.

    `name` is empty if the tar is the whole file. `fault`: the reason why it cannot be read; empty if it can.
    """

    archive: Path
    wnid: str
    name: str
    start: int = 0
    end: int = 0
    fault: str = ""


def walk_tar(archive: Path) -> Listing:
    """The images of a flat tar, in its order. Raises DataError if it is compressed, cut short or damaged."""
    began = time.monotonic()
    images, others = _walk_images(InnerTar(archive, "", "", 0, archive.stat().st_size), archive.parent)
    report_listed(archive.name, len(images), others, began)
    return images


def walk_inner_tars(
    tars: Iterable[InnerTar], folder: Path, title: str, others: int = 0
) -> Iterator[tuple[str, Listing]]:
    """(WordNet id, images) of each of `tars`, which lie in `folder`; offsets are those in the file on disk.

    Prints the progress under `title`, and at the end the numbers of images and of other files; the latter start at
    `others`. Raises DataError as walk_tar does.
    """
    began = said = time.monotonic()
    count = 0
    for tar in tars:
        images, ignored = _walk_images(tar, folder)
        count, others = count + len(images), others + ignored
        yield tar.wnid, images
        if time.monotonic() - said >= PROGRESS_EVERY_S:
            said = time.monotonic()
            print(f"{title}: {count:,} images listed so far, at {tar.wnid}", flush=True)
    report_listed(title, count, others, began)


def list_inner_tars(archive: Path) -> tuple[list[InnerTar], list[Problem], int]:
    """The synsets' tars inside a tar, in its order; a Problem for each image beside them; the number of other members.

    Raises DataError as walk_tar does.
    """
    tars, problems, others = [], [], 0
    with _open(archive) as file:
        for member in _walk(file, 0, archive.stat().st_size, archive):
            name, start = in_one_line(member.name), member.offset_data
            if match := LIKE_SYNSET_TAR.fullmatch(member.name):
                fault = _why_unreadable(member) if SYNSET_TAR.fullmatch(member.name) else NO_TAR_NAME
                wnid = match[1].lower() if fault else match[1]
                tars.append(InnerTar(archive, wnid, name, start, start + member.size, fault))
            elif IMAGE_NAME.search(member.name) and not member.isdir():
                reason = _why_not(member) or "it lies beside the tars of the classes, not in one of them"
                problems.append(Problem(f"{archive.name}!{name}", reason))
            elif not member.isdir():
                others += 1
    return tars, problems, others


def read_members(archive: Path, names: Sequence[str]) -> dict[str, bytes]:
    """By name, the contents of the members of a small tar (possibly compressed) whose paths end with one of `names`.

    Raises ValueError if some are missing or far too large, and exceptions of tarfile for damaged or other files.
    """
    found = {}
    # Read once as a stream, because seeking in a gzipped tar is slow.
    with tarfile.open(archive, "r|*") as tar:
        for member in tar:
            name = next((name for name in names if f"/{member.name}".endswith(f"/{name}")), None)
            if name and member.size > MAX_UNPACKED_BYTES:
                raise ValueError(f"its member {name} would have {member.size:,} bytes: a decompression bomb")
            if name and member.isreg() and (content := tar.extractfile(member)):
                found[name] = content.read()
    if missing := [name for name in names if name not in found]:
        raise ValueError(f"it lacks {' and '.join(missing)}")
    return found


def report_listed(name: str, images: int, others: int, began: float, such_as: str = "") -> None:
    ignored = f"; {others:,} other files ignored{such_as and f', such as {such_as}'}" if others else ""
    print(f"{name}: {images:,} images listed in {time.monotonic() - began:.0f} s{ignored}", flush=True)


def _walk_images(tar: InnerTar, folder: Path) -> tuple[Listing, int]:
    """The images of a tar in `folder`, and the number of its other files."""
    archive = tar.archive.relative_to(folder)
    place, prefix = (f"{tar.archive}!{tar.name}", f"{tar.name}/") if tar.name else (tar.archive, "")
    names, offsets, sizes, problems, others = [], [], [], [], 0
    with _open(tar.archive) as file:
        for member in _walk(file, tar.start, tar.end, place):
            if member.isdir():
                continue
            if not IMAGE_NAME.search(member.name):
                others += 1
            elif reason := _why_not(member):
                problems.append(Problem(in_one_line(f"{archive}!{prefix}{member.name}"), reason))
            else:
                names.append(prefix + in_one_line(member.name))
                offsets.append(member.offset_data)
                sizes.append(member.size)
    return Listing.of(names, [os.fsencode(archive)], offset=offsets, size=sizes, problems=tuple(problems)), others


def _open(archive: Path) -> IO[bytes]:
    # Unbuffered: a header has only 512 bytes, and the next one comes after an image.
    return archive.open("rb", buffering=0)


def _why_not(member: tarfile.TarInfo) -> str:
    if reason := _why_unreadable(member):
        return reason
    if member.name.startswith("/") or ".." in member.name.split("/"):
        return "its path leads out of the archive"
    return ""


def _why_unreadable(member: tarfile.TarInfo) -> str:
    if member.issym() or member.islnk():
        return f"it is a link (to {in_one_line(member.linkname)}), and links in archives are not followed"
    if member.issparse():
        return "it is stored as a sparse file, which cannot be read at an offset"
    return "" if member.isreg() else "it is no regular file but a device or a pipe"


def _walk(file: IO[bytes], start: int, end: int, place: Path | str) -> Iterator[tarfile.TarInfo]:
    """The members of the tar in bytes [start, end) of `file`, with offsets in `file`."""
    if start == end:
        return
    file.seek(start)
    if file.read(2) == GZIP_MAGIC:
        raise DataError(
            f"{place} is compressed with gzip; images are read at their offsets, which only an uncompressed tar has. "
            "Gunzip it and keep its name."
        )
    file.seek(start)
    try:
        # A TarFile that starts in the middle of a file counts offsets from the file's beginning.
        with tarfile.TarFile(fileobj=_Window(file, end)) as tar:  # type: ignore[arg-type]  # it only reads
            while member := tar.next():
                tar.members.clear()  # type: ignore[attr-defined]  # otherwise TarFile would keep all members
                if member.offset_data + member.size > end:
                    raise DataError(
                        f"{place} is cut short: its member {in_one_line(member.name)} reaches to byte "
                        f"{member.offset_data + member.size - start:,}, but there are only {end - start:,}. Download "
                        "it again."
                    )
                yield member
            _refuse_early_end(file, tar.offset, start, end, place)
    except tarfile.TarError as error:
        raise DataError(
            f"{place} cannot be read as a tar of {end - start:,} bytes: {error}. It is damaged or cut short; "
            "compare its size with the publisher's and download it again."
        ) from None


def _refuse_early_end(file: IO[bytes], offset: int, start: int, end: int, place: Path | str) -> None:
    """Raise DataError unless a tar ends with a block of zeros; TarFile also stops at a damaged header or the end of the
    file."""
    file.seek(offset)
    block = file.read(max(0, min(BLOCK, end - offset)))
    if block == bytes(BLOCK):
        return
    what = "is cut short: it ends without a tar's end mark" if len(block) < BLOCK else "has a damaged header"
    raise DataError(f"{place} {what} at byte {offset - start:,} of {end - start:,}. Download it again.")


class _Window:
    """A file for TarFile to read that ends at byte `end`."""

    def __init__(self, file: IO[bytes], end: int) -> None:
        self._file, self._end = file, end
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        return self._file.read(max(0, min(size, self._end - self._file.tell())))
