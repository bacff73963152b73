"""Pass 2: listed images, in the order in which they lie in the source, decoded by all cores to their final rows."""

import hashlib
import os
import threading
import time
import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import TypeVar

import numpy as np

from alexnet2012.cpu import KEEP_LARGE_BUFFERS, count_usable_cores
from alexnet2012.data.decode import ImageError, decode
from alexnet2012.data.journal import Journal, PackedShard
from alexnet2012.data.listing import Listing
from alexnet2012.data.packed import SHARD_ROWS
from alexnet2012.data.reading import Chunk, cut_chunks, read_chunk
from alexnet2012.data.storage import Store, Target, encode, write_at
from alexnet2012.errors import DataError

POOL_FROM_IMAGES = 256  # below this, starting processes takes longer than reading the images
TASKS_AHEAD = 4  # per process: enough to keep it busy, few enough to keep memory small
PROGRESS_EVERY_S = 10.0

Task = TypeVar("Task")
Answer = TypeVar("Answer")
Run = Callable[[Callable[[Task], Answer], Iterable[Task]], Iterator[Answer]]


@dataclass(frozen=True, eq=False)
class Found:
    """What was found of each image of a split: original sizes int32 (n,), 0 where unreadable; the rest by row."""

    width: np.ndarray
    height: np.ndarray
    odd: dict[int, str]
    failed: dict[int, str]


@dataclass(frozen=True, eq=False)
class PackedChunk:
    """A chunk's answer. `digests`: the sha256 of what was stored of each image; `encoded`: the images where the parent
    stores them."""

    digests: bytes
    width: list[int]
    height: list[int]
    odd: dict[int, str]
    failed: dict[int, str]
    encoded: list[bytes] | None


class Progress:
    """Images done of all splits, the rate since this process began, and the time left, said every ten seconds."""

    def __init__(self, name: str, images: int) -> None:
        self.name, self.images, self.done, self.bad = name, images, 0, 0
        self.counted, self.began = 0, time.monotonic()
        self.said = self.began

    def skip(self, images: int) -> None:
        """Images that an earlier run has packed: done, but no measure of the rate."""
        self.done += images

    def add(self, images: int, bad: int) -> None:
        self.done, self.counted, self.bad = self.done + images, self.counted + images, self.bad + bad
        now = time.monotonic()
        if now - self.said < PROGRESS_EVERY_S and (self.done < self.images or self.images < POOL_FROM_IMAGES):
            return
        self.said = now
        rate = self.counted / max(now - self.began, 1e-9)
        left = timedelta(seconds=round((self.images - self.done) / rate))
        unreadable = f", {self.bad:,} unreadable" if self.bad else ""
        print(
            f"{self.name}: {self.done:,} of {self.images:,} images, {rate:,.0f} images/s, {left} left{unreadable}",
            flush=True,
        )


