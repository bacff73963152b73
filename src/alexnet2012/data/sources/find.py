"""Where images come from: each kind of dataset lists its images, split by split, in a canonical order."""

from pathlib import Path

from alexnet2012.config.datasets import DOWNSAMPLED, RELEASES, TINY_IMAGENET, DatasetConfig
from alexnet2012.data.sources.cifar10 import find_cifar10
from alexnet2012.data.sources.downsampled_imagenet import find_downsampled_imagenet
from alexnet2012.data.sources.folders import scan_image_folder
from alexnet2012.data.sources.ilsvrc2010 import find_ilsvrc2010
from alexnet2012.data.sources.ilsvrc2012 import find_ilsvrc2012
from alexnet2012.data.sources.layouts import check_source
from alexnet2012.data.sources.releases import find_release
from alexnet2012.data.sources.rotations import find_rotations
from alexnet2012.data.sources.source import Source, as_list
from alexnet2012.data.sources.subset import take_subset
from alexnet2012.data.sources.tiny_imagenet import find_tiny_imagenet
from alexnet2012.errors import DataError


def find_source(dataset: DatasetConfig, data_folder: Path) -> Source:
    """The images that a configuration names; what is fetched goes below `data_folder`, where packed datasets are.

    Raises DataError when they are missing or not what they should be.
    """
    if missing := check_source(dataset):
        raise DataError(
            f"{dataset.kind} cannot be read from {dataset.folder}:\n{as_list(missing)}\n"
            "Put there what is missing, or correct the dataset's folder in the configuration."
        )
    source = _find(dataset, data_folder)
    return source if dataset.subset is None else take_subset(source, dataset.subset)


def _find(dataset: DatasetConfig, data_folder: Path) -> Source:
    if dataset.kind == "cifar10":
        return find_cifar10(dataset, data_folder / "downloads")
    if dataset.kind == "rotations":
        return find_rotations(dataset, data_folder)
    if dataset.kind == "ilsvrc2010":
        return find_ilsvrc2010(dataset)
    if dataset.kind == "ilsvrc2012":
        return find_ilsvrc2012(dataset)
    if dataset.kind == TINY_IMAGENET:
        return find_tiny_imagenet(dataset, data_folder / "downloads")
    if dataset.kind in RELEASES:
        return find_release(dataset)
    if dataset.kind == DOWNSAMPLED:
        return find_downsampled_imagenet(dataset)
    return scan_image_folder(dataset)
