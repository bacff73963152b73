"""From a source to data/<name>/: every image at one fixed square size, statistics, and a manifest of digests (§2).

Two passes: the source lists its images in a canonical order; then they are read in the order in which they lie, and
each is stored at its final row. A kill at any moment loses no more than the shards that were being read.
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

LISTED_UNREADABLE = 20
PREPARATION = "preparation.json"  # how the images were packed; no packed dataset is without
FOLDERS_OF_OTHERS = ("archives", "configs", "downloads", "logs")


def prepare(name: str, dataset: DatasetConfig, data_folder: Path = Path("data")) -> Path:
    """Make data/<name>/ and return its manifest.json; it appears whole or not at all.

    Killed at any moment, the same call goes on after the last finished shard. Raises DataError when images are missing
    or unreadable (all of them are named), the disk is too small, another process prepares the same dataset, what stands
    in data/<name>/ is no packed dataset, or the dataset's `digest` is not that of the packed images; ConfigError when
    its images lie in data/<name>/.
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
            f"{data_folder / name} is being prepared by process {holder}. Wait for it, or end it; then run the same "
            "command again and it goes on."
        ) from None
    except MemoryError as error:
        raise DataError(
            f"{name}: the memory did not suffice for an image. The finished shards are kept: run the same command "
            "again with fewer cores."
        ) from error
    except OSError as error:
        free = f" {in_bytes(shutil.disk_usage(data_folder).free)} are free there." if data_folder.is_dir() else ""
        raise DataError(
            f"{name}: {error.filename or data_folder}: {error.strerror or error}.{free} The finished shards are kept: "
            "mend this and run the same command again."
        ) from error


def check(name: str, dataset: DatasetConfig, data_folder: Path = Path("data")) -> None:
    """The first pass alone: list every image, compare with the edition, and say what there is.

    Raises DataError as `prepare` does for what can be told without decoding.
    """
    source = find_source(dataset, data_folder)
    counts = ", ".join(f"{len(split):,} {split_name}" for split_name, split in source.splits.items())
    print(f"{name}: {counts} images in {len(source.classes):,} classes; {source.part or 'whole'}", flush=True)


def _prepare(name: str, dataset: DatasetConfig, data_folder: Path) -> Path:
    began = time.monotonic()
    work, target = data_folder / f".{name}.partial", data_folder / name
    _restore(target)
    refuse_place_of_packed(name, dataset, target)
    # Not by its manifest: Snakemake removes that before it has it made anew.
    if not _is_vacant(target) and not (target / PREPARATION).exists():
        raise DataError(
            f"{name}: {target} holds no packed dataset, and what it holds would be lost; move it away, or give the "
            "dataset another name"
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
    """Store all images in `work`, going on after the shards that an earlier attempt has packed there."""
    stores = {split: open_store(work / split, len(listing), dataset) for split, listing in source.splits.items()}
    _remove_others(work, stores)
    settings = dataset.packing, describe_decoder()
    splits = {
        split: SplitPacking(listing, source.folder, stores[split], settings) for split, listing in source.splits.items()
    }
    pack_splits(name, splits.values(), workers)
    _refuse_unreadable(name, source, dataset, splits, work.with_name(f"{name}.unreadable.txt"))
    for split in splits.values():
        split.store.arrange(split.kept, split.found)
    return splits


def _remove_others(work: Path, stores: dict[str, Store]) -> None:
    """Remove what an attempt for other splits or another storage, or the end of an attempt, left in `work`."""
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
    """Write every image that cannot be taken into one report; raises DataError unless so many may be left out."""
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
    lines = [" ".join(line.split()) for line in lines]  # one line each, whatever a reason holds
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
    """From where, when and how, which the manifest leaves out so that the same images make the same manifest."""
    return {
        "source": source.description,
        "folder": str(source.folder),
        "dataset": dataset.model_dump(),
        "oddities": {name: _count_oddities(split) for name, split in splits.items()},
        "left_out": {name: len(split.listing) - len(split.kept) for name, split in splits.items()},
        "not_taken": [f"{problem.path}: {problem.reason}" for problem in source.problems],
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "numpy": np.__version__,
    }


def _describe_part(source: Source, dataset: DatasetConfig, splits: dict[str, SplitPacking]) -> str:
    """What keeps the packed images from being the whole of their source."""
    left_out = [
        f"{len(split.listing) - len(split.kept):,} of {name}"
        for name, split in splits.items()
        if len(split.kept) < len(split.listing)
    ]
    parts = [source.part, f"unreadable and left out: {', '.join(left_out)}" if left_out else ""]
    # Of an edition every image is counted: its problems are second copies, or are missing in the counts.
    if source.problems and dataset.kind not in EDITIONS:
        parts.append(f"not taken: {len(source.problems):,} of the source")
    return "; ".join(filter(None, parts))


def _count_oddities(split: SplitPacking) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for each in split.found["notes"].value_counts().to_pylist():
        counts.update(dict.fromkeys(filter(None, each["values"].split("; ")), each["counts"]))
    return dict(counts)


def _size_of(folder: Path) -> int:
    """Bytes on disk; a file with holes counts what is written."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def _restore(target: Path) -> None:
    """Restore the previous dataset if a kill interrupted `_publish`."""
    if _is_vacant(target) and _old(target).exists():
        _old(target).rename(target)


def _is_vacant(target: Path) -> bool:
    """Whether it is not there, or is the empty folder that Snakemake makes for an output before the job."""
    return not target.exists() or not any(target.iterdir())


def _publish(work: Path, target: Path) -> None:
    """Give the finished folder its name, in place of what bore it; the records go last, for the images need them."""
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
