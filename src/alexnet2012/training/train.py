"""One training as a job: lock, resume, log, and write the results beside each other."""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd
import torch
from safetensors.torch import save
from torch import Tensor

from alexnet2012 import devices, provenance
from alexnet2012.config.schedules import warn_of_few_steps
from alexnet2012.config.schema import RunConfig, read_run
from alexnet2012.data.packed import PackedDataset, open_packed
from alexnet2012.errors import ConfigError, RecordError
from alexnet2012.evaluation.learned import Chance, has_learned, is_chance_loss, measure_chance
from alexnet2012.files import SCHEMA, file_digest, read_json, replacing, write_arrays, write_json
from alexnet2012.fingerprint import fingerprint
from alexnet2012.training.checkpoint import Identity, State, StopRequest, discard, lock, resume
from alexnet2012.training.checkpoint import save as save_state
from alexnet2012.training.finetune import begin_from, describe_start
from alexnet2012.training.loop import Training, summarise, train_to_the_end
from alexnet2012.training.progress import EpochProgress

if TYPE_CHECKING:
    from alexnet2012.tracking import RunLog


class Processes(Protocol):
    """What trains one net: this process alone, or this one and its peer (towers.training.Pair), of which one leads."""

    count: int
    leads: bool
    stop: StopRequest

    def begin(self, state: State | None) -> Training:
        """The training from `state` on."""

    def follow(self) -> None:
        """All that a process does which does not lead."""

    def weights_of(self, training: Training) -> dict[str, Tensor]:
        """Those of the whole net."""


Join = Callable[[RunConfig, PackedDataset, dict[str, str], torch.device, Path], AbstractContextManager[Processes]]


class Alone:
    """One process, which leads."""

    count, leads = 1, True

    def __init__(self, begin: Callable[[State | None], Training]) -> None:
        self.begin, self.stop = begin, StopRequest()

    def follow(self) -> None:
        raise AssertionError("there is nobody to follow")

    def weights_of(self, training: Training) -> dict[str, Tensor]:
        return dict(training.net.state_dict())


@contextmanager
def train_alone(
    run: RunConfig, dataset: PackedDataset, identity: dict[str, str], device: torch.device, state_folder: Path
) -> Iterator[Alone]:
    yield Alone(partial(Training, run, dataset, identity, device))


def train(
    folder: Path,
    data_folder: Path,
    log: "RunLog",
    search_folders: list[Path] | None = None,
    start_folder: Path | None = None,
    join: Join = train_alone,
) -> None:
    """Train the run whose config.yaml is in `folder`: writes model.safetensors, history.parquet, answers.npz and
    record.json there, and tells `log`. `search_folders` hold the runs that tried its learning rates, where it has a
    search; `start_folder` the run that it takes layers from, where it starts from one. `join` is this process's place
    among those that train the net: towers.training.join in one of two.

    Checkpoints are in `folder`/state; killed at any moment, the same call resumes and ends with the same bits. Raises
    DataError for a dataset that is not whole, TrainingError when another process trains this run, the loss is not
    finite or the other process ended, Interrupted after a signal.
    """
    planned = read_run(folder / "config.yaml")
    run, tried = take_rate(planned, search_folders or [])
    check_start_folder(run, start_folder)
    dataset = open_packed(data_folder / run.dataset_name)
    device = devices.open_device(run.runtime.device, run.training.torch_threads, run.runtime.deterministic)
    made_by = provenance.collect(run.training.torch_threads, device.type)
    identity = Identity(code=fingerprint(run.training_stage), config=run.hash8, data=dataset.digest)
    state_folder = folder / "state"
    with join(run, dataset, asdict(identity), device, state_folder) as processes:
        if not processes.leads:
            processes.follow()
            return
        with lock(state_folder), processes.stop:
            # Either placement goes on with what the other began.
            accepted = {fingerprint("train"), fingerprint("train-towers"), run.runtime.accept_code}
            state = resume(state_folder, identity, accepted)
            if state is not None:
                print(f"resuming at epoch {state.epoch + 1}, step {state.step}", flush=True)
            elif run.starts_from is not None and start_folder is not None:
                state = begin_from(run, run.starts_from, len(dataset.classes), asdict(identity), start_folder)
                save_state(state_folder, state)  # where the other process of two looks for it
                print(f"beginning with {', '.join(run.starts_from.layers)} of {start_folder}", flush=True)
            training = processes.begin(state)
            chance = measure_chance(dataset.split("train").labels, dataset.split("val").labels)
            log.start(flatten(run), {"variant": run.variant, "seed": str(run.seed), "dataset": run.dataset_name})
            log.artifact(folder / "config.yaml")
            carry_out(training, state_folder, processes.stop, log, chance)
            own = {"hash8": planned.hash8, "device": device.type, "processes": processes.count}
            own["deterministic"] = device.type == "cpu" or run.runtime.deterministic
            own |= tried | describe_start(run, start_folder) | {"chance": asdict(chance)}
            write_results(folder, training, processes.weights_of(training), asdict(made_by), log, own)
            discard(state_folder)


