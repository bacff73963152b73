"""Where images come from: each kind of dataset lists its images, split by split, in a canonical order."""

from pathlib import Path

from alexnet2012.data.sources.cifar10 import find_cifar10
from alexnet2012.data.sources.folders import scan_image_folder
from alexnet2012.data.sources.source import Source
from alexnet2012.dataset_config import DatasetConfig


def find_source(dataset: DatasetConfig, downloads_folder: Path) -> Source:
    """The images that a configuration names. Raises DataError when they are missing or not what they should be."""
    if dataset.kind == "cifar10":
        return find_cifar10(dataset, downloads_folder)
    return scan_image_folder(dataset)
