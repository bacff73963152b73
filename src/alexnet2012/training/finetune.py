"""Fine-tuning: the initial state of a training with pre-trained layers (§6)."""

from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from alexnet2012.config.schema import RunConfig, Start
from alexnet2012.data.augment import torch_generator
from alexnet2012.errors import RecordError, TrainingError
from alexnet2012.files import file_digest, read_json
from alexnet2012.model.layered import initialise, make_net
from alexnet2012.training.checkpoint import State


def begin_from(run: RunConfig, start: Start, classes: int, identity: dict[str, str], folder: Path) -> State:
    """The initial state of `run`, with the layers in `start` taken from the trained net in `folder`.

    `identity` as in State. Raises RecordError if the folder holds another run than `start.run`, or weights that are not
    those of its record; TrainingError if a layer has another shape there.
    """
    record, weights_file = read_json(folder / "record.json"), folder / "model.safetensors"
    if (record["hash8"], record["seed"]) != (start.run.hash8, start.run.seed):
        raise RecordError(
            f"{folder} holds {record['variant']}-{record['hash8']} seed {record['seed']}, but {run.variant} starts "
            f"from {start.run.variant}-{start.run.hash8} seed {start.run.seed}; run snakemake, or name its folder with "
            "--start"
        )
    if file_digest(weights_file) != record["weights_sha256"]:
        raise RecordError(f"{weights_file} is not what record.json beside it describes; train this run again")
    net = make_net(run.architecture, classes)
    initialise(net, torch_generator(run.seed, "init"))
    weights, trained = net.state_dict(), load_file(weights_file)
    for name in (name for name in weights if name.partition(".")[0] in start.layers):
        if trained[name].shape != weights[name].shape:
            raise TrainingError(
                f"{name} is {tuple(trained[name].shape)} in {weights_file} and {tuple(weights[name].shape)} here; "
                "leave its layer out of starts_from"
            )
        weights[name] = trained[name]
    return State(identity=identity, weights=weights, velocity={}, scheduler={}, history=[])


def describe_start(run: RunConfig, folder: Path | None) -> dict[str, Any]:
    """The record's entry on the pre-training of `run`, from the record in `folder`; empty without pre-training."""
    if run.starts_from is None or folder is None:
        return {}
    record = read_json(folder / "record.json")
    kept = {key: record[key] for key in ("variant", "seed", "hash8", "epochs", "classes", "weights_sha256")}
    return {"starts_from": {**kept, "dataset": record["dataset"], "layers": run.starts_from.layers}}
