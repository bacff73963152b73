"""Reading the bytes of listed images from files, tars, zips or parquet shards, without extracting anything."""

import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path

import numpy as np

from alexnet2012.data.listing import Container, Listing

MAX_UNPACKED_BYTES = 2**28  # of one image, or of a list in an archive
PARQUET_BATCH, PARQUET_BUFFER = 16, 2**20  # rows and bytes in memory at once, even for large row groups


@dataclass(frozen=True, eq=False)
class Shard:
    """Images that are consecutive in the source; `rows`: their row numbers in the listing.

    The other columns are those of a Listing, as lists, so that the decoding processes do not need pyarrow.
    """

    container: Container
    rows: list[int]
    name: list[str]
    file: list[str]
    offset: list[int]
    size: list[int]


def cut_shard(listing: Listing, rows: np.ndarray) -> Shard:
    """A shard of the images `rows` of a listing; `rows` must be in source order."""
    columns = listing.table.select(["name", "file", "offset", "size"]).take(rows).to_pydict()
    return Shard(listing.container, rows.tolist(), **columns | {"file": [*map(os.fsdecode, columns["file"])]})


def read_images(shard: Shard, folder: Path) -> Iterator[bytes | OSError]:
    """The bytes of each image, or the OSError that prevented reading them."""
    read = {"bytes": _read_bytes, "zip": _read_zip, "parquet": _read_parquet}[shard.container]
    return read(shard, folder)


def describe_place(listing: Listing, row: int) -> str:
    """The place of an image, for messages."""
    path = os.fsdecode(listing.files[int(listing.file[row])].as_py())
    if listing.container == "parquet":
        return f"{path}, row {listing.offset[row]:,} ({listing.names[row].as_py()})"
    return path if not path.endswith((".tar", ".zip")) else f"{path}!{listing.names[row].as_py()}"


def _read_bytes(shard: Shard, folder: Path) -> Iterator[bytes | OSError]:
    files: dict[str, int] = {}  # the descriptor of the file that is open
    with ExitStack() as stack:
        for path, offset, size in zip(shard.file, shard.offset, shard.size, strict=True):
            try:
                if path not in files:
                    stack.close()
                    files.clear()
                    files[path] = stack.enter_context((folder / path).open("rb", buffering=0)).fileno()
                content = os.pread(files[path], size, offset)
                if len(content) < size:
                    raise OSError(f"{path} ends {size - len(content):,} bytes before the image does")
                yield content
            except OSError as error:
                yield error


def _read_zip(shard: Shard, folder: Path) -> Iterator[bytes | OSError]:
    for path, number in zip(shard.file, shard.offset, strict=True):
        try:
            archive = _open_zip(folder / path)
            member = archive.infolist()[number]
            if member.file_size > MAX_UNPACKED_BYTES:
                raise OSError(f"unpacked it would have {member.file_size:,} bytes: a decompression bomb")
            yield archive.read(member)
        except OSError as error:
            yield error
        # zipfile raises these for members that are damaged, encrypted, or compressed by an unknown method.
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, IndexError) as error:
            yield OSError(f"{path} cannot be read: {error}")


@lru_cache(maxsize=1)
def _open_zip(path: Path) -> zipfile.ZipFile:
    """An open zip, cached in each process: reading the directory of 120,000 members takes about a second."""
    return zipfile.ZipFile(path)


def _read_parquet(shard: Shard, folder: Path) -> Iterator[bytes | OSError]:
    for path, places in groupby(zip(shard.file, shard.offset, strict=True), key=lambda place: place[0]):
        yield from _read_rows(folder, path, [row for _, row in places])


def _read_rows(folder: Path, path: str, wanted: list[int]) -> Iterator[bytes | OSError]:
    """The images in the rows `wanted` (ascending) of a parquet file; reads only the row groups that contain them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    given = 0
    try:
        with pq.ParquetFile(folder / path, pre_buffer=False, buffer_size=PARQUET_BUFFER) as file:
            metadata = file.metadata
            ends = np.cumsum([metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)])
            first, last = np.searchsorted(ends, [wanted[0], wanted[-1]], side="right")
            row = int(ends[first - 1]) if first else 0
            for batch in file.iter_batches(PARQUET_BATCH, row_groups=range(first, last + 1), columns=["image.bytes"]):
                images = batch.column(0).field("bytes")
                while given < len(wanted) and wanted[given] < row + len(batch):
                    yield images[wanted[given] - row].as_py() or b""
                    given += 1
                row += len(batch)
    except (pa.ArrowException, OSError) as error:
        for _ in wanted[given:]:
            yield OSError(f"{path} cannot be read: {error}")
