"""Ensembles (table 2): the mean of their members' stored probabilities; no net is loaded."""

from dataclasses import asdict
from pathlib import Path

import numpy as np

from alexnet2012 import provenance
from alexnet2012.data.packed import open_packed
from alexnet2012.errors import RecordError
from alexnet2012.evaluation.metrics import CROPS, rank_truth
from alexnet2012.evaluation.trained import read_net_record, write_record
from alexnet2012.files import replacing

BLOCK_VALUES = 2**17  # a megabyte of sums, which stays in the cache while the members are added


def average_members(name: str, member_folders: list[Path], split: str, output_folder: Path, data_folder: Path) -> None:
    """Write the files of evaluation.predict.predict for the mean of the members' probabilities.

    `member_folders`: the folders of the members' predictions. Raises RecordError if these are of different data.
    """
    keys = ("variant", "seed", "provenance")
    records = {folder: read_net_record(folder / f"{split}.json", *keys) for folder in member_folders}
    datasets = {record["dataset"]["digest"] for record in records.values()}
    if len(datasets) != 1:
        raise RecordError(
            f"{name}: its members were evaluated on different data ({', '.join(sorted(datasets))}); evaluate them again"
        )
    first = next(iter(records.values()))
    dataset = open_packed(data_folder / first["dataset"]["name"])
    if dataset.digest not in datasets:
        raise RecordError(
            f"{dataset.folder} is no longer the data that {name}'s members were evaluated on; evaluate them again"
        )
    for crops in CROPS:
        average([folder / f"{split}-{crops}.npy" for folder in member_folders], output_folder / f"{split}-{crops}.npy")
    members = {f"{record['variant']}-seed{record['seed']}": record.get("mlflow_run_id") for record in records.values()}
    made_by = asdict(provenance.collect(first["provenance"]["torch_threads"]))
    details = {"members": members, "hash8": output_folder.parent.name.rpartition("-")[2]}
    labels = dataset.split(split).labels
    stored = {crops: np.load(output_folder / f"{split}-{crops}.npy", mmap_mode="r") for crops in CROPS}
    ranks = {crops: rank_truth(each, labels) for crops, each in stored.items()}
    write_record(output_folder, "ensemble", name, dataset, split, ranks, made_by, details)


def average(members: list[Path], output: Path) -> None:
    """Write the mean of the members' probabilities, float32 (n, classes), summed in float64, block by block.

    Raises RecordError if there are no members, their shapes differ, or they hold no probabilities.
    """
    if not members:
        raise RecordError("an ensemble needs at least one member's probabilities, found none")
    arrays = [np.load(member, mmap_mode="r") for member in members]
    for member, array in zip(members, arrays, strict=True):
        if array.shape != arrays[0].shape:
            raise RecordError(
                f"{member} holds {array.shape} probabilities, {members[0]} holds {arrays[0].shape}: "
                "they are not of the same split; predict both again"
            )
    images, classes = arrays[0].shape
    if images == 0:
        raise RecordError(
            f"{members[0]} holds no probabilities to average: they are not stored for so many images and classes; "
            "leave the ensemble out, or average on a smaller dataset"
        )
    step = max(1, BLOCK_VALUES // classes)
    # Written, not memory-mapped: the page faults of a new mapping take longer than the sums.
    with replacing(output) as temporary, temporary.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (images, classes)}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, images, step):
            rows = slice(start, start + step)
            total = arrays[0][rows].astype(np.float64)
            for array in arrays[1:]:
                total += array[rows].astype(np.float64)  # += of the float32 block takes twice as long
            file.write((total / len(arrays)).astype("<f4"))
