"""Downloads of archives that are killed if they stall, and checksums of archives.

A download runs in a child process in its own folder, and is killed when that folder stops growing: if a name server or
firewall drops packets, it can hang inside the C library, where Python's timeouts have no effect.
"""

import contextlib
import hashlib
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from alexnet2012.data.listing import Checksum
from alexnet2012.errors import DataError
from alexnet2012.files import locked

STALL_S = 20.0

# Downloads an address to a file, from where an earlier attempt stopped. It flushes each block, so that the watcher sees
# it and none is lost. Status 416: the file is complete already. urllib does not report a connection that ends early.
RESUMING_CODE = """
import pathlib, sys, urllib.error, urllib.request
address, path = sys.argv[1], pathlib.Path(sys.argv[2])
begun = path.stat().st_size if path.exists() else 0
request = urllib.request.Request(address, headers={"Range": f"bytes={begun}-"} if begun else {})
try:
    answer = urllib.request.urlopen(request)
except urllib.error.HTTPError as error:
    sys.exit(0 if begun and error.code == 416 else f"{error} ({address})")
came = 0
with answer, path.open("ab" if answer.status == 206 else "wb") as file:
    while block := answer.read1(2**16):
        came += file.write(block)
        file.flush()
expected = int(answer.headers.get("Content-Length", came))
if came < expected:
    sys.exit(f"the connection ended after {came:,} of {expected:,} bytes")
"""


@dataclass(frozen=True)
class Archive:
    """A file name with the checksum that the publisher states."""

    file_name: str
    algorithm: str
    checksum: str


@dataclass(frozen=True)
class Way:
    """A way to fetch an archive: a command that writes it into its working directory.

    `start_limit_s`: seconds until the command must have made its first file; after that, the stall limit applies.
    `resumes`: whether the command continues a partial file of an earlier attempt.
    """

    name: str
    command: tuple[str, ...]
    archive: Archive
    start_limit_s: float = 0.0
    resumes: bool = False


def by_address(address: str, archive: Archive) -> Way:
    """A download from `address` that resumes after an interruption."""
    command = (sys.executable, "-c", RESUMING_CODE, address, archive.file_name)
    return Way(address, command, archive, resumes=True)


def fetch(way: Way, downloads: Path, stall_s: float = STALL_S) -> Path:
    """Fetch an archive into `downloads` and return its path; it gets its name only after its checksum was verified.

    One process fetches it while others wait for it. Raises DataError with one sentence if the command fails, stalls for
    `stall_s` seconds or brings a file with another checksum; its working folder is then removed unless it `resumes`.
    """
    if shutil.which(way.command[0]) is None:
        raise DataError(f"{way.command[0]} is not installed")
    archive, name = way.archive, way.archive.file_name
    downloads.mkdir(parents=True, exist_ok=True)
    partial, keep = downloads / f".partial-{name}", way.resumes
    with locked(downloads / f".{name}.lock", math.inf):
        if (downloads / name).is_file() and checksum(downloads / name, archive.algorithm) == archive.checksum:
            return downloads / name
        if not way.resumes:
            shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(exist_ok=True)
        try:
            _run_watched(way, partial, stall_s)
            keep = False  # the file is complete, or useless
            if not (partial / name).is_file():
                raise DataError(f"the command ended without leaving {name}")
            measured = checksum(partial / name, archive.algorithm)
            if measured != archive.checksum:
                raise DataError(f"{name} came with {archive.algorithm} {measured}, not {archive.checksum}")
            return (partial / name).replace(downloads / name)
        finally:
            if not keep:
                shutil.rmtree(partial, ignore_errors=True)


def checksum(path: Path, algorithm: str) -> str:
    """The digest of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


@dataclass
class Measured:
    """md5 checksums by file name, and warnings; complete when the context of `measured_beside` has ended."""

    md5: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@contextlib.contextmanager
def measured_beside(expected: tuple[Checksum, ...]) -> Iterator[Measured]:
    """Measure the archives' md5 in a thread while the block runs (hashing releases the interpreter lock).

    An unexpected md5 is only a warning, because mirrors repack archives.
    """
    measured = Measured()

    def measure() -> None:
        for each in expected:
            try:
                found = measured.md5[each.path.name] = checksum(each.path, "md5")
            except OSError as error:
                warning = f"the md5 of {each.path} could not be measured: {error.strerror}"
            else:
                warning = (
                    f"{each.path} has md5 {found}, its publisher says {each.md5}: it is another packing of the images, "
                    "or a damaged one"
                )
                if found == each.md5:
                    continue
            measured.warnings.append(warning)
            print(f"warning: {warning}", flush=True)

    thread = threading.Thread(target=measure, daemon=True)
    thread.start()
    yield measured
    thread.join()


def _run_watched(way: Way, folder: Path, stall_s: float) -> None:
    # Output goes outside the watched folder: a progress bar must not count as received bytes.
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
            # The whole process group, because npm starts processes; the group may have ended already.
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
        # Files may be renamed and removed meanwhile.
        with contextlib.suppress(FileNotFoundError):
            size += path.lstat().st_size if not path.is_dir() else 0
    return size


def _summarise(output: str, returncode: int) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if not lines:
        return f"it ended with exit status {returncode} and no message"
    # Python states the reason on the last line, npm on the first two.
    return lines[-1] if any(line.startswith("Traceback") for line in lines) else "; ".join(lines[:2])