def carry_out(training: Training, state_folder: Path, stop: StopRequest, log: "RunLog", chance: Chance) -> None:
    """Train to the end, and say on the way how it goes."""
    run, settings = training.run, training.run.training
    few_steps = warn_of_few_steps(training.steps_per_epoch, settings.schedule.max_epochs)
    if few_steps and not run.is_trial:
        print(f"warning: {few_steps}", flush=True)
    with EpochProgress(f"{run.variant} seed {run.seed}", settings.schedule.max_epochs, settings.batch_size) as progress:

        def on_epoch(row: dict[str, Any]) -> None:
            progress.report(row)
            warn_at_chance(run, training.state.history, chance)
            log.metrics(row["epoch"], {key: value for key, value in row.items() if key != "epoch"})

        def on_step(training: Training) -> None:
            state, known = training.state, training.state.batch - len(training.pending)
            loss = state.loss_sum / known if known else None
            progress.step(state.epoch + 1, state.batch, training.steps_per_epoch, loss)

        train_to_the_end(training, state_folder, stop, on_step, on_epoch)


def check_start_folder(run: RunConfig, folder: Path | None) -> None:
    """Raises ConfigError where a run and the folder that it is to start from do not go together."""
    if run.starts_from is None and folder is not None:
        raise ConfigError(f"{run.variant} starts from no other training; leave --start {folder} out")
    if run.starts_from is not None and folder is None:
        raise ConfigError(
            f"{run.variant} starts from {run.starts_from.run.folder}, and no folder of that training was given; run "
            "snakemake, or name it with --start"
        )


def take_rate(run: RunConfig, search_folders: list[Path]) -> tuple[RunConfig, dict[str, Any]]:
    """`run` with the learning rate that its search found, and what a record says of the search.

    Raises ConfigError when a search is asked for and its runs are not given.
    """
    if run.training.learning_rate_search is None:
        return run, {}
    if not search_folders:
        raise ConfigError(
            f"{run.variant} takes its learning rate from a search, and no folder of its runs was given; run snakemake, "
            "or name them with --search"
        )
    tried = choose_rate(search_folders)
    training = run.training.model_copy(update={"learning_rate": tried[0]["learning_rate"]})
    return run.model_copy(update={"training": training}), {"search": tried}


