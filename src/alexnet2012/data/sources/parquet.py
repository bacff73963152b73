"""ILSVRC-2012 and Tiny ImageNet from Hugging Face's parquet shards, with columns image{bytes, path} and label.

Most copies of Tiny ImageNet do not have the images' names.
"""

import json
import os
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from alexnet2012.data.listing import Listing, Source, concatenate
from alexnet2012.data.sources.arrange import (
    OFFICIAL_STEM,
    arrange_numbered,
    arrange_train,
    arrange_withheld,
    take_numbered,
)
from alexnet2012.data.sources.classes import read_class_list
from alexnet2012.data.sources.image_names import IMAGE_NAME, OWN_WNID, WNID, find_wnids, list_some, stems_of
from alexnet2012.data.sources.layouts import EDITION_2012, find_shards
from alexnet2012.data.sources.small_layouts import CLASSES, find_val_shards
from alexnet2012.data.sources.tars import report_listed
from alexnet2012.errors import DataError

NO_LABEL = -1
STEMS = {"train": OFFICIAL_STEM, "val": r"^val_\d+$"}


def list_parquet(folder: Path) -> Source:
    """ILSVRC-2012; only names and labels are read.

    Raises DataError if the labels are not in the order of the WordNet ids, or contradict the names.
    """
    train = read_shards(folder, "train")
    classes, numbers = _number_classes(train, folder)
    train = train.put(label=np.searchsorted(numbers, train.labels))
    val = read_shards(folder, "validation")
    if len(odd := val.labels[~np.isin(val.labels, numbers)]):
        named = list_some([str(label) for label in np.unique(odd)])
        val = val.note(f"val: {len(odd):,} images have labels of which there is no training image: {named}")
    val = val.take(np.flatnonzero(np.isin(val.labels, numbers)))
    val = take_numbered(val.put(label=np.searchsorted(numbers, val.labels)), "val", EDITION_2012)
    splits = {"train": arrange_train(train, classes), "val": arrange_numbered(val, "val", classes)}
    if find_shards(folder, "test").paths:
        splits["test"] = arrange_withheld(read_shards(folder, "test"), EDITION_2012)
    return Source(f"ILSVRC-2012 from the parquet shards in {folder}", folder, classes, splits)


def list_tiny_parquet(folder: Path) -> Source:
    """Tiny ImageNet: train and val, ordered by class and name, or by class and row if the shards have no names.

    Raises DataError for damaged shards, unexpected columns, and labels of no class.
    """
    import pandas as pd  # takes a third of a second, and only this function needs it

    written = {"train": "train", "val": find_val_shards(folder)[0]}
    splits = {split: read_shards(folder, name, names=False) for split, name in written.items()}
    numbered = _read_class_names(folder, find_shards(folder, "train").paths[0])
    classes = tuple(sorted(numbered))
    label_of = np.array([classes.index(name) for name in numbered], np.int64)
    for split, images in splits.items():
        if len(odd := np.flatnonzero((images.labels < 0) | (images.labels >= len(classes)))):
            raise DataError(
                f"{folder}: {written[split]}-*.parquet: row {odd[0]:,} has label {images.labels[odd[0]]}, and "
                f"{len(odd) - 1:,} more are of no class; 0 to {len(classes) - 1} were expected. Use the shards of "
                "another copy."
            )
        images = images.put(label=label_of[images.labels])
        if not pc.all(pc.fill_null(pc.match_substring_regex(stems_of(images.names), STEMS[split]), False)).as_py():
            place = pd.Series(images.labels).groupby(images.labels).cumcount()  # within the rows of its class
            images = images.put(name=pa.array([f"{k:05d}" for k in place], pa.string()))
        splits[split] = arrange_train(images, classes, prefix=f"{split}/", official_names=False)
    return Source(f"Tiny ImageNet from the parquet shards in {folder}", folder, classes, splits)


def read_shards(folder: Path, split: str, names: bool = True) -> Listing:
    """The rows of a split's shards, in order, with labels as written, or NO_LABEL.

    Missing shards are a difference. Raises DataError for damaged shards, unexpected columns, and, with `names`, for a
    row without an image's name.
    """
    began = time.monotonic()
    shards = find_shards(folder, split)
    images = concatenate([_read_shard(folder, path, names) for path in shards.paths])
    report_listed(f"{len(shards.paths)} shards {split}-*.parquet", len(images), 0, began)
    return images.note(shards.missing) if shards.missing else images


def _read_shard(folder: Path, shard: Path, names: bool) -> Listing:
    try:
        with pq.ParquetFile(shard) as file:
            _refuse_other_columns(shard, file.schema_arrow)
            # Only image.path, not image.bytes.
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
    files = [os.fsencode(shard.relative_to(folder))]
    return Listing.of(paths, files, offset=np.arange(len(labels)), label=labels, container="parquet")


def _refuse_other_columns(shard: Path, schema: pa.Schema) -> None:
    found = {field.name: field.type for field in schema}
    image, label = found.get("image"), found.get("label")
    inner = {field.name for field in image} if image is not None and pa.types.is_struct(image) else set()
    if not {"bytes", "path"} <= inner or label is None or not (pa.types.is_integer(label) or pa.types.is_null(label)):
        listed = ", ".join(f"{name} ({kind})" for name, kind in found.items())
        raise DataError(
            f"{shard} has the columns {listed}; image (a struct of bytes and path) and label (whole numbers) were "
            "expected."
        )


def _number_classes(train: Listing, folder: Path) -> tuple[tuple[str, ...], np.ndarray]:
    """The sorted WordNet ids in the training images' names, and the value of the label column for each."""
    wnids = find_wnids(train.names, OWN_WNID)
    if wnids.null_count:
        odd = train.names[int(np.flatnonzero(wnids.is_null())[0])]
        raise DataError(f"{folder}: the training image {odd} was expected to be named nXXXXXXXX_...")
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


def _read_class_names(folder: Path, shard: Path) -> list[str]:
    """The WordNet ids in the order of the labels: from the shard's metadata, else sorted from wnids.txt.

    Raises DataError if neither has them.
    """
    try:
        metadata = pq.read_schema(shard).metadata or {}
        names = json.loads(metadata[b"huggingface"])["info"]["features"]["label"]["names"]
    except (pa.ArrowException, ValueError, KeyError, TypeError):
        names = []
    if names and all(WNID.fullmatch(str(name)) for name in names):
        return list(names)
    if (beside := folder / CLASSES).is_file():
        return list(read_class_list(beside))
    found = f"names the classes {list_some([str(name) for name in names], 3)}" if names else "does not name the classes"
    raise DataError(
        f"{shard} {found}, where WordNet ids were expected; put the official {CLASSES} into {folder}, whose classes, "
        "sorted, the labels then number."
    )
