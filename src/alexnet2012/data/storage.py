"""How a split's images lie on disk: raw pixels in images.npy, or JPEGs in images.bin with places in offsets.npy."""

import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Target:
    """Where a process puts an image: at `first_byte` + row x bytes of an image of `images_file`, or, when that is None,
    back to its parent as a JPEG of `jpeg_quality`."""

    size_px: int
    images_file: str | None = None
    first_byte: int = 0
    jpeg_quality: int = 0


class RawStore:
    """uint8 (n, s, s, 3) in images.npy: 196,608 bytes an image at 256 pixels, ready to be cropped."""

    def __init__(self, folder: Path, images: int, size_px: int) -> None:
        self.path, self.shape = folder / "images.npy", (images, size_px, size_px, 3)
        self.image_bytes = size_px * size_px * 3
        self.path.touch()
        # Whatever a kill left of header and length: numpy pads every header of this kind to one length.
        self.first_byte = self._write_header(images)
        self.target = Target(size_px, str(self.path), self.first_byte)
        self.end = 0

    def write(self, images: Iterable[np.ndarray]) -> None:
        """Store all images, each uint8 (s, s, 3), in the order of the rows and as they come."""
        with self.path.open("r+b") as file:
            file.seek(self.first_byte)
            for _, image in zip(range(self.shape[0]), images, strict=True):
                file.write(np.ascontiguousarray(image))

    def places(self, rows: np.ndarray) -> np.ndarray:
        """Nothing to be kept: a row is its place."""
        return np.empty((0, 2), np.int64)

    def restore(self, rows: np.ndarray, places: np.ndarray, end: int) -> None:
        """Nothing to be restored."""

    def stored(self, row: int) -> bytes:
        """What is on disk for a row."""
        with self.path.open("rb", buffering=0) as file:
            return os.pread(file.fileno(), self.image_bytes, self.first_byte + row * self.image_bytes)

    def sync(self) -> None:
        """Return when all that was stored is on disk."""
        _sync(self.path)

    def fill(self, kept: np.ndarray) -> None:
        """Make row k what row kept[k] was; only rows from behind the end move, so that a kill can repeat it."""
        moved = np.flatnonzero(kept != np.arange(len(kept)))
        with self.path.open("r+b", buffering=0) as file:
            for row in moved.tolist():
                write_at(file.fileno(), self.stored(int(kept[row])), self.first_byte + row * self.image_bytes)
            os.fsync(file.fileno())

    def cut(self, images: int) -> None:
        """Keep so many images; a resumed preparation would miss the others."""
        self._write_header(images)

    def _write_header(self, images: int) -> int:
        """Make the file an array of so many images, whose bytes begin where this returns."""
        with self.path.open("r+b") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": (images, *self.shape[1:])}
            np.lib.format.write_array_header_1_0(file, header)
            first_byte = file.tell()
            file.truncate(first_byte + images * self.image_bytes)
        return first_byte


class JpegStore:
    """JPEGs one after another in images.bin; `offsets.npy` int64 (n, 2) holds each one's first byte and length."""

    def __init__(self, folder: Path, images: int, size_px: int, quality: int) -> None:
        self.path, self.offsets_path = folder / "images.bin", folder / "offsets.npy"
        self.path.touch()
        self.offsets = np.zeros((images, 2), np.int64)
        self.target = Target(size_px, jpeg_quality=quality)
        self.end = 0

    def places(self, rows: np.ndarray) -> np.ndarray:
        """Where the images `rows` lie, (rows, 2), to be kept with their shard."""
        return self.offsets[rows]

    def restore(self, rows: np.ndarray, places: np.ndarray, end: int) -> None:
        """Take over a shard that an earlier run stored, whose last byte came before `end`; all after it is dropped."""
        self.offsets[rows] = places
        self.end = end

    def append(self, rows: np.ndarray, encoded: list[bytes]) -> None:
        with self.path.open("r+b") as file:
            file.seek(self.end)
            for row, content in zip(rows, encoded, strict=True):
                file.write(content)
                self.offsets[row] = (self.end, len(content))
                self.end += len(content)

    def stored(self, row: int) -> bytes:
        """What is on disk for a row."""
        first, length = self.offsets[row].tolist()
        with self.path.open("rb", buffering=0) as file:
            return os.pread(file.fileno(), length, first)

    def sync(self) -> None:
        """Return when all that was stored is on disk."""
        _sync(self.path)

    def fill(self, kept: np.ndarray) -> None:
        """Make row k what row kept[k] was, and write the places."""
        os.truncate(self.path, self.end)
        np.save(self.offsets_path, self.offsets[kept])

    def cut(self, images: int) -> None:
        """Nothing to be cut: the places are as many as the images."""


Store = RawStore | JpegStore


def write_at(descriptor: int, content: bytes | memoryview, first_byte: int) -> None:
    """Write all of `content`: the system may take a part of it, when a disk is full for a moment."""
    rest = memoryview(content).cast("B")
    while len(rest):
        written = os.pwrite(descriptor, rest, first_byte)
        rest, first_byte = rest[written:], first_byte + written


def encode(pixels: np.ndarray, quality: int) -> bytes:
    """A JPEG of `pixels` uint8 (s, s, 3) with full colour resolution."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
