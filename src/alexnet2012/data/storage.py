"""Storage of a split's images: raw pixels in images.npy, or JPEGs in images.bin with their positions in offsets.npy."""

import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from alexnet2012.errors import DataError
from alexnet2012.files import in_bytes

if TYPE_CHECKING:
    import pyarrow as pa

    from alexnet2012.config.datasets import DatasetConfig

JPEG_SHARE = 0.2  # JPEG bytes per raw byte, for photographs at 256x256, quality 95, full colour resolution

Write = Callable[[int, np.ndarray], int]


class RawStore:
    """Raw pixels, uint8 (n, s, s, 3), in images.npy: 196,608 bytes per image at 256 pixels.

    Every process writes its images directly to their final rows.
    """

    def __init__(self, folder: Path, images: int, size_px: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.path, self.size_px = folder, folder / "images.npy", size_px
        self.image_bytes = size_px * size_px * 3
        self.path.touch()
        self.held = self.path.stat().st_size
        # A kill may have left another header or length; numpy pads headers of this kind to equal lengths.
        self.first_byte = self._write_header(images)

    def take_over(self, rows: np.ndarray, record: "pa.Table") -> bool:
        """Whether the file already held the images `rows`, which an earlier attempt packed."""
        return self._place(int(rows.max()) + 1) <= self.held

    @contextmanager
    def writing(self, shard: int) -> Iterator[Write]:
        """A function that stores an image at its row; returns 0, since raw images have no length to record."""
        with self.path.open("r+b") as file:

            def write(row: int, pixels: np.ndarray) -> int:
                file.seek(self._place(row))
                file.write(np.ascontiguousarray(pixels).data)
                return 0

            yield write

    def commit(self, shard: int) -> int:
        """Return when a shard's images are on disk; 0, since raw images have no first byte to record."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        return 0

    def arrange(self, kept: np.ndarray, record: "pa.Table") -> None:
        """Move row kept[k] to row k for all k, and truncate the file after them.

        Only rows after the new end move. A resumed preparation packs rows again if they were truncated.
        """
        with self.path.open("r+b") as file:
            for row in np.flatnonzero(kept != np.arange(len(kept))).tolist():
                file.seek(self._place(int(kept[row])))
                image = file.read(self.image_bytes)
                file.seek(self._place(row))
                file.write(image)
        self._write_header(len(kept))
        self.commit(0)

    def _place(self, row: int) -> int:
        return self.first_byte + row * self.image_bytes

    def _write_header(self, images: int) -> int:
        """Make the file an array of `images` images; returns the position of its first byte."""
        with self.path.open("r+b") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": (images, self.size_px, self.size_px, 3)}
            np.lib.format.write_array_header_1_0(file, header)
            first_byte = file.tell()
            file.truncate(first_byte + images * self.image_bytes)
        return first_byte


class JpegStore:
    """JPEGs one after another in images.bin; offsets.npy, int64 (n, 2), has each one's first byte and length.

    A process writes the JPEGs of a shard to a separate file, which is then appended to images.bin in shard order.
    """

    def __init__(self, folder: Path, size_px: int, quality: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.path, self.size_px, self.quality = folder, folder / "images.bin", size_px, quality
        self.path.touch()
        self.held, self.end = self.path.stat().st_size, 0

    def take_over(self, rows: np.ndarray, record: "pa.Table") -> bool:
        """Whether the file already held a shard of an earlier attempt, directly after the shards taken over before."""
        first, end = record["first_byte"][0].as_py(), self.end + sum(record["length"].to_pylist())
        if first != self.end or end > self.held:
            return False
        self.end = end
        return True

    @contextmanager
    def writing(self, shard: int) -> Iterator[Write]:
        """A function that stores an image in the shard's file, and returns its number of bytes."""
        with self._shard_file(shard).open("wb") as file:
            yield lambda row, pixels: file.write(encode(pixels, self.quality))

    def commit(self, shard: int) -> int:
        """Append a shard to images.bin; returns the position of its first byte when all is on disk."""
        first = self.end
        with self.path.open("r+b") as file:
            file.seek(first)
            with self._shard_file(shard).open("rb") as own:
                shutil.copyfileobj(own, file)
            self.end = file.tell()
            file.flush()
            os.fsync(file.fileno())
        self._shard_file(shard).unlink()
        return first

    def arrange(self, kept: np.ndarray, record: "pa.Table") -> None:
        """Write offsets.npy, in which row k is the image of row kept[k]."""
        os.truncate(self.path, self.end)
        np.save(self.folder / "offsets.npy", np.column_stack([record["first_byte"], record["length"]])[kept])

    def _shard_file(self, shard: int) -> Path:
        return self.folder / "shards" / f"{shard:06d}.jpegs"


Store = RawStore | JpegStore


def open_store(folder: Path, images: int, dataset: "DatasetConfig") -> Store:
    """The store of a split in `folder`, as `dataset.storage` says; files of an earlier attempt are kept."""
    if dataset.storage == "raw":
        return RawStore(folder, images, dataset.size_px)
    return JpegStore(folder, dataset.size_px, dataset.jpeg_quality)


def encode(pixels: np.ndarray, quality: int) -> bytes:
    """`pixels`, uint8 (s, s, 3), as a JPEG with full colour resolution."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def bytes_per_image(dataset: "DatasetConfig") -> float:
    """Bytes of one packed image with its label: exact for raw pixels, estimated for JPEGs (a fifth)."""
    raw = dataset.size_px**2 * 3
    return raw + 8 if dataset.storage == "raw" else raw * JPEG_SHARE + 24


def refuse_full_disk(images: int, dataset: "DatasetConfig", folder: Path, already_bytes: int) -> None:
    """Raise DataError if the disk of `folder` is too small; print the choice of storage if more than 1 GB is needed."""
    from alexnet2012.config.datasets import KINDS_AS_THEY_ARE  # here: the decoding processes do not need pydantic

    needed, free = max(0.0, images * bytes_per_image(dataset) - already_bytes), shutil.disk_usage(folder).free
    choice = "" if dataset.kind in KINDS_AS_THEY_ARE else f"{_describe_choice(images, dataset)}."
    if free < needed:
        instead = f", or choose another storage: {choice}" if choice else "."
        raise DataError(
            f"The packed images need another {in_bytes(needed)}, but {folder.resolve()} has {in_bytes(free)} free. "
            f"Free some space, or link that folder to a larger disk{instead}"
        )
    if needed > 1e9:
        print(f"{images:,} images as {dataset.storage}; {in_bytes(free)} are free. {choice}", flush=True)


def _describe_choice(images: int, dataset: "DatasetConfig") -> str:
    raw, jpeg = (
        in_bytes(images * bytes_per_image(dataset.model_copy(update={"storage": storage})))
        for storage in ("raw", "jpeg")
    )
    return (
        f"storage: raw takes {raw} and is read without decoding; storage: jpeg takes about {jpeg}, re-encodes each "
        f"image (quality {dataset.jpeg_quality}) and decodes it at every use"
    )
