"""Pack images: one fixed square size, one array per split, the training split's statistics, and a manifest.

§2: "we first rescaled the image such that the shorter side was of length 256, and then cropped out the central 256x256
patch from the resulting image."
"""

import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image, features

from alexnet2012.config import NAME_PATTERN, DatasetConfig
from alexnet2012.data.downloads import PARTIAL, remove_stale_partials
from alexnet2012.data.packed import MANIFEST_VERSION, SHARD_ROWS, SPLITS, shard_digests, whole_digest
from alexnet2012.data.sources import IMAGE_FORMATS, Source, SourceSplit, find_source
from alexnet2012.errors import DataError
from alexnet2012.provenance import count_usable_cores

CHUNK_IMAGES = 64
POOL_FROM_IMAGES = 256  # below this, starting processes takes longer than reading the images
LISTED_UNREADABLE = 20
PROGRESS_EVERY_S = 10.0
STATISTICS_CHUNK_BYTES = 2**25
EXIF_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Chunk:
    """Image files for rows `first_row` and on of an images.npy."""

    images_file: Path
    first_row: int
    paths: tuple[Path, ...]


@dataclass(frozen=True)
class ReadImage:
    """How one image was found: original size in pixels and anything odd; or, in `failure`, why it is unreadable."""

    width: int
    height: int
    notes: str = ""
    failure: str = ""


@dataclass(frozen=True)
class Statistics:
    """Of the training split: see PackedDataset for shapes and units."""

    mean_image: np.ndarray
    colour_vectors: np.ndarray
    colour_deviations: np.ndarray


def prepare(name: str, dataset: DatasetConfig, data_folder: Path = Path("data")) -> Path:
    """Make data/<name>/ and return its manifest.json; it appears whole or not at all.

    Raises DataError when images are missing or unreadable (all of them are named), the disk is too small, or the
    dataset's `digest` is not that of the packed images.
    """
    if not re.match(NAME_PATTERN, name) or name == "downloads":
        raise DataError(f'"{name}" cannot name a dataset; use letters, digits, ".", "_" and "-", and not "downloads".')
    data_folder.mkdir(parents=True, exist_ok=True)
    source = find_source(dataset, data_folder / "downloads")
    _refuse_full_disk(source, dataset.size_px, data_folder)
    with _whole_or_nothing(data_folder, name) as partial:
        _pack(name, source, dataset.size_px, partial, data_folder / f"{name}.unreadable.txt")
        print(f"{name}: measuring the mean image and the colour statistics of the training split", flush=True)
        statistics = measure_statistics(np.load(partial / "train" / "images.npy", mmap_mode="r"))
        np.savez(partial / "statistics.npz", **vars(statistics))
        digest = _write_manifest(name, source, dataset, partial)
        if dataset.digest not in (None, digest):
            raise DataError(
                f"{name}: the images of {source.folder} have digest {digest}, but the configuration expects "
                f"{dataset.digest}. Use the images it was written for, or set digest to the measured one."
            )
    print(f"{name}: packed in {data_folder / name}, digest {digest}", flush=True)
    return data_folder / name / "manifest.json"


def fit_square(image: Image.Image, size_px: int) -> Image.Image:
    """The central square of `image` after its SHORTER side was made `size_px` (§2); the aspect ratio is kept."""
    width, height = image.size
    shorter = min(width, height)
    scaled = tuple(max(size_px, round(side * size_px / shorter)) for side in (width, height))
    if scaled != image.size:
        image = image.resize(scaled, Image.Resampling.BILINEAR)
    left, top = ((side - size_px) // 2 for side in scaled)
    return image.crop((left, top, left + size_px, top + size_px))


def measure_statistics(images: np.ndarray) -> Statistics:
    """Mean image and colour PCA of images uint8 (n, s, s, 3), streamed.

    Every sum is of whole numbers below 2^53 (ILSVRC: 8.4e10 pixels x 255^2 = 5.4e15 < 9.0e15), so float64 holds it
    exactly and neither chunks nor threads change a bit.
    """
    total = np.zeros(images.shape[1:])
    moment = np.zeros((3, 3))
    rows = max(1, STATISTICS_CHUNK_BYTES // (total.size * total.itemsize))
    for first in range(0, len(images), rows):
        chunk = images[first : first + rows].astype(np.float64)
        total += chunk.sum(axis=0)
        colours = chunk.reshape(-1, 3)
        moment += colours.T @ colours
    pixels = images.size // 3
    mean_colour = total.sum(axis=(0, 1)) / pixels
    eigenvalues, vectors = np.linalg.eigh(moment / pixels - np.outer(mean_colour, mean_colour))
    vectors = vectors[:, ::-1]
    # An eigenvector's sign is free; fixed here so that every machine writes the same.
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(3)])
    deviations = np.sqrt(np.maximum(eigenvalues[::-1], 0.0))
    return Statistics((total / len(images)).astype(np.float32), vectors, deviations)


