"""A trained run, opened by those that look at its net."""

from pathlib import Path

from alexnet2012.config import RunConfig
from alexnet2012.data.packed import PackedDataset, open_packed
from alexnet2012.errors import RecordError
from alexnet2012.files import file_digest, read_json
from alexnet2012.resolve import read_run


def open_run(run_folder: Path, data_folder: Path) -> tuple[RunConfig, dict, PackedDataset]:
    """A trained run's configuration and record, and the data it was trained on, checked to belong together."""
    run, record = read_run(run_folder / "config.yaml"), read_json(run_folder / "record.json")
    weights = run_folder / "model.safetensors"
    if file_digest(weights) != record["weights_sha256"]:
        raise RecordError(f"{weights} is not what record.json beside it describes; train this run again")
    dataset = open_packed(data_folder / run.dataset_name)
    if dataset.digest != record["dataset"]["digest"]:
        raise RecordError(
            f"{run_folder} was trained on data {record['dataset']['digest'][:8]}, "
            f"{dataset.folder} holds {dataset.digest[:8]}; prepare the same data, or train again"
        )
    return run, record, dataset
