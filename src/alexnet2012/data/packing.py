"""Packing: listed images are decoded by all cores and stored, shard by shard.

A shard is 128 images that are consecutive in the source. When they are on disk, the shard's record is written under a
temporary name and renamed: a shard with a record is packed. The record's name has a digest of the settings, the shard's
images, and the size and times of their files; records with other names are removed.
"""

import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from joblib import Parallel, delayed

from alexnet2012.cpu import KEEP_LARGE_BUFFERS, count_usable_cores
from alexnet2012.data.decode import DecodedImage, ImageError, decode
from alexnet2012.data.listing import Listing
from alexnet2012.data.reading import Shard, cut_shard, read_images
from alexnet2012.data.storage import Store
from alexnet2012.errors import DataError
from alexnet2012.files import replacing

if TYPE_CHECKING:
    import pyarrow as pa

SHARD_IMAGES = 128  # at 256 pixels, 25 MB or a second of one core
POOL_FROM_IMAGES = 256  # below this, starting processes takes longer than reading the images
PROGRESS_EVERY_S = 10.0

Task = TypeVar("Task")
Answer = TypeVar("Answer")


class Progress:
    """Progress of packing: images done, rate and time left; a bar on a terminal, elsewhere a line every ten seconds."""

    def __init__(self, name: str, images: int, done: int = 0) -> None:
        # Imported here because the decoding processes do not need rich.
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        self.name, self.images, self.done, self.bad = name, images, done, 0
        self.counted, self.began = 0, time.monotonic()
        self.said = self.began
        # Without force_terminal, rich treats a log file as a terminal if FORCE_COLOR is set.
        console = Console(file=sys.stdout, force_terminal=sys.stdout.isatty(), soft_wrap=True)
        self.on_terminal = console.is_interactive
        columns = BarColumn(), TextColumn("{task.description}", markup=False)
        self.bar = Bar(*columns, console=console, disable=not self.on_terminal, transient=True)
        self.task = self.bar.add_task(name, total=images, completed=done)

    def add(self, images: int, bad: int) -> None:
        """Count `images` more as done, of which `bad` could not be read."""
        self.done, self.counted, self.bad = self.done + images, self.counted + images, self.bad + bad
        now = time.monotonic()
        rate = self.counted / max(now - self.began, 1e-9)
        left = timedelta(seconds=round((self.images - self.done) / rate))
        unreadable = f", {self.bad:,} unreadable" if self.bad else ""
        text = f"{self.done:,} of {self.images:,} images, {rate:,.0f} images/s, {left} left{unreadable}"
        self.bar.update(self.task, completed=self.done, description=f"{self.name}: {text}")
        due = not self.on_terminal and now - self.said >= PROGRESS_EVERY_S
        if due or self.done >= self.images >= POOL_FROM_IMAGES:
            self.said = now
            print(f"{self.name}: {text}", flush=True)


