"""One batch of downsampled ImageNet, a pickle or an .npz: `data` uint8 (n, 3 s s), planes of R, G and B, and `labels`.

An .npz is read a few images at a time, a pickle whole: 1.6 GB for 128,123 images of 64 pixels.
"""

import hashlib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from alexnet2012.config.datasets import DOWNSAMPLED_PX
from alexnet2012.data.pickles import load_arrays
from alexnet2012.errors import DataError
from alexnet2012.files import in_bytes

ROWS = 256  # read at a time
SIDE_OF = {3 * side**2: side for side in DOWNSAMPLED_PX}  # by the numbers of an image


@dataclass(frozen=True, eq=False)
class Batch:
    """What a file holds, all of whose bytes were read: `labels` int64 (n,) as it numbers classes; images of `size_px`.

    `has_mean`: whether there is a mean image beside them, as in training batches. `digest`: sha256 of pixels, labels.
    """

    path: Path
    labels: np.ndarray
    size_px: int
    has_mean: bool
    digest: str


@dataclass(frozen=True, eq=False)
class _Contents:
    """`keys` of the file; `labels` as they are written; `data` in pieces of ROWS, of `dtype` and (n, ...) `shape`."""

    keys: frozenset[str]
    labels: Any
    shape: tuple[int, ...]
    dtype: np.dtype
    data: Iterator[np.ndarray]


def read_batch(path: Path) -> Batch:
    """Read the whole of a batch. Raises DataError that names the file for anything but a batch of 32 or 64 pixels."""
    with _opened(path) as contents:
        labels = _check_labels(path, contents)
        digest = hashlib.sha256()
        for piece in contents.data:
            digest.update(piece.data)
        digest.update(labels.data)
        return Batch(path, labels, SIDE_OF[contents.shape[1]], "mean" in contents.keys, digest.hexdigest())


def read_images(path: Path) -> Iterator[np.ndarray]:
    """The images of a batch, uint8 (s, s, 3), one after another. Raises DataError as `read_batch` does."""
    with _opened(path) as contents:
        side = SIDE_OF[contents.shape[1]]
        for piece in contents.data:
            yield from piece.reshape(-1, 3, side, side).transpose(0, 2, 3, 1)


@contextmanager
def _opened(path: Path) -> Iterator[_Contents]:
    """A batch whose `data` are as they should be. Raises DataError for others, and for whatever is met on reading."""
    try:
        with _read_npz(path) if path.suffix == ".npz" else _read_pickle(path) as contents:
            if contents.dtype != np.uint8 or len(contents.shape) != 2 or contents.shape[1] not in SIDE_OF:
                raise DataError(
                    f"{path}: `data` is {contents.dtype} {contents.shape}; uint8 (n, 3072) or (n, 12288) was expected, "
                    "images of 32 or 64 pixels. Fetch it again."
                )
            yield contents
    except MemoryError:
        raise DataError(
            f"{path} is damaged, or its {in_bytes(path.stat().st_size)} do not fit into the memory, as those of a "
            "pickle must. Fetch it again, or the .npz, which is read a few images at a time."
        ) from None
    except DataError:
        raise
    # A damaged file can raise anything from within pickle, zipfile and numpy.
    except Exception as error:
        raise DataError(f"{path} cannot be read: {type(error).__name__}: {error}. Fetch it again.") from None


@contextmanager
def _read_pickle(path: Path) -> Iterator[_Contents]:
    with path.open("rb") as file:
        values = load_arrays(file, encoding="latin1")
    if not isinstance(values, dict):
        raise DataError(f"{path} holds a {type(values).__name__}, but a dictionary was expected. Fetch it again.")
    _check_keys(path, values.keys())
    data = np.asarray(values["data"])
    yield _Contents(frozenset(values), values["labels"], data.shape, data.dtype, _cut_pieces(data))


def _cut_pieces(data: np.ndarray) -> Iterator[np.ndarray]:
    for first in range(0, len(data), ROWS):
        yield np.ascontiguousarray(data[first : first + ROWS])


@contextmanager
def _read_npz(path: Path) -> Iterator[_Contents]:
    with zipfile.ZipFile(path) as archive:
        keys = frozenset(name.removesuffix(".npy") for name in archive.namelist())
        _check_keys(path, keys)
        with archive.open("labels.npy") as file:
            labels = np.lib.format.read_array(file, allow_pickle=False)
        with archive.open("data.npy") as file:
            shape, by_column, dtype = _read_header(file)
            if by_column:
                raise DataError(f"{path}: `data` lies column by column; rows were expected. Fetch it again.")
            yield _Contents(keys, labels, shape, dtype, _read_pieces(file, shape))


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(file)


def _read_pieces(file: IO[bytes], shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """The rows of an array of uint8 (n, m) in a member of an archive, whose end is read too: zipfile then checks it."""
    images, numbers = shape
    for first in range(0, images, ROWS):
        rows = min(ROWS, images - first)
        content = file.read(rows * numbers)
        if len(content) < rows * numbers:
            raise ValueError(f"`data` ends before the {images:,} images that it announces")
        yield np.frombuffer(content, np.uint8).reshape(rows, numbers)
    if file.read(1):
        raise ValueError(f"`data` goes on after the {images:,} images that it announces")


def _check_keys(path: Path, keys: Any) -> None:
    if missing := {"data", "labels"} - set(keys):
        raise DataError(
            f"{path} has no `{min(missing)}`; it has {', '.join(sorted(map(str, keys))) or 'nothing'}. Fetch it again."
        )


def _check_labels(path: Path, contents: _Contents) -> np.ndarray:
    labels = np.asarray(contents.labels)
    if labels.dtype.kind not in "iu" or labels.shape != contents.shape[:1]:
        raise DataError(
            f"{path}: `labels` is {labels.dtype} {labels.shape}; {contents.shape[0]:,} whole numbers were expected, "
            "one for each image. Fetch it again."
        )
    return labels.astype(np.int64)
