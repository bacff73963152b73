"""A trained run: its settings, record, weights, mean image and class names."""

from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from alexnet2012 import devices, provenance
from alexnet2012.config.schema import RunConfig, read_run
from alexnet2012.data.packed import PackedDataset, open_packed
from alexnet2012.errors import DataError, RecordError
from alexnet2012.files import file_digest, read_json, write_arrays

if TYPE_CHECKING:
    from torch import nn

INPUTS = "inputs.npz"


def open_weights(run_folder: Path) -> tuple[RunConfig, dict[str, Any]]:
    """A trained run's configuration and record; raises RecordError when its weights are not those of the record."""
    run, record = read_run(run_folder / "config.yaml"), read_json(run_folder / "record.json")
    weights = run_folder / "model.safetensors"
    if not weights.is_file():
        raise RecordError(f"{weights} is not there; a run's folder holds it once its training has ended")
    if file_digest(weights) != record["weights_sha256"]:
        raise RecordError(f"{weights} is not what record.json beside it describes; train this run again")
    return run, record


def open_run(run_folder: Path, data_folder: Path) -> tuple[RunConfig, dict[str, Any], PackedDataset]:
    """A trained run's configuration and record, and the data it was trained on, checked to belong together."""
    run, record = open_weights(run_folder)
    dataset = open_packed(data_folder / run.dataset_name)
    if dataset.digest != record["dataset"]["digest"]:
        raise RecordError(
            f"{run_folder} was trained on data {record['dataset']['digest'][:8]}, "
            f"{dataset.folder} holds {dataset.digest[:8]}; prepare the same data, or train again"
        )
    return run, record, dataset


def load_net(run_folder: Path, run: RunConfig, classes: int) -> tuple["nn.Module", provenance.Provenance]:
    """The trained net on its device, and what the work with it is made by."""
    from safetensors.torch import load_file

    from alexnet2012.model.layered import make_net

    device = devices.open_device(run.runtime.device, run.training.torch_threads, run.runtime.deterministic)
    made_by = provenance.collect(run.training.torch_threads, device.type)
    net = make_net(run.architecture, classes)
    net.load_state_dict(load_file(run_folder / "model.safetensors"))
    return net.to(device), made_by


def write_inputs(run_folder: Path, dataset: PackedDataset) -> None:
    """Write them into a run's folder."""
    write_arrays(run_folder / INPUTS, {"mean_image": dataset.mean_image, "classes": np.array(dataset.classes)})


def read_inputs(run_folder: Path) -> tuple[np.ndarray, list[str]]:
    """The mean image, float32 (size, size, 3), and the names of the classes beside a net's weights.

    Raises DataError where they are not.
    """
    path = run_folder / INPUTS
    try:
        with np.load(path) as arrays:
            return arrays["mean_image"], arrays["classes"].tolist()
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise DataError(
            f"{path} cannot be read ({error}); `alexnet2012 cards RESULTS` writes it beside every net of RESULTS"
        ) from None
