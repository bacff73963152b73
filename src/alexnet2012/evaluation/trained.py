"""Reading trained runs from disk (settings, record, weights, inputs), and writing the records of predictions."""

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from alexnet2012 import devices, provenance
from alexnet2012.class_names import name_classes
from alexnet2012.config.schema import RunConfig, read_run
from alexnet2012.data.packed import PackedDataset, open_packed
from alexnet2012.errors import DataError, RecordError
from alexnet2012.evaluation.metrics import CROPS
from alexnet2012.files import INPUTS, NET_FILES, SCHEMA, WEIGHTS, file_digest, read_json, write_arrays, write_json
from alexnet2012.project import find_project_file

if TYPE_CHECKING:
    from torch import nn

    from alexnet2012.model.alexnet import AlexNet
    from alexnet2012.model.layered import LayeredNet

PLACE = "results/NAME/runs/DATASET/VARIANT-HASH/seed0"  # of a trained net


def find_net(path: Path) -> Path:
    """The folder of the trained net at `path`, which may be nets/cifar10 or another of the project's own nets.

    Raises RecordError, with what is there instead, if there is none.
    """
    path = find_project_file(path)
    folder = path.parent if path.name == WEIGHTS else path
    if not path.exists():
        raise RecordError(f"{path} does not exist; name the folder of a trained net, such as {PLACE}")
    if not folder.is_dir():
        raise RecordError(f"{path} is a file; name the folder of a trained net, such as {PLACE}, or model.safetensors")
    missing = [name for name in NET_FILES if not (folder / name).is_file()]
    if not missing:
        return folder
    if any(folder.glob("*-ten_crop.npy")):
        raise RecordError(f"{folder} holds predictions and no net; name the folders below runs/ that they are made by")
    if below := sorted(chain(folder.glob("*/model.safetensors"), folder.glob("*/*/model.safetensors"))):
        raise RecordError(f"{folder} holds no net itself; do you mean {below[0].parent}?")
    remedy = "`alexnet2012 cards RESULTS` writes it beside every net of RESULTS" if missing == [INPUTS] else ""
    raise RecordError(
        f"{folder} lacks {' and '.join(missing)}, but a trained net is a folder with {', '.join(NET_FILES)}; "
        f"{remedy or 'let its training finish, or copy the whole folder'}"
    )


def read_net_record(path: Path, *keys: str) -> dict[str, Any]:
    """A record of a net or of its predictions; raises RecordError if it lacks its dataset or one of `keys`."""
    record = read_json(path)
    dataset = record.get("dataset") if isinstance(record, dict) else None
    if not isinstance(dataset, dict) or not {"name", "digest"} <= dataset.keys() or not {*keys} <= record.keys():
        raise RecordError(
            f"{path} is no record of a net: it lacks one of dataset (with name and digest), {', '.join(keys)}; remove "
            "it and run snakemake to make it again"
        )
    return dict(record)


def open_weights(run_folder: Path) -> tuple[RunConfig, dict[str, Any]]:
    """A trained run's configuration and record.

    Raises RecordError if its weights are missing or are not those of the record.
    """
    run = read_run(run_folder / "config.yaml")
    record = read_net_record(run_folder / "record.json", "weights_sha256")
    weights = run_folder / WEIGHTS
    if not weights.is_file():
        raise RecordError(f"{weights} is missing; a training writes it at its end, so run snakemake to finish this one")
    if file_digest(weights) != record["weights_sha256"]:
        raise RecordError(f"{weights} is not what record.json beside it describes; train this run again")
    return run, record


def open_run(run_folder: Path, data_folder: Path) -> tuple[RunConfig, dict[str, Any], PackedDataset]:
    """A trained run's configuration, record and dataset.

    Raises RecordError if the weights are not those of the record, or the data are not those it was trained on.
    """
    run, record = open_weights(run_folder)
    dataset = open_packed(data_folder / run.dataset_name)
    if dataset.digest != record["dataset"]["digest"]:
        raise RecordError(
            f"{run_folder} was trained on data {record['dataset']['digest'][:8]}, "
            f"{dataset.folder} holds {dataset.digest[:8]}; prepare the same data, or train again"
        )
    return run, record, dataset


def load_net(run_folder: Path, run: RunConfig, classes: int) -> tuple["nn.Module", provenance.Provenance]:
    """The trained net on its device, and the provenance of results made with it; raises RecordError as read_net."""
    device = devices.open_device(run.runtime.device, run.training.torch_threads, run.runtime.deterministic)
    made_by = provenance.collect(run.training.torch_threads, device.type)
    return read_net(run_folder, run, classes).to(device), made_by


def read_net(run_folder: Path, run: RunConfig, classes: int) -> "AlexNet | LayeredNet":
    """The trained net on the CPU; raises RecordError when its weights are not of the net that `run` describes."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from alexnet2012.model.layered import make_net

    path, net = run_folder / WEIGHTS, make_net(run.architecture, classes)
    try:
        net.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise RecordError(
            f"{path} does not hold the weights of the net of {classes} classes that config.yaml beside it describes: "
            f"{error}; copy the whole folder of one run"
        ) from None
    return net


def write_inputs(run_folder: Path, dataset: PackedDataset) -> None:
    """Write the mean image and the class names of `dataset` to `run_folder`/inputs.npz."""
    write_arrays(run_folder / INPUTS, {"mean_image": dataset.mean_image, "classes": np.array(dataset.classes)})


def read_inputs(run_folder: Path) -> tuple[np.ndarray, list[str]]:
    """The mean image, float32 (size, size, 3), and the class names in `run_folder`/inputs.npz, in words.

    Raises DataError if the file cannot be read.
    """
    path = run_folder / INPUTS
    try:
        with np.load(path) as arrays:
            return arrays["mean_image"], name_classes(arrays["classes"].tolist())
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise DataError(
            f"{path} cannot be read ({error}); `alexnet2012 cards RESULTS` writes it beside every net of RESULTS"
        ) from None


def write_record(
    folder: Path,
    kind: str,
    name: str,
    dataset: PackedDataset,
    split: str,
    ranks: dict[str, np.ndarray],
    made_by: dict[str, Any],
    details: dict[str, Any],
) -> dict[str, dict[str, float]]:
    """Write `folder`/<split>-ranks.npz and, last, the record `folder`/<split>.json; return the errors.

    `ranks`: by crops, the ranks of the true classes (see rank_truth), int64 (n,). `details`: more entries of the
    record. Errors are fractions: {"ten_crop": {"top1": ..., "top5": ...}, "centre": ...}.
    """
    write_arrays(folder / f"{split}-ranks.npz", {crops: each.astype(np.uint16) for crops, each in ranks.items()})
    errors = {crops: {f"top{k}": float((each >= k).mean()) for k in (1, 5)} for crops, each in ranks.items()}
    write_json(
        folder / f"{split}.json",
        {
            "schema": SCHEMA,
            "kind": kind,
            "variant": name,
            "split": split,
            "images": len(ranks[CROPS[0]]),
            "classes": len(dataset.classes),
            "dataset": dataset.describe(),
            "errors": errors,
            **details,
            "provenance": made_by,
        },
    )
    return errors
