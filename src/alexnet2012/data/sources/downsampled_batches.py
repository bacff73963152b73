"""Batches of downsampled ImageNet, pickles or .npz: `data` uint8 (n, 3 s s) in planes of R, G and B, and `labels`.

An .npz is read a few images at a time; a pickle is read whole (1.6 GB for 128,123 images of 64 pixels).
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from alexnet2012.config.datasets import DOWNSAMPLED_PX
from alexnet2012.data.pickles import unpickle_arrays
from alexnet2012.errors import DataError
from alexnet2012.files import in_bytes

ROWS = 256  # read at a time
SIDE_OF = {3 * side**2: side for side in DOWNSAMPLED_PX}  # by the number of values of an image


@dataclass(frozen=True, eq=False)
class BatchFile:
    """A batch that was read completely: `labels` int64 (n,), numbered as in the file; `size_px`, its images' side.

    `has_mean`: whether the file has a mean image, as training batches do. `digest`: sha256 of pixels and labels.
    """

    path: Path
    labels: np.ndarray
    size_px: int
    has_mean: bool
    digest: str


def read_batch(path: Path) -> BatchFile:
    """Read and check a batch. Raises DataError, naming the file, unless it is a batch of 32 or 64 pixels."""
    with _opened(path) as (values, pixels, pieces):
        labels = np.asarray(values["labels"])
        if labels.dtype.kind not in "iu" or labels.shape != pixels[:1]:
            raise DataError(
                f"{path}: `labels` is {labels.dtype} {labels.shape}; {pixels[0]:,} whole numbers were expected, one "
                "for each image. Fetch it again."
            )
        labels, digest = labels.astype(np.int64), hashlib.sha256()
        for piece in pieces:
            digest.update(piece.data)
        digest.update(labels.data)
        return BatchFile(path, labels, SIDE_OF[pixels[1]], "mean" in values, digest.hexdigest())


def read_batch_images(path: Path) -> Iterator[np.ndarray]:
    """The images of a batch, uint8 (s, s, 3), one after another. Raises DataError as `read_batch` does."""
    with _opened(path) as (_, pixels, pieces):
        side = SIDE_OF[pixels[1]]
        for piece in pieces:
            yield from piece.reshape(-1, 3, side, side).transpose(0, 2, 3, 1)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Mapping[str, Any], tuple[int, ...], Iterator[np.ndarray]]]:
    """The contents of a batch by name, the shape of `data`, and its rows in pieces.

    Raises DataError if `data` is not as expected, and for any error while reading.
    """
    try:
        with ExitStack() as stack:
            values = stack.enter_context(_read_values(path))
            if isinstance(values, np.lib.npyio.NpzFile):
                file = stack.enter_context(values.zip.open("data.npy"))  # type: ignore[union-attr]
                shape, by_column, dtype = _read_header(file)
                if by_column:
                    raise DataError(f"{path}: `data` lies column by column; rows were expected. Fetch it again.")
                pieces = _read_pieces(file, shape)
            else:
                data = np.asarray(values["data"])
                shape, dtype, pieces = data.shape, data.dtype, _cut_pieces(data)
            if dtype != np.uint8 or len(shape) != 2 or shape[1] not in SIDE_OF:
                raise DataError(
                    f"{path}: `data` is {dtype} {shape}; uint8 (n, 3072) or (n, 12288) was expected, images of 32 or "
                    "64 pixels. Fetch it again."
                )
            yield values, shape, pieces
    except MemoryError:
        raise DataError(
            f"{path} is damaged, or its {in_bytes(path.stat().st_size)} do not fit into the memory, as those of a "
            "pickle must. Fetch it again, or the .npz, which is read a few images at a time."
        ) from None
    except DataError:
        raise
    # A damaged file can raise any exception within pickle, zipfile and numpy.
    except Exception as error:
        raise DataError(f"{path} cannot be read: {type(error).__name__}: {error}. Fetch it again.") from None


@contextmanager
def _read_values(path: Path) -> Iterator[Mapping[str, Any]]:
    """The arrays of a file by name; those of an .npz are read only when accessed."""
    with path.open("rb") as file:
        values = np.load(file) if path.suffix == ".npz" else unpickle_arrays(file, encoding="latin1")
        if not isinstance(values, Mapping):
            raise DataError(f"{path} holds a {type(values).__name__}, but a dictionary was expected. Fetch it again.")
        if missing := {"data", "labels"} - set(values):
            found = ", ".join(sorted(map(str, values))) or "nothing"
            raise DataError(f"{path} has no `{min(missing)}`; it has {found}. Fetch it again.")
        yield values


def _cut_pieces(data: np.ndarray) -> Iterator[np.ndarray]:
    for first in range(0, len(data), ROWS):
        yield np.ascontiguousarray(data[first : first + ROWS])


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(file)


def _read_pieces(file: IO[bytes], shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """The rows of a uint8 array (n, m) in a member of an .npz, read to its end so that zipfile checks its checksum."""
    images, numbers = shape
    for first in range(0, images, ROWS):
        rows = min(ROWS, images - first)
        content = file.read(rows * numbers)
        if len(content) < rows * numbers:
            raise ValueError(f"`data` ends before the {images:,} images that it announces")
        yield np.frombuffer(content, np.uint8).reshape(rows, numbers)
    if file.read(1):
        raise ValueError(f"`data` goes on after the {images:,} images that it announces")