class SplitPacking:
    """The packing of one split: its shards, and the records of packed shards.

    `images`: the source's folder. `settings`: everything that a stored image depends on besides its file.
    """

    def __init__(self, listing: Listing, images: Path, store: Store, settings: object) -> None:
        self.listing, self.images, self.store = listing, images, store
        self.order = listing.source_order if listing.images is None else np.empty(0, int)
        folder = store.folder / "shards"
        folder.mkdir(exist_ok=True)
        self.paths = [
            folder / f"{number:06d}-{_describe_shard(self.shard(number), images, settings)}.arrow"
            for number in range(-(-len(self.order) // SHARD_IMAGES))
        ]
        self.records = [self._take_over(number) for number in range(len(self.paths))]
        taken = {path for path, record in zip(self.paths, self.records, strict=True) if record is not None}
        left_over = [path for path in folder.iterdir() if path not in taken]
        for path in left_over:
            path.unlink()
        self.stale = sum(path.suffix == ".arrow" for path in left_over)

    @property
    def missing(self) -> list[int]:
        """The numbers of the shards that are not packed yet."""
        return [number for number, record in enumerate(self.records) if record is None]

    def rows(self, number: int) -> np.ndarray:
        return self.order[number * SHARD_IMAGES : (number + 1) * SHARD_IMAGES]

    def shard(self, number: int) -> Shard:
        return cut_shard(self.listing, self.rows(number))

    def add(self, number: int, images: list[tuple[Any, ...]]) -> None:
        """Write the record of shard `number`, whose images a process has stored."""
        import pyarrow as pa

        first_byte = self.store.commit(number)
        width, height, notes, failed, length = zip(*images, strict=True)
        first_bytes = first_byte + np.cumsum((0, *length))[:-1]
        record = _make_record(width, height, notes, failed, first_bytes, length)
        with replacing(self.paths[number]) as temporary, pa.ipc.new_file(temporary, record.schema) as writer:
            writer.write(record)
        self.records[number] = record

    def store_pixels(self) -> None:
        """Store the images of a listing that need no decoding (container pixels)."""
        with self.store.writing(0) as write:
            for row, image in zip(range(len(self.listing)), self.listing.read(), strict=True):
                write(row, image)

    @cached_property
    def found(self) -> "pa.Table":
        """The records of all images, by row of the listing; only after all are stored."""
        import pyarrow as pa

        if self.listing.images is not None:
            size_px = self.store.size_px
            return _make_record(*(np.full(len(self.listing), value) for value in (size_px, size_px, "", None, 0, 0)))
        return pa.concat_tables(self.records).combine_chunks().take(np.argsort(self.order))

    @cached_property
    def kept(self) -> np.ndarray:
        """The readable rows in packed order: the last ones fill the gaps of unreadable ones, so that few must move."""
        good = self.found["failed"].is_null().to_numpy()
        kept, behind = np.arange(good.sum()), good[good.sum() :]
        kept[~good[: len(kept)]] = len(kept) + np.flatnonzero(behind)  # readable rows after the end, one for each gap
        return kept

    @property
    def labels(self) -> np.ndarray:
        """The labels of the packed rows, int64."""
        return np.asarray(self.listing.labels[self.kept], np.int64)

    def _take_over(self, number: int) -> "pa.Table | None":
        """The record of a shard from an earlier attempt; None if an image that failed then can be read now."""
        import pyarrow as pa

        try:
            record = pa.ipc.open_file(self.paths[number].read_bytes()).read_all()
        except (OSError, pa.ArrowException):
            return None
        failed = cut_shard(self.listing, self.rows(number)[record["failed"].is_valid().to_numpy()])
        again = [*_decode_shard(failed, self.images, self.store.size_px)]
        same = all(isinstance(each, ImageError) for each in again)
        return record if same and self.store.take_over(self.rows(number), record) else None


def pack_splits(name: str, splits: Collection[SplitPacking], workers: int) -> None:
    """Store all images that are not packed yet."""
    images = sum(len(split.order) for split in splits)
    missing = [(split, number) for split in splits for number in split.missing]
    if stale := sum(split.stale for split in splits):
        print(f"{name}: {stale:,} shards are of other images or settings, or have become readable, and are removed")
    if done := sum(len(split.paths) for split in splits) - len(missing):
        print(f"{name}: going on after {done:,} finished shards", flush=True)
    progress = Progress(name, images, images - sum(len(split.rows(number)) for split, number in missing))
    tasks = ((split.shard(number), number, split.images, split.store) for split, number in missing)
    with progress.bar, closing(in_parallel(_pack_shard, tasks, workers)) as answers:
        for (split, number), found in zip(missing, answers, strict=True):
            split.add(number, found)
            progress.add(len(found), sum(failed is not None for *_, failed, _ in found))
    for split in splits:
        if split.listing.images is not None:
            split.store_pixels()


def _make_record(*columns: Iterable[Any]) -> "pa.Table":
    """A record of images, in columns: original width and height in pixels (0 if unreadable); notes; the reason why it
    failed, or null; and the first byte and length in images.bin."""
    import pyarrow as pa

    names = ("width", "height", "notes", "failed", "first_byte", "length")
    types = (pa.int32(), pa.int32(), pa.string(), pa.string(), pa.int64(), pa.int64())
    return pa.table([pa.array(column, kind) for column, kind in zip(columns, types, strict=True)], names)


def count_workers(images: int) -> int:
    """The number of processes to use for decoding `images` images."""
    return 1 if images < POOL_FROM_IMAGES else count_usable_cores()


def in_parallel(function: Callable[[Task], Answer], tasks: Iterable[Task], workers: int) -> Generator[Answer]:
    """The results of `function` for each of `tasks`, in order, computed by `workers` processes.

    Raises DataError if one of them is killed.
    """
    for name, value in KEEP_LARGE_BUFFERS.items():
        os.environ.setdefault(name, value)  # read by the worker processes when they start
    pool = Parallel(workers, return_as="generator", initializer=_end_with_parent, initargs=(os.getpid(),))
    try:
        yield from pool(delayed(function)(task) for task in tasks)
    except BrokenProcessPool:
        raise DataError(
            "a process that decoded images was killed, perhaps because memory ran out; finished shards are kept: run "
            "the same command again, with fewer cores if memory is short"
        ) from None


def _describe_shard(shard: Shard, folder: Path, settings: object) -> str:
    """Sixteen hex digits over everything that the stored images depend on, with size and times of each file."""
    states = []
    for name in dict.fromkeys(shard.file):
        try:
            state = (folder / name).stat()
        except OSError:  # reading its images will report this
            continue
        # The time of modification can be set, as rsync and wget do; the time of the last change of any kind cannot.
        states.append((name, state.st_size, state.st_mtime_ns, state.st_ctime_ns))
    return hashlib.sha256(repr((settings, states, shard)).encode()).hexdigest()[:16]


def _pack_shard(task: tuple[Shard, int, Path, Store]) -> list[tuple[Any, ...]]:
    """Store a shard's images; returns width, height, notes, reason of failure, and number of bytes of each."""
    shard, number, folder, store = task
    found: list[tuple[Any, ...]] = []
    with store.writing(number) as write:
        for row, image in zip(shard.rows, _decode_shard(shard, folder, store.size_px), strict=True):
            if isinstance(image, ImageError):
                found.append((0, 0, "", str(image), 0))
            else:
                found.append((image.width, image.height, image.notes, None, write(row, image.pixels)))
    return found


def _decode_shard(shard: Shard, folder: Path, size_px: int) -> Iterator[DecodedImage | ImageError]:
    """Each image of a shard decoded, or an ImageError with the reason why it cannot be read.

    Raises DataError if `folder` has disappeared, since the images themselves are not at fault.
    """
    for name, content in zip(shard.name, read_images(shard, folder), strict=True):
        try:
            if isinstance(content, OSError):
                if not folder.is_dir():
                    raise DataError(
                        f"{folder} has disappeared; perhaps a disk was unmounted. Finished shards are kept: run the "
                        "same command again when it is back"
                    )
                raise ImageError(content.strerror or str(content))
            yield decode(content, name, size_px)
        except ImageError as error:
            yield error


def _end_with_parent(parent: int) -> None:
    """End this process when its parent has died, so that it does not keep working or waiting."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
