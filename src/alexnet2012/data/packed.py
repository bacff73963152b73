"""Packed datasets on disk: opening them, reading a split, verifying digests."""

import hashlib
import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alexnet2012.cpu import count_usable_cores
from alexnet2012.errors import DataError

MANIFEST_VERSION = 2
SHARD_ROWS = 4096
SPLITS = ("train", "val", "test")
REMEDY = "Run snakemake (or `alexnet2012 prepare`) to make it anew."


class JpegImages:
    """JPEGs that can be indexed like an array uint8 (n, s, s, 3), by a row, a slice or an array of rows; each access
    decodes."""

    dtype = np.dtype(np.uint8)

    def __init__(self, folder: Path, size_px: int) -> None:
        self.offsets = np.load(folder / "offsets.npy", mmap_mode="r")
        self.path = folder / "images.bin"
        # An empty file cannot be memory-mapped; reading an image from it then fails when decoding.
        size = self.path.stat().st_size
        self.content = np.memmap(self.path, np.uint8, mode="r") if size else np.empty(0, np.uint8)
        self.shape = (len(self.offsets), size_px, size_px, 3)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: int | slice | np.ndarray) -> np.ndarray:
        if isinstance(rows, int | np.integer):
            return self._decode(int(rows))
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        images = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for place, row in enumerate(rows):
            images[place] = self._decode(int(row))
        return images

    def encoded(self, row: int) -> bytes:
        """The JPEG bytes of a row."""
        first, length = self.offsets[row].tolist()
        return self.content[first : first + length].tobytes()

    def _decode(self, row: int) -> np.ndarray:
        from PIL import Image  # here: raw pixels need none

        return np.asarray(Image.open(io.BytesIO(self.encoded(row)), formats=["JPEG"]))


@dataclass(frozen=True, eq=False)
class PackedSplit:
    """One split: images uint8 (n, s, s, 3) in RGB, memory-mapped or decoded when indexed by the first axis; labels
    int64 (n,), -1 if withheld."""

    name: str
    images: np.ndarray | JpegImages
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class PackedDataset:
    """A packed dataset: the contents of its manifest and statistics. Pixels are opened only by `split`.

    `part`: the part of an edition in words, empty for the whole. `official_ids`: the edition's own id of each class, if
    known. `kind`: that of the configuration's dataset section. Of the training split (§2, §4.1): `mean_image` float32
    (s, s, 3) in 0..255; `colour_vectors` float64 (3, 3), an eigenvector of the RGB covariance in each column;
    `colour_deviations` float64 (3,), the square roots of the eigenvalues, largest first.
    """

    folder: Path
    name: str
    digest: str
    classes: tuple[str, ...]
    counts: dict[str, int]
    size_px: int
    mean_image: np.ndarray
    colour_vectors: np.ndarray
    colour_deviations: np.ndarray
    storage: str = "raw"
    part: str = ""
    official_ids: tuple[int, ...] | None = None
    kind: str = ""

    def describe(self) -> dict[str, Any]:
        """The dataset's entry in records."""
        return {
            "name": self.name,
            "kind": self.kind,
            "part": self.part,
            "digest": self.digest,
            "counts": self.counts,
        }

    def split(self, name: str) -> PackedSplit:
        """A split by name. Raises DataError if the dataset has no such split."""
        if name not in self.counts:
            raise DataError(f'{self.folder} has no split "{name}"; its splits are {", ".join(self.counts)}.')
        images = _open_images(self.folder, name, self.counts[name], self.size_px, self.storage)
        return PackedSplit(name, images, np.array(_open_labels(self.folder, name, self.counts[name])))


def open_packed(folder: Path) -> PackedDataset:
    """The packed dataset in `folder`. Checks only headers and sizes; `verify_digests` reads every byte.

    Raises DataError if the manifest is missing or of another version, or a file does not have the shape it states.
    """
    manifest = _read_manifest(folder)
    counts, size_px = manifest["counts"], manifest["size_px"]
    for name, count in counts.items():
        _open_images(folder, name, count, size_px, manifest["storage"])
        _open_labels(folder, name, count)
    mean_image, vectors, deviations = _read_statistics(folder, size_px)
    return PackedDataset(
        folder=folder,
        name=manifest["name"],
        digest=manifest["digest"],
        classes=tuple(manifest["classes"]),
        counts=counts,
        size_px=size_px,
        storage=manifest["storage"],
        mean_image=mean_image,
        colour_vectors=vectors,
        colour_deviations=deviations,
        part=manifest["part"],
        official_ids=manifest["official_ids"] and tuple(manifest["official_ids"]),
        kind=manifest["kind"],
    )