def write_results(
    folder: Path,
    training: Training,
    weights: dict[str, Tensor],
    made_by: dict[str, Any],
    log: "RunLog",
    own: dict[str, Any],
) -> None:
    """Weights, history, the answers at the end, and last the record that vouches for them; `own` goes into it."""
    run, dataset = training.run, training.dataset
    weights = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    with replacing(folder / "model.safetensors") as path:
        path.write_bytes(save(weights))  # save_file would let no one else read the file
    with replacing(folder / "history.parquet") as path:
        pd.DataFrame(training.state.history).to_parquet(path, index=False)
    write_arrays(folder / "answers.npz", training.list_wrong())
    log.artifact(folder / "history.parquet")
    final = training.state.history[-1] if training.state.history else {}  # a rate may diverge in its first epoch
    log.finish({"final_val_top1_error_centre": final["val_top1_error"]} if final else {})
    record = {
        "schema": SCHEMA,
        "kind": "training",
        "config": run.name,
        "variant": run.variant,
        "seed": run.seed,
        "recipe": run.training.recipe_in_words,
        **own,
        "dataset": dataset.describe(),
        "classes": len(dataset.classes),
        "parameters": sum(each.numel() for each in weights.values()),
        **summarise(training),
        "weights_sha256": file_digest(folder / "model.safetensors"),
        "identity": training.state.identity,
        "provenance": made_by,
        "mlflow_run_id": log.run_id,
    }
    write_json(folder / "record.json", record | {"learned": report_learned(record)})


def warn_at_chance(run: RunConfig, history: list[dict[str, Any]], chance: Chance) -> None:
    """Say it after the first epoch whose training loss is a chance loss, once in a training; `history`: all epochs."""
    if run.is_trial:
        return
    at_chance = [row["epoch"] for row in history if is_chance_loss(row["train_loss"], chance)]
    if at_chance == [history[-1]["epoch"]]:
        print(
            f"warning: {run.variant} seed {run.seed}: the training loss of epoch {at_chance[0]} is "
            f"{history[-1]['train_loss']:.4f}, within 1 % of {chance.train_loss:.4f}, that of a net that answers every "
            "image alike; slow nets begin so, and one that ends so did not learn",
            flush=True,
        )


def report_learned(record: dict[str, Any]) -> bool | None:
    """Whether the net of a finished training learned (None for a trial of a learning rate); says so if it did not."""
    learned = has_learned(record)
    if learned is False:
        final, chance = record["final"], record["chance"]
        found = (
            "its training diverged"
            if record["diverged"]
            else f"training loss {final['train_loss']:.4f} ({chance['train_loss']:.4f} at chance), val error "
            f"{final['val_top1_error']:.2%} ({chance['val_error']:.2%} at chance)"
        )
        print(
            f"warning: {record['variant']} seed {record['seed']} did not learn: {found}; another seed or "
            "training.learning_rate may",
            flush=True,
        )
    return learned


def flatten(run: RunConfig) -> dict[str, Any]:
    """The net's and the training's settings as MLflow's params: net.conv1.kernels, training.batch_size, ..."""
    nested = {"net": run.net.model_dump(), "training": run.training.model_dump(), "hash8": run.hash8}
    return dict(pd.json_normalize(nested).iloc[0])


def choose_rate(folders: list[Path]) -> list[dict[str, Any]]:
    """What became of the rates tried in `folders`, the best first: {"learning_rate", "target_epochs", "train_error"}.

    The best reached the target soonest; of those that did not, the one with the lowest training error. Raises
    RecordError when all diverged.
    """
    tried = [summarise_search(read_json(folder / "record.json")) for folder in folders]
    if all(each["train_error"] is None for each in tried):
        rates = ", ".join(f"{each['learning_rate']:g}" for each in tried)
        raise RecordError(f"every learning rate of the search diverged ({rates}); add lower ones to its rates")

    def judge(each: dict[str, Any]) -> tuple[float, float]:
        return each["target_epochs"] or math.inf, math.inf if each["train_error"] is None else each["train_error"]

    return sorted(tried, key=judge)


def summarise_search(record: dict[str, Any]) -> dict[str, Any]:
    diverged = record["diverged"]
    return {
        "learning_rate": record["learning_rate"],
        "target_epochs": record["target"]["epochs"],
        "train_error": None if diverged else record["final"]["train_top1_error"],
    }