def _refuse_full_disk(source: Source, size_px: int, data_folder: Path) -> None:
    needed = sum(len(split.names) for split in source.splits.values()) * (size_px**2 * 3 + 8)
    free = shutil.disk_usage(data_folder).free
    if free < needed:
        raise DataError(
            f"The packed images need {needed / 1e9:,.2f} GB, but {data_folder.resolve()} has {free / 1e9:,.2f} GB "
            "free. Make room, or link that folder to a larger disk."
        )


@contextmanager
def _whole_or_nothing(data_folder: Path, name: str) -> Iterator[Path]:
    """A folder to write into, which becomes data/<name> if the block ends well and is removed if it does not."""
    remove_stale_partials(data_folder, f".{name}{PARTIAL}")
    remove_stale_partials(data_folder, f".{name}.old-")
    target = data_folder / name
    partial = data_folder / f".{name}{PARTIAL}{os.getpid()}"
    old = data_folder / f".{name}.old-{os.getpid()}"
    partial.mkdir()
    try:
        yield partial
        if target.exists():
            target.rename(old)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _pack(name: str, source: Source, size_px: int, folder: Path, unreadable_file: Path) -> None:
    failures: list[str] = []
    for split_name in SPLITS:
        split = source.splits[split_name]
        split_folder = folder / split_name
        split_folder.mkdir()
        np.save(split_folder / "labels.npy", split.labels.astype(np.int64))
        shape = (len(split.names), size_px, size_px, 3)
        images = np.lib.format.open_memmap(split_folder / "images.npy", mode="w+", dtype=np.uint8, shape=shape)
        if split.images is None:
            found = _read_files(f"{name}/{split_name}", source.folder, split, split_folder / "images.npy")
        else:
            images[:] = split.images
            found = [ReadImage(size_px, size_px)] * len(images)
        images.flush()
        failures += [
            f"{source.folder / file}: {image.failure}"
            for file, image in zip(split.names, found, strict=True)
            if image.failure
        ]
        _write_index(split_folder / "index.parquet", source, split, found)
    unreadable_file.unlink(missing_ok=True)
    if failures:
        unreadable_file.write_text("".join(f"{line}\n" for line in failures))
        listed = "\n".join(f"  - {line}" for line in failures[:LISTED_UNREADABLE])
        more = "\n  - ..." if len(failures) > LISTED_UNREADABLE else ""
        raise DataError(
            f"{name}: {len(failures):,} images cannot be read:\n{listed}{more}\nThe full list is in {unreadable_file}. "
            "Replace these files or remove them; nothing was packed."
        )


def _read_files(label: str, folder: Path, split: SourceSplit, images_file: Path) -> list[ReadImage]:
    names = split.names
    chunks = [
        Chunk(images_file, first, tuple(folder / name for name in names[first : first + CHUNK_IMAGES]))
        for first in range(0, len(names), CHUNK_IMAGES)
    ]
    workers = min(count_usable_cores(), len(chunks))
    if workers == 1 or len(names) < POOL_FROM_IMAGES:
        return _gather(label, len(names), map(_read_chunk, chunks))
    # Spawned, not forked: the caller may have started threads.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return _gather(label, len(names), pool.map(_read_chunk, chunks))


