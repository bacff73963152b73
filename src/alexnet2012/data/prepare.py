"""Preparation of a dataset in data/<name>/: all images at one square size (§2), statistics, and digests.

Two passes: the source lists its images in a canonical order; then they are read in the order of the source's files, and
each is stored at its final row. A kill at any moment loses at most the shards that were being packed.
"""

import re
import shutil
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from alexnet2012.config.datasets import EDITIONS, DatasetConfig
from alexnet2012.config.validate import NAME_PATTERN
from alexnet2012.data.decode import describe_decoder
from alexnet2012.data.downloads import measured_beside
from alexnet2012.data.finish import finish
from alexnet2012.data.listing import Source
from alexnet2012.data.packing import SplitPacking, count_workers, pack_splits
from alexnet2012.data.pixel_statistics import compare_with_authors
from alexnet2012.data.reading import describe_place
from alexnet2012.data.sources.find import find_source, refuse_place_of_packed
from alexnet2012.data.storage import Store, open_store, refuse_full_disk
from alexnet2012.errors import DataError
from alexnet2012.files import LockTaken, in_bytes, locked, write_json
from alexnet2012.fingerprint import fingerprint

LISTED_UNREADABLE = 20
PREPARATION = "preparation.json"  # how the images were packed; every packed dataset has it
FOLDERS_OF_OTHERS = ("archives", "configs", "downloads", "logs")


def prepare(name: str, dataset: DatasetConfig, data_folder: Path = Path("data")) -> Path:
    """Pack a dataset into data/<name>/ and return its manifest.json; the folder appears complete or not at all.

    After a kill, the same call continues after the last finished shard. Raises DataError if images are missing or
    unreadable (all are named), the disk is too small, another process prepares the same dataset, data/<name>/ holds
    something other than a packed dataset, or the packed images do not have the dataset's `digest`; ConfigError if the
    source images lie in data/<name>/.
    """
    if not re.match(NAME_PATTERN, name) or name in FOLDERS_OF_OTHERS:
        raise DataError(
            f'"{name}" cannot name a dataset; use letters, digits, ".", "_" and "-", and none of '
            f"{', '.join(FOLDERS_OF_OTHERS)}."
        )
    try:
        with locked(data_folder / f".{name}.lock"):
            return _prepare(name, dataset, data_folder)
    except LockTaken as holder:
        raise DataError(
            f"{data_folder / name} is being prepared by process {holder}. Wait for it or stop it; then run the same "
            "command again to resume."
        ) from None
    except MemoryError as error:
        raise DataError(
            f"{name}: there was not enough memory for an image. Finished shards are kept: run the same command again "
            "with fewer cores."
        ) from error
    except OSError as error:
        free = f" {in_bytes(shutil.disk_usage(data_folder).free)} are free there." if data_folder.is_dir() else ""
        raise DataError(
            f"{name}: {error.filename or data_folder}: {error.strerror or error}.{free} The finished shards are kept: "
            "mend this and run the same command again."
        ) from error


def check(name: str, dataset: DatasetConfig, data_folder: Path = Path("data")) -> None:
    """List every image, compare the numbers with the edition, and print them; nothing is packed.

    Raises DataError as `prepare` does for everything that is found without decoding.
    """
    source = find_source(dataset, data_folder)
    counts = ", ".join(f"{len(split):,} {split_name}" for split_name, split in source.splits.items())
    print(f"{name}: {counts} images in {len(source.classes):,} classes; {source.part or 'whole'}", flush=True)


def _prepare(name: str, dataset: DatasetConfig, data_folder: Path) -> Path:
    began = time.monotonic()
    work, target = data_folder / f".{name}.partial", data_folder / name
    _restore(target)
    refuse_place_of_packed(name, dataset, target)
    # A packed dataset may lack its manifest: Snakemake removes that before the dataset is prepared again.
    if not _is_vacant(target) and not (target / PREPARATION).exists():
        raise DataError(
            f"{name}: {target} contains something other than a packed dataset, which would be deleted; move it away, "
            "or give the dataset another name"
        )
    source = find_source(dataset, data_folder)
    images = sum(len(split) for split in source.splits.values())
    refuse_full_disk(images, dataset, data_folder, _size_of(work))
    workers = count_workers(images)
    with measured_beside(source.checksums) as measured:
        splits = _pack(name, source, dataset, work, workers)
        print(f"{name}: measuring the mean image, the colour statistics and the digests", flush=True)
        source = replace(source, part=_describe_part(source, dataset, splits))
        statistics, digest = finish(work, name, source, dataset, splits, workers)
    if dataset.digest not in (None, digest):
        raise DataError(
            f"{name}: the images of {source.folder} have digest {digest}, but the configuration expects "
            f"{dataset.digest}. Use the images it was written for, or set digest to the measured one."
        )
    preparation = _describe(source, dataset, splits) | {"md5": measured.md5, "warnings": measured.warnings}
    if dataset.kind in EDITIONS:
        preparation["colours"] = compare_with_authors(statistics)
        print(f"{name}: {preparation['colours']}", flush=True)
    preparation["seconds_of_last_run"] = round(time.monotonic() - began, 1)
    write_json(work / PREPARATION, preparation)
    _publish(work, target)
    print(f"{name}: packed in {target}, digest {digest}", flush=True)
    return target / "manifest.json"


