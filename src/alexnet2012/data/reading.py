"""The bytes of listed images, from files, from inside tars and zips, or from parquet shards; nothing is extracted."""

import os
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from alexnet2012.data.listing import Listing

CHUNK_IMAGES = 64
MAX_CHUNK_IMAGES = 512  # of a large row group, whose beginning is then read again for each chunk
PARQUET_BATCH, PARQUET_BUFFER = 16, 2**20  # rows and bytes held at once, however large the row groups are


@dataclass(frozen=True, eq=False)
class Chunk:
    """A few images that lie one after another in the source: `rows` are their places in the packed split."""

    rows: np.ndarray
    files: list[str]
    offsets: list[int]
    sizes: list[int]
    names: list[str]
    container: str


def cut_chunks(listing: Listing, rows: np.ndarray, folder: Path) -> Iterator[Chunk]:
    """The images `rows`, which are in source order, in chunks; those of parquet shards end where a row group does."""
    cuts = np.arange(0, len(rows), CHUNK_IMAGES)
    if listing.container == "parquet" and len(rows):
        cuts = _cut_row_groups(listing, rows, folder)
    for first, end in zip(cuts, [*cuts[1:], len(rows)], strict=True):
        part = rows[first:end]
        yield Chunk(
            part,
            [os.fsdecode(path) for path in listing.files.take(listing.file[part]).to_pylist()],
            listing.offset[part].tolist(),
            listing.size[part].tolist(),
            listing.names.take(part).to_pylist(),
            listing.container,
        )


def read_chunk(chunk: Chunk, folder: Path) -> Iterator[bytes | OSError]:
    """The bytes of each image, or why they cannot be had."""
    if chunk.container == "parquet":
        yield from _read_parquet(chunk, folder)
        return
    if chunk.container == "zip":
        yield from _read_zip(chunk, folder)
        return
    opened, file = None, None
    try:
        for path, offset, size in zip(chunk.files, chunk.offsets, chunk.sizes, strict=True):
            try:
                if path != opened:
                    if file is not None:
                        file.close()
                    opened, file = None, None
                    file = (folder / path).open("rb", buffering=0)
                    opened = path
                content = os.pread(file.fileno(), size, offset)
                if len(content) < size:
                    raise OSError(f"{path} ends {size - len(content):,} bytes before the image does")
                yield content
            except OSError as error:
                yield error
    finally:
        if file is not None:
            file.close()


def describe_place(listing: Listing, row: int) -> str:
    """Where an image lies, as people would look for it."""
    path = os.fsdecode(listing.files[int(listing.file[row])].as_py())
    if listing.container == "parquet":
        return f"{path}, row {listing.offset[row]:,} ({listing.names[row].as_py()})"
    return path if not path.endswith((".tar", ".zip")) else f"{path}!{listing.names[row].as_py()}"


def _read_zip(chunk: Chunk, folder: Path) -> Iterator[bytes | OSError]:
    for path, number in zip(chunk.files, chunk.offsets, strict=True):
        try:
            archive = _open_zip(folder / path)
            yield archive.read(archive.infolist()[number])
        except OSError as error:
            yield error
        # What zipfile raises for members that are damaged, encrypted, or compressed in a way that it does not know.
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, IndexError) as error:
            yield OSError(f"{path} cannot be read: {error}")


@lru_cache(maxsize=1)
def _open_zip(path: Path) -> zipfile.ZipFile:
    """Opened once by each process: reading the directory of 120,000 members takes about a second."""
    return zipfile.ZipFile(path)


def _read_parquet(chunk: Chunk, folder: Path) -> Iterator[bytes | OSError]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path, wanted, given = chunk.files[0], chunk.offsets, 0
    try:
        with pq.ParquetFile(folder / path, pre_buffer=False, buffer_size=PARQUET_BUFFER) as file:
            ends = _row_group_ends(file)
            first, last = np.searchsorted(ends, [wanted[0], wanted[-1]], side="right")
            row = int(ends[first - 1]) if first else 0
            batches = file.iter_batches(PARQUET_BATCH, row_groups=range(first, last + 1), columns=["image.bytes"])
            for batch in batches:
                images = batch.column(0).field("bytes")
                while given < len(wanted) and wanted[given] < row + len(batch):
                    yield images[wanted[given] - row].as_py() or b""
                    given += 1
                row += len(batch)
    except (pa.ArrowException, OSError) as error:
        for _ in wanted[given:]:
            yield OSError(f"{path} cannot be read: {error}")


def _cut_row_groups(listing: Listing, rows: np.ndarray, folder: Path) -> list[int]:
    """Places in `rows` where a chunk begins: at the first row of each file, and of each row group after enough rows."""
    import pyarrow.parquet as pq

    group = np.empty(len(rows), dtype=np.int64)
    for number in np.unique(listing.file[rows]):
        own = listing.file[rows] == number
        with pq.ParquetFile(folder / os.fsdecode(listing.files[int(number)].as_py())) as file:
            group[own] = np.searchsorted(_row_group_ends(file), listing.offset[rows][own], side="right")
    new_file = set((np.flatnonzero(np.diff(listing.file[rows])) + 1).tolist())
    new_group = set((np.flatnonzero(np.diff(group)) + 1).tolist())
    cuts = [0]
    for place in sorted(new_file | new_group):
        if place in new_file or place - cuts[-1] >= CHUNK_IMAGES:
            cuts.append(place)
    return [
        place
        for first, end in zip(cuts, [*cuts[1:], len(rows)], strict=True)
        for place in range(first, end, MAX_CHUNK_IMAGES)
    ]


def _row_group_ends(file) -> np.ndarray:
    """For each row group of a parquet file the number of rows up to its end."""
    metadata = file.metadata
    return np.cumsum([metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)])