def _gather(label: str, count: int, chunks: Iterable[list[ReadImage]]) -> list[ReadImage]:
    found: list[ReadImage] = []
    began = said = time.monotonic()
    for chunk in chunks:
        found += chunk
        now = time.monotonic()
        if now - said >= PROGRESS_EVERY_S or (len(found) == count and count >= POOL_FROM_IMAGES):
            said = now
            rate = len(found) / (now - began)
            print(f"{label}: {len(found):,} of {count:,} images read, {rate:,.0f} images/s", flush=True)
    return found


def _read_chunk(chunk: Chunk) -> list[ReadImage]:
    images = np.lib.format.open_memmap(chunk.images_file, mode="r+")
    rows = images[chunk.first_row : chunk.first_row + len(chunk.paths)]
    return [_read_image(path, row) for path, row in zip(chunk.paths, rows, strict=True)]


def _read_image(path: Path, out: np.ndarray) -> ReadImage:
    try:
        with Image.open(path) as image:
            image.load()
            notes = _note_oddities(image, path, len(out))
            out[:] = np.asarray(fit_square(_convert_to_rgb(image), len(out)))
            return ReadImage(*image.size, "; ".join(notes))
    # A damaged file can raise anything from within a decoder; each is reported, and prepare then fails.
    except Exception as error:
        reason = "the file is empty" if path.is_file() and path.stat().st_size == 0 else str(error)
        return ReadImage(0, 0, failure=reason or type(error).__name__)


def _convert_to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        # Pillow would clip 16-bit values at 255, turning the image white.
        return Image.fromarray((np.asarray(image) // 256).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise OSError(f'its pixels are 32 bits wide (mode "{image.mode}") and their range is unknown')
    return image.convert("RGB")


def _note_oddities(image: Image.Image, path: Path, size_px: int) -> list[str]:
    modes = {"L": "greyscale", "1": "black and white", "P": "palette", "RGBA": "alpha ignored", "LA": "alpha ignored"}
    notes = [] if image.mode == "RGB" else [modes.get(image.mode, image.mode)]
    if image.format != IMAGE_FORMATS[path.suffix.lower()]:
        notes.append(f"{image.format} in a {path.suffix} file")
    if image.getexif().get(EXIF_ORIENTATION, 1) != 1:
        notes.append("EXIF orientation ignored")
    if getattr(image, "is_animated", False):
        notes.append("first of several frames")
    if min(image.size) < size_px:
        notes.append("enlarged")
    return notes


def _write_index(path: Path, source: Source, split: SourceSplit, found: list[ReadImage]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        # A file name that is not UTF-8 is written with backslashes, for Parquet holds no other text.
        "path": [os.fsencode(name).decode("utf-8", "backslashreplace") for name in split.names],
        "class": [source.classes[label] for label in split.labels],
        "width": pa.array([image.width for image in found], pa.int32()),
        "height": pa.array([image.height for image in found], pa.int32()),
        "notes": [image.notes for image in found],
    }
    pq.write_table(pa.table(columns), path)


def _write_manifest(name: str, source: Source, dataset: DatasetConfig, folder: Path) -> str:
    shards = {
        split: {kind: _digest_array(folder / split / f"{kind}.npy") for kind in ("images", "labels")}
        for split in SPLITS
    }
    manifest = {
        "version": MANIFEST_VERSION,
        "name": name,
        "digest": whole_digest(shards),
        "counts": {split: len(source.splits[split].names) for split in SPLITS},
        "size_px": dataset.size_px,
        "classes": source.classes,
        "source": source.description,
        "dataset": dataset.model_dump(),
        "software": {
            "decoder": f"Pillow {Image.__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}",
            "numpy": np.__version__,
        },
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "shard_rows": SHARD_ROWS,
        "shards": shards,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return str(manifest["digest"])


def _digest_array(path: Path) -> list[str]:
    return shard_digests(np.load(path, mmap_mode="r"))