@contextmanager
def open_pool(images: int) -> Iterator[Run]:
    """A way to run a function over tasks, in order: by one process for each usable core, or here when they are few."""
    workers = count_usable_cores()
    if workers == 1 or images < POOL_FROM_IMAGES:
        yield lambda function, tasks: map(function, tasks)
        return
    for name, value in KEEP_LARGE_BUFFERS.items():
        os.environ.setdefault(name, value)  # read by the processes that are about to start
    # Spawned, not forked: the caller may have started threads.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_end_with_parent) as pool:
        try:
            yield lambda function, tasks: _in_order(pool, function, tasks, TASKS_AHEAD * workers)
        except BrokenProcessPool:
            raise DataError(
                "a process that decoded images was killed, perhaps for want of memory; the finished shards are kept: "
                "run the same command again, with fewer cores if memory is short"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def pack_listing(
    split: str, listing: Listing, folder: Path, store: Store, journal: Journal, run: Run, progress: Progress
) -> Found:
    """Store every image of a split, whose files lie in `folder`, going on after the shards that the journal has.

    What was found is known of every row when this returns; `failed` says why some hold no image.
    """
    found = Found(np.zeros(len(listing), np.int32), np.zeros(len(listing), np.int32), {}, {})
    shards = list_shards(listing)
    done = _take_over(split, listing, shards, folder, store, journal, found)
    progress.skip(sum(len(rows) for rows in shards[:done]))
    tasks = ((chunk, folder, store.target) for rows in shards[done:] for chunk in cut_chunks(listing, rows, folder))
    answers = run(_pack_chunk, tasks)
    # Writing a shard to the disk takes as long as reading a part of the next; neither waits for the other.
    with ThreadPoolExecutor(1) as committer:
        commits: deque = deque()
        for number, rows in enumerate(shards[done:], start=done):
            shard = _gather_shard(split, number, rows, answers, store, found, progress)
            if len(commits) == 2:
                commits.popleft().result()
            commits.append(committer.submit(_commit, shard, rows, store, found, journal))
        for commit in commits:
            commit.result()
    return found


def list_shards(listing: Listing) -> list[np.ndarray]:
    """The rows of each shard: 4,096 images as they follow one another in the source."""
    order = listing.source_order
    return [order[first : first + SHARD_ROWS] for first in range(0, len(order), SHARD_ROWS)]


def _take_over(
    split: str,
    listing: Listing,
    shards: list[np.ndarray],
    folder: Path,
    store: Store,
    journal: Journal,
    found: Found,
) -> int:
    """How many shards are packed already; the first whose bytes are not as the journal says, and all after it, do not
    count."""
    claimed = journal.of_split(split)
    for number, shard in enumerate(claimed):
        rows, end_before = shards[number], store.end
        try:
            numbers = journal.numbers(shard)
            store.restore(rows, numbers["places"], shard.end)
            intact = _digest_stored(rows, store, shard.failed) == shard.sha256
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            intact = False
        why = None if intact else "is not as the journal says"
        if intact and shard.failed and _some_can_be_read(listing, shard, folder, store.target.size_px):
            why = "has images that could not be read before and now can"
        if why:
            print(f"shard {number} of {split} {why}; it is read again", flush=True)
            journal.drop(split, number)
            store.end = end_before
            return number
        found.width[rows], found.height[rows] = numbers["width"], numbers["height"]
        found.odd.update(shard.odd)
        found.failed.update(shard.failed)
    return len(claimed)


def _some_can_be_read(listing: Listing, shard: PackedShard, folder: Path, size_px: int) -> bool:
    """Whether a fault has passed: a disk that was away, an archive that was fetched again."""
    failed = np.array(sorted(shard.failed))
    in_source_order = failed[listing.take(failed).source_order]
    for chunk in cut_chunks(listing, in_source_order, folder):
        for name, content in zip(chunk.names, read_chunk(chunk, folder), strict=True):
            with suppress(ImageError):
                if not isinstance(content, OSError):
                    decode(content, name, size_px)
                    return True
    return False


def _digest_stored(rows: np.ndarray, store: Store, failed: dict[int, str]) -> str:
    """The sha256 that a finished shard's journal line must have, from what is on disk."""
    whole = hashlib.sha256()
    for row in rows.tolist():
        if row not in failed:
            whole.update(hashlib.sha256(store.stored(row)).digest())
    return whole.hexdigest()


def _gather_shard(
    split: str,
    number: int,
    rows: np.ndarray,
    answers: Iterator[PackedChunk],
    store: Store,
    found: Found,
    progress: Progress,
) -> PackedShard:
    whole, odd, failed, first = hashlib.sha256(), {}, {}, 0
    while first < len(rows):
        answer = next(answers)
        own = rows[first : first + len(answer.width)]
        first += len(own)
        found.width[own], found.height[own] = answer.width, answer.height
        if answer.encoded is not None:
            store.append(own, answer.encoded)
        whole.update(answer.digests)
        odd |= answer.odd
        failed |= answer.failed
        progress.add(len(own), len(answer.failed))
    found.odd.update(odd)
    found.failed.update(failed)
    return PackedShard(split, number, whole.hexdigest(), store.end, odd, failed)


def _commit(shard: PackedShard, rows: np.ndarray, store: Store, found: Found, journal: Journal) -> None:
    store.sync()
    journal.add(shard, width=found.width[rows], height=found.height[rows], places=store.places(rows))


def _pack_chunk(task: tuple[Chunk, Path, Target]) -> PackedChunk:
    chunk, folder, target = task
    digests, width, height = bytearray(), [], []
    odd: dict[int, str] = {}
    failed: dict[int, str] = {}
    encoded: list[bytes] | None = None if target.images_file else []
    descriptor = os.open(target.images_file, os.O_WRONLY) if target.images_file else None
    try:
        for row, name, content in zip(chunk.rows.tolist(), chunk.names, read_chunk(chunk, folder), strict=True):
            try:
                if isinstance(content, OSError):
                    refuse_lost_source(folder)
                    raise ImageError(content.strerror or str(content))
                image = decode(content, name, target.size_px)
            except ImageError as error:
                failed[row] = str(error)
                width.append(0)
                height.append(0)
                if encoded is not None:
                    encoded.append(b"")
                continue
            width.append(image.width)
            height.append(image.height)
            if image.notes:
                odd[row] = image.notes
            stored = image.pixels.data if encoded is None else encode(image.pixels, target.jpeg_quality)
            digests += hashlib.sha256(stored).digest()
            if encoded is None:
                write_at(descriptor, stored, target.first_byte + row * image.pixels.nbytes)
            else:
                encoded.append(stored)
    finally:
        if descriptor is not None:
            os.close(descriptor)
    return PackedChunk(bytes(digests), width, height, odd, failed, encoded)


def refuse_lost_source(folder: Path) -> None:
    """A folder that is not there any more makes no image unreadable: it stops the run, to go on when it is back."""
    if not folder.is_dir():
        raise DataError(
            f"{folder} is not there any more, perhaps a disk that was unmounted; the finished shards are kept: run the "
            "same command again when it is back"
        )


def _in_order(
    pool: ProcessPoolExecutor, function: Callable[[Task], Answer], tasks: Iterable[Task], ahead: int
) -> Iterator[Answer]:
    """The answers in the order of the tasks, of which no more than `ahead` are made before they are needed."""
    waiting: deque = deque()
    for task in tasks:
        waiting.append(pool.submit(function, task))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _end_with_parent() -> None:
    """A process of a pool whose parent is killed would wait for work for ever."""
    parent = parent_process()

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
