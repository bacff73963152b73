"""What makes packed images a dataset: statistics, digests, the index of each split, and the manifest."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.decode import describe_decoder
from alexnet2012.data.listing import Listing, Source
from alexnet2012.data.packed import (
    MANIFEST_VERSION,
    SHARD_ROWS,
    SPLITS,
    digest_rows,
    open_images,
    shard_digests,
    whole_digest,
)
from alexnet2012.data.packing import Found, Run
from alexnet2012.data.statistics import RunningSums, Statistics, Sums, add, derive_statistics


@dataclass(frozen=True, eq=False)
class SplitResult:
    """A packed split: what the source listed, what was found, and the source's rows that were kept, in packed order."""

    split: Listing
    found: Found
    kept: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        return self.split.labels[self.kept].astype(np.int64)


def finish(
    folder: Path,
    name: str,
    source: Source,
    dataset: DatasetConfig,
    results: dict[str, SplitResult],
    run: Run,
) -> tuple[Statistics, str]:
    """Write labels, indices, statistics and manifest into `folder`; returns the statistics and the whole digest."""
    shards = [
        (folder / split, len(result.kept), dataset.size_px, dataset.storage, first, split == "train")
        for split, result in results.items()
        for first in range(0, len(result.kept), SHARD_ROWS)
    ]
    digests: dict[str, dict[str, list[str]]] = {split: {"images": []} for split in results}
    sums: list[Sums] = []
    for (split_folder, *_), (digest, shard_sums) in zip(shards, run(_read_shard, shards), strict=True):
        digests[split_folder.name]["images"].append(digest)
        sums += [shard_sums] if shard_sums is not None else []
    for split, result in results.items():
        np.save(folder / split / "labels.npy", result.labels)
        _write_index(folder / split / "index.parquet", source.classes, result)
        digests[split]["labels"] = shard_digests(result.labels)
    statistics = derive_statistics(add(sums))
    np.savez(folder / "statistics.npz", **vars(statistics))
    return statistics, _write_manifest(folder, name, source, dataset, results, digests)


def describe_images(listing: Listing, folder: Path) -> str:
    """sha256 over names, places, labels, and the times of archives: the same source, as far as its files tell."""
    digest = hashlib.sha256(listing.container.encode())
    if len(listing.files) < len(listing):  # of a file for each image the listing knows the size, which must do
        for path in listing.files.to_pylist():
            digest.update(str((folder / os.fsdecode(path)).stat().st_mtime_ns).encode())
    for column in (listing.file, listing.offset, listing.size, listing.labels):
        digest.update(np.ascontiguousarray(column))
    for texts in (listing.files, listing.names):
        for first in range(0, len(texts), SHARD_ROWS):
            digest.update("\0".join(map(str, texts[first : first + SHARD_ROWS].to_pylist())).encode())
    return digest.hexdigest()


def _read_shard(task: tuple[Path, int, int, str, int, bool]) -> tuple[str, Sums | None]:
    """The digest of the shard that begins with row `first` and, if `summed`, its sums: each image is read once."""
    folder, count, size_px, storage, first, summed = task
    images = open_images(folder, size_px, storage)
    running = RunningSums(size_px)
    digest = digest_rows(images, first, count, each=lambda row: running.add(images[row]) if summed else None)
    return digest, running.sums if summed else None


def _write_index(path: Path, classes: tuple[str, ...], result: SplitResult) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    found, kept = result.found, result.kept
    schema = pa.schema(
        [("path", pa.string()), ("class", pa.string()), ("width", pa.int32()), ("height", pa.int32())]
        + [("notes", pa.string())]
    )
    class_names = pa.array(classes)
    with pq.ParquetWriter(path, schema) as writer:
        for first in range(0, len(kept), SHARD_ROWS):
            rows = kept[first : first + SHARD_ROWS]
            labels = result.split.labels[rows]
            columns = [
                result.split.names.take(pa.array(rows)),
                class_names.take(pa.array(labels, mask=labels < 0)),
                found.width[rows],
                found.height[rows],
                [found.odd.get(row, "") for row in rows.tolist()],
            ]
            writer.write_table(pa.table(columns, schema=schema))


def _write_manifest(
    folder: Path,
    name: str,
    source: Source,
    dataset: DatasetConfig,
    results: dict[str, SplitResult],
    digests: dict[str, dict[str, list[str]]],
) -> str:
    manifest = {
        "version": MANIFEST_VERSION,
        "name": name,
        "kind": dataset.kind,
        "part": source.part,
        "digest": whole_digest(digests),
        "counts": {split: len(results[split].kept) for split in SPLITS if split in results},
        "size_px": dataset.size_px,
        "storage": dataset.storage,
        "jpeg_quality": dataset.jpeg_quality if dataset.storage == "jpeg" else None,
        "classes": source.classes,
        "official_ids": source.official_ids,
        "decoder": describe_decoder(),
        "shard_rows": SHARD_ROWS,
        "shards": digests,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return str(manifest["digest"])
