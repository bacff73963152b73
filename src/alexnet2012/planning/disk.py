"""The disk that a configuration needs against what is free, and the rate at which trainings will read it."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.cpu import MEMBERSHIP, MOUNT, list_control_groups
from alexnet2012.data.space import bytes_per_image
from alexnet2012.planning.work import DatasetWork, Work

LABEL_BYTES = 8
# Two checkpoints are kept while a third is written; each holds weights and velocity, 4 bytes a number.
CHECKPOINTS = 3
BYTES_PER_NUMBER = 4


@dataclass(frozen=True)
class FileSystem:
    """One file system and the folders on it: bytes that are still to be written, and bytes that are free."""

    folders: tuple[str, ...]
    needed_bytes: int
    free_bytes: int

    @property
    def fits(self) -> bool:
        return self.needed_bytes <= self.free_bytes


@dataclass(frozen=True)
class Disk:
    """Bytes of everything when all is done (checkpoints: at the most crowded moment), and of what is still missing."""

    packed_bytes: dict[str, int]
    predictions_bytes: int
    weights_bytes: int
    checkpoints_bytes: int
    data_needed_bytes: int
    results_needed_bytes: int
    file_systems: tuple[FileSystem, ...]

    @property
    def fits(self) -> bool:
        return all(each.fits for each in self.file_systems)


def stored_image_bytes(dataset: DatasetConfig) -> int:
    """Bytes of one packed image without its label: 256 x 256 x 3 = 196,608 raw, about a fifth as JPEG."""
    return round(bytes_per_image(dataset)) - LABEL_BYTES


def packed_bytes(dataset: DatasetWork) -> int:
    return round(dataset.images * bytes_per_image(dataset.config))


def measure_disk(work: Work, data_folder: Path, at_once: int) -> Disk:
    """For `at_once` simultaneous trainings; what is packed or predicted already is not needed again."""
    predictions = (*work.predictions, *work.averages)
    sizes = sorted((training.parameters * BYTES_PER_NUMBER for training in work.pending), reverse=True)
    checkpoints = sum(2 * CHECKPOINTS * size for size in sizes[:at_once])
    data_needed = sum(
        max(0, packed_bytes(dataset) - begun_bytes(data_folder / f".{dataset.name}.partial"))
        for dataset in work.datasets
        if not dataset.counts.packed
    )
    results_needed = sum(sizes) + checkpoints + sum(each.bytes for each in predictions if not each.done)
    results_needed += sum(each.codes_bytes for each in work.baselines if not each.learnt)
    needs = {str(data_folder): data_needed, f"results/{work.plan.config.name}": results_needed}
    return Disk(
        packed_bytes={dataset.name: packed_bytes(dataset) for dataset in work.datasets},
        predictions_bytes=sum(each.bytes for each in predictions),
        weights_bytes=sum(training.parameters * BYTES_PER_NUMBER for training in work.trainings),
        checkpoints_bytes=checkpoints,
        data_needed_bytes=data_needed,
        results_needed_bytes=results_needed,
        file_systems=group_by_device(needs),
    )


def begun_bytes(folder: Path) -> int:
    """What an interrupted preparation has written; its array has holes, which take no room yet."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def group_by_device(needs: dict[str, int]) -> tuple[FileSystem, ...]:
    """The folders and their bytes by the file system that they lie on, or will."""
    groups: dict[int, list[str]] = {}
    for folder in needs:
        groups.setdefault(existing_parent(Path(folder)).stat().st_dev, []).append(folder)
    return tuple(
        FileSystem(
            tuple(folders),
            sum(needs[folder] for folder in folders),
            shutil.disk_usage(existing_parent(Path(folders[0]))).free,
        )
        for folders in groups.values()
    )


def existing_parent(folder: Path) -> Path:
    """`folder`, or the nearest folder above it that exists; links are followed."""
    folder = folder.expanduser().resolve()
    while not folder.exists():
        folder = folder.parent
    return folder


def usable_memory_bytes(membership: Path = MEMBERSHIP, mount: Path = MOUNT) -> int:
    """The machine's memory, or the least limit of this process's control groups where that is less."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for group in list_control_groups("memory", membership, mount):
        for name in ("memory.max", "memory.limit_in_bytes"):  # of version 2, of version 1
            try:
                limits.append(int((group / name).read_text(encoding="utf-8")))
            except (OSError, ValueError):  # not there, or "max"
                continue
    return min(limits)
