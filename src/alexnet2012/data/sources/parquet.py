"""Parquet shards as Hugging Face has them, columns image{bytes, path} and label; those of ILSVRC-2012."""

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from alexnet2012.data.sources import layouts
from alexnet2012.data.sources.ilsvrc import arrange_withheld
from alexnet2012.data.sources.names import IMAGE_NAME, as_text, list_some, own_wnids_of
from alexnet2012.data.sources.rows import Files, Rows, arrange_numbered, arrange_train, join_rows, refuse_added_wnids
from alexnet2012.data.sources.shards import find_shards
from alexnet2012.data.sources.tars import report_listed
from alexnet2012.data.sources.verify import Inventory
from alexnet2012.errors import DataError

NO_LABEL = -1


def list_parquet(folder: Path) -> Inventory:
    """Only names and labels are read.

    Raises DataError when the labels do not number the sorted WordNet ids or contradict the names.
    """
    train, train_files = read_split(folder, "train")
    classes, numbers = _read_classes(train, folder)
    train = replace(train, labels=np.searchsorted(numbers, train.labels))
    train_listing, train_problems = arrange_train(train, classes, train_files)
    val, val_files = read_split(folder, "validation")
    known = np.isin(val.labels, numbers)
    lacking = (find_shards(folder, split).missing for split in layouts.PARQUET_SPLITS)
    differences = (*filter(None, lacking), *_describe_unknown(val.labels[~known]))
    val = val.take(np.flatnonzero(known))
    val = replace(val, labels=np.searchsorted(numbers, val.labels))
    val_listing, val_problems = arrange_numbered(val, "val", layouts.EDITION_2012, val_files)
    refuse_added_wnids(val, val_listing, classes, "val", val_files)
    splits, problems = {"train": train_listing, "val": val_listing}, (*train_problems, *val_problems)
    if find_shards(folder, "test").paths:
        test, test_files = read_split(folder, "test")
        splits["test"], test_problems = arrange_withheld(test, layouts.EDITION_2012, test_files)
        problems += test_problems
    return Inventory(f"ILSVRC-2012 from the parquet shards in {folder}", folder, classes, splits, problems, differences)


def read_split(folder: Path, split: str, names: bool = True) -> tuple[Rows, Files]:
    """The rows of a split's shards in their order; labels as they are written, NO_LABEL where there is none.

    Raises DataError for damaged shards and other columns, and with `names` for a row without an image's name; without,
    paths may be null.
    """
    began = time.monotonic()
    shards = find_shards(folder, split).paths
    rows = join_rows([_read_shard(shard, names).in_file(number) for number, shard in enumerate(shards)])
    report_listed(f"{len(shards)} shards {split}-*.parquet", len(rows), 0, began)
    return rows, Files.of([os.fsencode(shard.relative_to(folder)) for shard in shards], "parquet")


def _read_shard(shard: Path, names: bool) -> Rows:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(shard) as file:
            _refuse_other_columns(shard, file.schema_arrow)
            # The leaf alone: the bytes of the images beside it are not touched.
            table = file.read(columns=["image.path", "label"])
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"{shard} ({shard.stat().st_size:,} bytes) cannot be read as parquet: {error}. It is damaged or cut short; "
            "download it again."
        ) from None
    paths = pc.struct_field(table["image"], "path").combine_chunks().cast(pa.string())
    labels = pc.fill_null(table["label"].combine_chunks().cast(pa.int64()), NO_LABEL).to_numpy()
    for row, path in enumerate(paths.to_pylist() if names else ()):
        if path is None or not IMAGE_NAME.search(path):
            raise DataError(
                f"{shard}, row {row}: its image.path is {path!r}, though an image's name was expected, which tells its "
                "place in the edition. Use shards that keep the names, such as those of ILSVRC/imagenet-1k."
            )
    count = len(labels)
    return Rows(paths, np.zeros(count, np.int32), np.arange(count), np.zeros(count, np.int64), labels)


def _refuse_other_columns(shard: Path, schema) -> None:
    import pyarrow as pa

    found = {field.name: field.type for field in schema}
    image, label = found.get("image"), found.get("label")
    inner = {field.name for field in image} if image is not None and pa.types.is_struct(image) else set()
    if not {"bytes", "path"} <= inner or label is None or not (pa.types.is_integer(label) or pa.types.is_null(label)):
        listed = ", ".join(f"{name} ({kind})" for name, kind in found.items())
        raise DataError(
            f"{shard} has the columns {listed}; image (a struct of bytes and path) and label (whole numbers) were "
            "expected."
        )


def _read_classes(train: Rows, folder: Path) -> tuple[tuple[str, ...], np.ndarray]:
    """The sorted WordNet ids in the names of the training images, and the number that the label column gives each."""
    import pyarrow as pa

    wnids = own_wnids_of(train.paths)
    if wnids.null_count:
        k = int(np.flatnonzero(wnids.is_null().to_numpy(zero_copy_only=False))[0])
        raise DataError(
            f"{folder}: the training image {as_text(train.paths[k].as_py())} was expected to be named nXXXXXXXX_..."
        )
    pairs = pa.table({"wnid": wnids, "label": train.labels}).group_by(["wnid", "label"]).aggregate([]).sort_by("wnid")
    classes, numbers = pairs["wnid"].to_pylist(), pairs["label"].to_numpy()
    odd = [k for k in range(1, len(classes)) if classes[k] == classes[k - 1] or numbers[k] <= numbers[k - 1]]
    if odd or (len(numbers) and numbers[0] < 0):
        k = odd[0] if odd else 0
        before = f" and {classes[k - 1]} label {numbers[k - 1]}" if k else ""
        raise DataError(
            f"{folder}: the label column was expected to number the sorted WordNet ids, but {classes[k]} has label "
            f"{numbers[k]}{before}. These shards were made in another way; use those of ILSVRC/imagenet-1k."
        )
    return tuple(classes), numbers


def _describe_unknown(labels: np.ndarray) -> tuple[str, ...]:
    if not len(labels):
        return ()
    named = list_some([str(label) for label in np.unique(labels).tolist()])
    return (f"val: {len(labels):,} images have labels of which there is no training image: {named}",)
