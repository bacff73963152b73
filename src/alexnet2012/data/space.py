"""Whether the packed images fit on the disk, and what the choice of storage costs."""

import shutil
from pathlib import Path

from alexnet2012.config.datasets import KINDS_AS_THEY_ARE, DatasetConfig
from alexnet2012.errors import DataError
from alexnet2012.files import in_bytes

JPEG_SHARE = 0.2  # of raw pixels: photographs at 256x256, quality 95, full colour resolution


def bytes_per_image(dataset: DatasetConfig) -> float:
    """What one packed image takes: exact for raw pixels and its label, about a fifth for JPEGs."""
    raw = dataset.size_px**2 * 3
    return raw + 8 if dataset.storage == "raw" else raw * JPEG_SHARE + 24


def refuse_full_disk(images: int, dataset: DatasetConfig, folder: Path, already_bytes: int) -> None:
    """Raises DataError when `folder` lacks the room, and explains both kinds of storage, as it does for large data."""
    needed, free = max(0.0, images * bytes_per_image(dataset) - already_bytes), shutil.disk_usage(folder).free
    choice = "" if dataset.kind in KINDS_AS_THEY_ARE else f"{_describe_choice(images, dataset)}."
    if free < needed:
        instead = f", or choose another storage: {choice}" if choice else "."
        raise DataError(
            f"The packed images need {in_bytes(needed)} more, but {folder.resolve()} has {in_bytes(free)} free. Make "
            f"room, or link that folder to a larger disk{instead}"
        )
    if needed > 1e9:
        print(f"{images:,} images as {dataset.storage}; {in_bytes(free)} are free. {choice}", flush=True)


def _describe_choice(images: int, dataset: DatasetConfig) -> str:
    raw, jpeg = (
        in_bytes(images * bytes_per_image(dataset.model_copy(update={"storage": storage})))
        for storage in ("raw", "jpeg")
    )
    return (
        f"storage: raw takes {raw} and is read without decoding; storage: jpeg takes about {jpeg}, re-encodes each "
        f"image (quality {dataset.jpeg_quality}) and decodes it at every use"
    )