def _pack(name: str, source: Source, dataset: DatasetConfig, work: Path, workers: int) -> dict[str, SplitPacking]:
    """Store all images in `work`, continuing after the shards that an earlier attempt has packed there."""
    stores = {split: open_store(work / split, len(listing), dataset) for split, listing in source.splits.items()}
    _remove_others(work, stores)
    settings = dataset.packing, describe_decoder(), fingerprint("prepare")
    splits = {
        split: SplitPacking(listing, source.folder, stores[split], settings) for split, listing in source.splits.items()
    }
    pack_splits(name, splits.values(), workers)
    _refuse_unreadable(name, source, dataset, splits, work.with_name(f"{name}.unreadable.txt"))
    for split in splits.values():
        split.store.arrange(split.kept, split.found)
    return splits


def _remove_others(work: Path, stores: dict[str, Store]) -> None:
    """Remove leftovers from `work`: of attempts with other splits or storage, and of the last steps of an attempt."""
    kept = {path for store in stores.values() for path in (store.folder, store.path, store.folder / "shards")}
    for path in (*work.iterdir(), *work.glob("*/*")):
        if path in kept:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _refuse_unreadable(
    name: str, source: Source, dataset: DatasetConfig, splits: dict[str, SplitPacking], report: Path
) -> None:
    """List all images that cannot be used in the file `report`; raises DataError unless so many may be left out."""
    lines = [f"{problem.path}: {problem.reason}" for problem in source.problems]
    for split in splits.values():
        failed = split.found["failed"]
        lines += [
            f"{source.folder / describe_place(split.listing, row)}: {failed[row].as_py()}"
            for row in np.flatnonzero(failed.is_valid()).tolist()
        ]
    report.unlink(missing_ok=True)
    if not lines:
        return
    lines = [" ".join(line.split()) for line in lines]  # one line each: a reason may contain line breaks
    report.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    listed = "\n".join(f"  - {line}" for line in lines[:LISTED_UNREADABLE])
    more = "\n  - ..." if len(lines) > LISTED_UNREADABLE else ""
    text = f"{name}: {len(lines):,} images cannot be read:\n{listed}{more}\nThe full list is in {report}. "
    if dataset.bad_images == "skip" and len(lines) <= dataset.max_bad_images:
        print(f"{text}They are left out, as bad_images: skip asks.", flush=True)
        return
    allowed = f", more than max_bad_images: {dataset.max_bad_images}" if dataset.bad_images == "skip" else ""
    raise DataError(
        f"{text}Nothing was packed{allowed}. Replace these images or remove them, or leave them out with bad_images: "
        f"skip and max_bad_images: {len(lines)}; the images that were read are kept for that."
    )


def _describe(source: Source, dataset: DatasetConfig, splits: dict[str, SplitPacking]) -> dict[str, Any]:
    """Origin, date and circumstances of a preparation; not in the manifest, which is equal for equal images."""
    return {
        "source": source.description,
        "folder": str(source.folder),
        "dataset": dataset.model_dump(),
        "oddities": {name: _count_oddities(split) for name, split in splits.items()},
        "left_out": {name: len(split.listing) - len(split.kept) for name, split in splits.items()},
        "ignored": dict(source.ignored),
        "not_taken": [f"{problem.path}: {problem.reason}" for problem in source.problems],
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "numpy": np.__version__,
    }


def _describe_part(source: Source, dataset: DatasetConfig, splits: dict[str, SplitPacking]) -> str:
    """In words, what is missing from the packed images compared with the whole edition or source; empty if nothing."""
    left_out = [
        f"{len(split.listing) - len(split.kept):,} of {name}"
        for name, split in splits.items()
        if len(split.kept) < len(split.listing)
    ]
    parts = [source.part, f"unreadable and left out: {', '.join(left_out)}" if left_out else ""]
    # Editions are checked by their counts: their problems are duplicates, or missing images that the counts show.
    if source.problems and dataset.kind not in EDITIONS:
        parts.append(f"not taken: {len(source.problems):,} of the source")
    return "; ".join(filter(None, parts))


def _count_oddities(split: SplitPacking) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for each in split.found["notes"].value_counts().to_pylist():
        counts.update(dict.fromkeys(filter(None, each["values"].split("; ")), each["counts"]))
    return dict(counts)


def _size_of(folder: Path) -> int:
    """The size of a folder on disk in bytes; holes in files do not count."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def _restore(target: Path) -> None:
    """Restore the previous dataset if a kill interrupted `_publish`."""
    if _is_vacant(target) and _old(target).exists():
        _old(target).rename(target)


def _is_vacant(target: Path) -> bool:
    """Whether `target` does not exist or is empty; Snakemake makes an empty folder for an output before the job."""
    return not target.exists() or not any(target.iterdir())


def _publish(work: Path, target: Path) -> None:
    """Move the finished folder `work` to `target`, replacing what is there; then remove the shards' records."""
    shutil.rmtree(_old(target), ignore_errors=True)
    if target.exists():
        target.rename(_old(target))
    work.rename(target)
    _remove_records(target)
    shutil.rmtree(_old(target), ignore_errors=True)


def _remove_records(folder: Path) -> None:
    for records in folder.glob("*/shards"):
        shutil.rmtree(records)


def _old(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")