def verify_digests(folder: Path) -> None:
    """Check the digests of all images and labels. Raises DataError naming the first shard that is damaged."""
    manifest = _read_manifest(folder)
    for name, count in manifest["counts"].items():
        arrays = {
            "images": _open_images(folder, name, count, manifest["size_px"], manifest["storage"]),
            "labels": _open_labels(folder, name, count),
        }
        for kind, array in arrays.items():
            expected = manifest["shards"][name][kind]
            for shard, (found, wanted) in enumerate(zip(shard_digests(array), expected, strict=True)):
                if found != wanted:
                    rows = f"{shard * SHARD_ROWS:,} to {min((shard + 1) * SHARD_ROWS, count) - 1:,}"
                    raise DataError(
                        f"The {kind} of {folder / name} are damaged in shard {shard} (rows {rows}): sha256 {found}, "
                        f"but the manifest says {wanted}. {REMEDY}"
                    )
    if (found := whole_digest(manifest["shards"])) != manifest["digest"]:
        raise DataError(f"{folder}/manifest.json contradicts itself: its shards make {found}. {REMEDY}")


def shard_digests(array: np.ndarray | JpegImages) -> list[str]:
    """sha256 of the stored bytes of each shard of 4,096 rows; the last shard is shorter."""
    # hashlib releases the interpreter lock, so threads are enough.
    with ThreadPoolExecutor(count_usable_cores()) as pool:
        return list(pool.map(lambda first: digest_rows(array, first, len(array)), range(0, len(array), SHARD_ROWS)))


def digest_rows(
    array: np.ndarray | JpegImages, first: int, count: int, each: Callable[[int], object] = lambda row: None
) -> str:
    """sha256 of the stored bytes of the shard that begins at row `first` of `count`; calls `each(row)` for its rows."""
    digest, jpeg = hashlib.sha256(), isinstance(array, JpegImages)
    for row in range(first, min(first + SHARD_ROWS, count)):
        digest.update(array.encoded(row) if jpeg else np.ascontiguousarray(array[row]))  # type: ignore[arg-type, union-attr]
        each(row)
    return digest.hexdigest()


def whole_digest(shards: dict[str, dict[str, list[str]]]) -> str:
    """sha256 over the shards' digests: of train, val and test as far as present; images first, then labels."""
    digest = hashlib.sha256()
    for name in (name for name in SPLITS if name in shards):
        for shard in (*shards[name]["images"], *shards[name]["labels"]):
            digest.update(bytes.fromhex(shard))
    return digest.hexdigest()


def open_images(folder: Path, size_px: int, storage: str) -> np.ndarray | JpegImages:
    """The images of a packed split, uint8 (n, s, s, 3), memory-mapped or decoded when indexed."""
    if storage == "jpeg":
        return JpegImages(folder, size_px)
    # A plain array: indexing a memmap creates a memmap, which takes longer than the indexing.
    return np.asarray(np.load(folder / "images.npy", mmap_mode="r"))


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / "manifest.json"
    if not path.is_file():
        raise DataError(f"{folder} is no packed dataset: it has no manifest.json. {REMEDY}")
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}. {REMEDY}") from error
    version = manifest.get("version") if isinstance(manifest, dict) else None
    if version != MANIFEST_VERSION:
        raise DataError(f"{path} is of version {version}, but this code reads version {MANIFEST_VERSION}. {REMEDY}")
    return manifest


def _open_images(folder: Path, split: str, count: int, size_px: int, storage: str) -> np.ndarray | JpegImages:
    if storage == "raw":
        return _open_array(folder / split / "images.npy", (count, size_px, size_px, 3), np.uint8)
    offsets = _open_array(folder / split / "offsets.npy", (count, 2), np.int64)
    path = folder / split / "images.bin"
    size, needed = path.stat().st_size if path.is_file() else None, int(offsets.sum(axis=1).max(initial=0))
    if size is None or size < needed:
        found = "is missing" if size is None else f"has {size:,} bytes"
        raise DataError(f"{path} {found}, but offsets.npy beside it reaches to byte {needed:,}. {REMEDY}")
    return JpegImages(folder / split, size_px)


def _open_labels(folder: Path, split: str, count: int) -> np.ndarray:
    return _open_array(folder / split / "labels.npy", (count,), np.int64)


def _open_array(path: Path, shape: tuple[int, ...], dtype: type[np.generic]) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} cannot be opened: {error}. {REMEDY}") from error
    if array.shape != shape or array.dtype != dtype:
        raise DataError(
            f"{path} is {array.dtype} {array.shape}, but the manifest counts {np.dtype(dtype)} {shape}. {REMEDY}"
        )
    return np.asarray(array)  # indexing a memmap creates a memmap, which takes longer than the indexing


def _read_statistics(folder: Path, size_px: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    path = folder / "statistics.npz"
    expected = {"mean_image": (size_px, size_px, 3), "colour_vectors": (3, 3), "colour_deviations": (3,)}
    try:
        with np.load(path) as file:
            arrays = {name: file[name] for name in expected}
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise DataError(f"{path} cannot be read: {error}. {REMEDY}") from error
    for name, shape in expected.items():
        if arrays[name].shape != shape:
            raise DataError(f"{path}: {name} is {arrays[name].shape}, not {shape}. {REMEDY}")
    return arrays["mean_image"], arrays["colour_vectors"], arrays["colour_deviations"]
