"""Files that are either whole or absent."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from alexnet2012.errors import RecordError

if TYPE_CHECKING:
    import numpy as np

# Version of records and of claims.json, written as "schema"; older files have no such key. Raise it when a key changes
# its meaning or is no longer written, not when one is added.
SCHEMA = 1
WEIGHTS = "model.safetensors"
INPUTS = "inputs.npz"  # mean image and class names: what a trained net needs of its dataset
NET_FIGURES = ("confusion_matrix.png", "kernels.png")  # drawn with the model card of a net
NET_FILES = (WEIGHTS, "config.yaml", "record.json", INPUTS)  # by which a net is used, wherever its folder lies
PUBLISHED = "sent\n"  # what published.txt says when the tracking store has the tables


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; it is renamed to `path` if the block succeeds, and removed if it fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


class LockTaken(Exception):
    """Another process holds a lock; the text is that process's `holder`, by default its process id."""


@contextmanager
def locked(path: Path, patience_s: float = 1.0, holder: str | None = None) -> Iterator[None]:
    """Hold the lock file `path`, and write `holder` (default: the process id) into it; kill -9 releases it too.

    A forked child does not hold it. Raises LockTaken if it is still taken after `patience_s`, which may be math.inf.
    """
    try:
        lock = FileLock(path, patience_s, fallback_to_soft=False).acquire()
    except Timeout:
        raise LockTaken(path.read_text(encoding="utf-8").strip() or "unknown") from None
    with lock:
        path.write_text(holder or f"{os.getpid()}\n", encoding="utf-8")
        yield


def write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_arrays(path: Path, arrays: Mapping[str, "np.ndarray"]) -> None:
    """Write an .npz file, compressed."""
    import numpy as np

    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # an array could be named allow_pickle


def write_json(path: Path, values: Any) -> None:
    write_text(path, json.dumps(values, indent=2) + "\n")


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> Any:
    """The contents of a record; raises RecordError if it is missing, not JSON, or of a schema newer than SCHEMA."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error.strerror}; run snakemake to make it") from None
    except ValueError as error:
        raise RecordError(f"{path} is not JSON ({error}); remove it and run snakemake to make it again") from None
    schema = values.get("schema", 0) if isinstance(values, dict) else 0
    if schema not in range(SCHEMA + 1):
        raise RecordError(
            f"{path} has schema {schema!r}, but this version of alexnet2012 reads schemas up to {SCHEMA}; update "
            "alexnet2012, or remove the file and run snakemake to make it again"
        )
    return values


def in_bytes(count: float) -> str:
    """A size in bytes with a suitable unit: 251.9 GB."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count / 1e3:,.1f} kB"
