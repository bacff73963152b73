"""The source of a dataset: its images, listed for each split in a canonical order by the reader of its kind.

`check_source` finds missing files in milliseconds, because readers and their libraries are imported only when used.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from alexnet2012.config.datasets import DOWNSAMPLED, RELEASES, TINY_IMAGENET, DatasetConfig
from alexnet2012.data.sources.image_names import as_list
from alexnet2012.data.sources.layouts import check_ilsvrc2010, check_ilsvrc2012, check_release, source_folder
from alexnet2012.data.sources.small_layouts import check_downsampled, check_tiny_imagenet
from alexnet2012.errors import ConfigError, DataError

if TYPE_CHECKING:
    from alexnet2012.data.listing import Source


def check_source(dataset: DatasetConfig) -> list[str]:
    """A sentence for each file or folder that the dataset needs and that is missing; empty if there is none."""
    if dataset.folder is None:
        return []
    folder = source_folder(dataset)
    if dataset.kind == "cifar10":
        return [] if folder.exists() else [f"{folder} does not exist; CIFAR-10 was to be read from it"]
    if dataset.kind == TINY_IMAGENET:
        return check_tiny_imagenet(folder, dataset.complete)
    if not folder.is_dir():
        return [f"the folder {folder} does not exist; name an existing one as the dataset's folder"]
    if dataset.kind == "ilsvrc2010":
        return check_ilsvrc2010(folder)
    if dataset.kind == DOWNSAMPLED:
        return check_downsampled(folder, dataset.complete)
    if dataset.kind == "ilsvrc2012":
        return check_ilsvrc2012(folder, dataset.layout, dataset.complete)
    if dataset.kind in RELEASES:
        return check_release(folder, Path(str(dataset.class_list)).expanduser())
    return []


def find_source(dataset: DatasetConfig, data_folder: Path) -> "Source":
    """The images of a dataset. Downloads go to `data_folder`/downloads; rotations read the packed dataset in
    `data_folder`.

    Raises DataError if images are missing or not as expected.
    """
    from alexnet2012.data.sources.drawn_splits import take_subset

    if missing := check_source(dataset):
        raise DataError(
            f"{dataset.kind} cannot be read from {dataset.folder}:\n{as_list(missing)}\n"
            "Put there what is missing, or correct the dataset's folder in the configuration."
        )
    source = _find(dataset, data_folder)
    return source if dataset.subset is None else take_subset(source, dataset.subset)


def refuse_place_of_packed(where: str, dataset: DatasetConfig, target: Path) -> None:
    """Raise ConfigError if the dataset's source images lie in `target`, a folder that packing replaces."""
    if dataset.folder is not None and source_folder(dataset).resolve().is_relative_to(target.resolve()):
        raise ConfigError(
            f"{where}: folder {dataset.folder} is where packed images go, and {target} is replaced; move the images to "
            "another place, and name that as the dataset's folder"
        )


def _find(dataset: DatasetConfig, data_folder: Path) -> "Source":
    from alexnet2012.data.sources.cifar10 import find_cifar10
    from alexnet2012.data.sources.downsampled_imagenet import find_downsampled_imagenet
    from alexnet2012.data.sources.folders import scan_image_folder
    from alexnet2012.data.sources.ilsvrc2010 import find_ilsvrc2010
    from alexnet2012.data.sources.ilsvrc2012 import find_ilsvrc2012
    from alexnet2012.data.sources.releases import find_release
    from alexnet2012.data.sources.rotations import find_rotations
    from alexnet2012.data.sources.tiny_imagenet import find_tiny_imagenet

    if dataset.kind == "cifar10":
        return find_cifar10(dataset, data_folder / "downloads")
    if dataset.kind == TINY_IMAGENET:
        return find_tiny_imagenet(dataset, data_folder / "downloads")
    if dataset.kind == "rotations":
        return find_rotations(dataset, data_folder)
    if dataset.kind == "ilsvrc2010":
        return find_ilsvrc2010(dataset)
    if dataset.kind == "ilsvrc2012":
        return find_ilsvrc2012(dataset)
    if dataset.kind in RELEASES:
        return find_release(dataset)
    if dataset.kind == DOWNSAMPLED:
        return find_downsampled_imagenet(dataset)
    return scan_image_folder(dataset)
