"""The files of a packed dataset besides its images: labels, index, statistics, and the manifest with all digests."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from alexnet2012.data.decode import describe_decoder
from alexnet2012.data.listing import Source
from alexnet2012.data.packed import (
    MANIFEST_VERSION,
    SHARD_ROWS,
    SPLITS,
    digest_rows,
    open_images,
    shard_digests,
    whole_digest,
)
from alexnet2012.data.packing import SplitPacking, in_parallel
from alexnet2012.data.pixel_statistics import RunningSums, Statistics, Sums, add, derive_statistics

if TYPE_CHECKING:
    from alexnet2012.config.datasets import DatasetConfig


def finish(
    folder: Path, name: str, source: Source, dataset: "DatasetConfig", splits: dict[str, SplitPacking], workers: int
) -> tuple[Statistics, str]:
    """Write labels, indices, statistics and manifest into `folder`; returns the statistics and the content digest."""
    blocks = [
        (folder / split_name, len(split.kept), dataset.size_px, dataset.storage, first, split_name == "train")
        for split_name, split in splits.items()
        for first in range(0, len(split.kept), SHARD_ROWS)
    ]
    digests: dict[str, dict[str, list[str]]] = {split_name: {"images": []} for split_name in splits}
    sums: list[Sums] = []
    for (split_folder, *_), (digest, block_sums) in zip(blocks, in_parallel(_measure, blocks, workers), strict=True):
        digests[split_folder.name]["images"].append(digest)
        sums += [block_sums] if block_sums is not None else []
    for split_name, split in splits.items():
        np.save(folder / split_name / "labels.npy", split.labels)
        _write_index(folder / split_name / "index.parquet", source.classes, split)
        digests[split_name]["labels"] = shard_digests(split.labels)
    statistics = derive_statistics(add(sums))
    np.savez(folder / "statistics.npz", **vars(statistics))
    return statistics, _write_manifest(folder, name, source, dataset, splits, digests)


def _measure(task: tuple[Path, int, int, str, int, bool]) -> tuple[str, Sums | None]:
    """The digest of the shard of 4,096 rows at row `first` and, if `summed`, its pixel sums; reads each image once."""
    folder, count, size_px, storage, first, summed = task
    images = open_images(folder, size_px, storage)
    running = RunningSums(size_px)
    digest = digest_rows(images, first, count, each=lambda row: running.add(images[row]) if summed else None)
    return digest, running.sums if summed else None


def _write_index(path: Path, classes: tuple[str, ...], split: SplitPacking) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "path": split.listing.names.take(split.kept),
        "class": pa.array(classes, pa.string()).take(pa.array(split.labels, mask=split.labels < 0)),
    }
    found = split.found.select(["width", "height", "notes"]).take(split.kept)
    columns |= {name: found[name] for name in found.column_names}
    pq.write_table(pa.table(columns), path, row_group_size=SHARD_ROWS)


def _write_manifest(
    folder: Path,
    name: str,
    source: Source,
    dataset: "DatasetConfig",
    splits: dict[str, SplitPacking],
    digests: dict[str, dict[str, list[str]]],
) -> str:
    manifest = {
        "version": MANIFEST_VERSION,
        "name": name,
        "kind": dataset.kind,
        "part": source.part,
        "digest": whole_digest(digests),
        "counts": {split: len(splits[split].kept) for split in SPLITS if split in splits},
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
