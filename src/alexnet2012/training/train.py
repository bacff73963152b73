"""One training as a job: lock, resume, log, and write the results beside each other."""

import math
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.torch import save
from torch import Tensor

from alexnet2012 import devices, provenance
from alexnet2012.config.schedules import warn_of_few_steps
from alexnet2012.config.schema import RunConfig, read_run
from alexnet2012.data.packed import open_packed
from alexnet2012.errors import ConfigError, RecordError
from alexnet2012.evaluation.learned import Chance, has_learned, is_chance_loss, is_trial, measure_chance
from alexnet2012.files import SCHEMA, file_digest, read_json, replacing, write_json
from alexnet2012.fingerprint import fingerprint
from alexnet2012.tracking import RunLog, TrackingIds
from alexnet2012.training.checkpoint import Identity, StopRequest, discard, lock, resume
from alexnet2012.training.checkpoint import save as save_state
from alexnet2012.training.finetune import begin_from, describe_start
from alexnet2012.training.loop import Training, summarise, train_to_the_end
from alexnet2012.training.progress import EpochProgress


def train(
    folder: Path,
    data_folder: Path,
    tracking_file: Path,
    search_folders: list[Path] | None = None,
    two_devices: bool = False,
    start_folder: Path | None = None,
) -> None:
    """Train the run whose config.yaml is in `folder`: writes model.safetensors, history.parquet, answers.npz and
    record.json there. `search_folders` hold the runs that tried its learning rates, where it has a search;
    `start_folder` the run that it takes layers from, where it starts from one.
    `two_devices`: this is one of the two processes that towers.launch started, of which the first writes all that.

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
    identity = Identity(code=fingerprint("train"), config=run.hash8, data=dataset.digest)
    state_folder = folder / "state"
    with ExitStack() as stack:
        begin, stop, pair = partial(Training, run, dataset, asdict(identity), device), StopRequest(), None
        if two_devices:
            from alexnet2012.towers.training import join

            pair = stack.enter_context(join(run, dataset, asdict(identity), device, state_folder))
            if not pair.leads:
                pair.follow()
                return
            begin, stop = pair.begin, pair.stop
        stack.enter_context(lock(state_folder))
        stack.enter_context(stop)
        state = resume(state_folder, identity, run.runtime.accept_code)
        if state is not None:
            print(f"resuming at epoch {state.epoch + 1}, step {state.step}", flush=True)
        elif start_folder is not None:
            state = begin_from(run, len(dataset.classes), asdict(identity), start_folder)
            save_state(state_folder, state)  # where the other process of two looks for it
            print(f"beginning with {', '.join(run.starts_from.layers)} of {start_folder}", flush=True)
        training = begin(state)
        few_steps = warn_of_few_steps(training.steps_per_epoch, run.training.schedule.max_epochs)
        if few_steps and not run.is_trial:
            print(f"warning: {few_steps}", flush=True)
        log = RunLog(state_folder, TrackingIds.load(tracking_file), f"{run.variant}-seed{run.seed}")
        log.start(flatten(run), {"variant": run.variant, "seed": str(run.seed), "dataset": run.dataset_name})
        log.artifact(folder / "config.yaml")
        settings = run.training
        chance = measure_chance(dataset.split("train").labels, dataset.split("val").labels)
        with EpochProgress(
            f"{run.variant} seed {run.seed}", settings.schedule.max_epochs, settings.batch_size
        ) as progress:

            def on_epoch(row: dict) -> None:
                progress.report(row)
                warn_at_chance(run, training.state.history, chance)
                log.metrics(row["epoch"], {key: value for key, value in row.items() if key != "epoch"})

            def on_step(training: Training) -> None:
                state, known = training.state, training.state.batch - len(training.pending)
                loss = state.loss_sum / known if known else None
                progress.step(state.epoch + 1, state.batch, training.steps_per_epoch, loss)

            train_to_the_end(training, state_folder, stop, on_step, on_epoch)
        weights = training.net.state_dict() if pair is None else pair.weights_of(training)
        own = {"hash8": planned.hash8, "device": device.type, "processes": 2 if two_devices else 1}
        own["deterministic"] = device.type == "cpu" or run.runtime.deterministic
        own |= tried | describe_start(run, start_folder) | {"chance": asdict(chance)}
        write_results(folder, training, weights, asdict(made_by), log, own)
        discard(state_folder)


def check_start_folder(run: RunConfig, folder: Path | None) -> None:
    """Raises ConfigError where a run and the folder that it is to start from do not go together."""
    if run.starts_from is None and folder is not None:
        raise ConfigError(f"{run.variant} starts from no other training; leave --start {folder} out")
    if run.starts_from is not None and folder is None:
        raise ConfigError(
            f"{run.variant} starts from {run.starts_from.run.folder}, and no folder of that training was given; run "
            "snakemake, or name it with --start"
        )


def take_rate(run: RunConfig, search_folders: list[Path]) -> tuple[RunConfig, dict]:
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
    folder: Path, training: Training, weights: dict[str, Tensor], made_by: dict, log: RunLog, own: dict
) -> None:
    """Weights, history, the answers at the end, and last the record that vouches for them; `own` goes into it."""
    run, dataset = training.run, training.dataset
    weights = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    with replacing(folder / "model.safetensors") as path:
        path.write_bytes(save(weights))  # save_file would let no one else read the file
    with replacing(folder / "history.parquet") as path:
        pd.DataFrame(training.state.history).to_parquet(path, index=False)
    with replacing(folder / "answers.npz") as path, path.open("wb") as file:
        np.savez_compressed(file, **training.list_wrong())
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


def warn_at_chance(run: RunConfig, history: list[dict], chance: Chance) -> None:
    """Say it after the first epoch whose training loss is a chance loss, once in a training; `history`: all epochs."""
    if is_trial(run.variant, run.training.learning_rate):
        return
    at_chance = [row["epoch"] for row in history if is_chance_loss(row["train_loss"], chance)]
    if at_chance == [history[-1]["epoch"]]:
        print(
            f"warning: {run.variant} seed {run.seed}: the training loss of epoch {at_chance[0]} is "
            f"{history[-1]['train_loss']:.4f}, within 1 % of {chance.train_loss:.4f}, that of a net that answers every "
            "image alike; slow nets begin so, and one that ends so did not learn",
            flush=True,
        )


def report_learned(record: dict) -> bool | None:
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


def flatten(run: RunConfig) -> dict:
    """The net's and the training's settings as MLflow's params: net.conv1.kernels, training.batch_size, ..."""
    nested = {"net": run.net.model_dump(), "training": run.training.model_dump(), "hash8": run.hash8}
    return pd.json_normalize(nested).iloc[0].to_dict()


def choose_rate(folders: list[Path]) -> list[dict]:
    """What became of the rates tried in `folders`, the best first: {"learning_rate", "target_epochs", "train_error"}.

    The best reached the target soonest; of those that did not, the one with the lowest training error. Raises
    RecordError when all diverged.
    """
    tried = [summarise_search(read_json(folder / "record.json")) for folder in folders]
    if all(each["train_error"] is None for each in tried):
        rates = ", ".join(f"{each['learning_rate']:g}" for each in tried)
        raise RecordError(f"every learning rate of the search diverged ({rates}); add lower ones to its rates")

    def judge(each: dict) -> tuple[float, float]:
        return each["target_epochs"] or math.inf, math.inf if each["train_error"] is None else each["train_error"]

    return sorted(tried, key=judge)


def summarise_search(record: dict) -> dict:
    diverged = record["diverged"]
    return {
        "learning_rate": record["learning_rate"],
        "target_epochs": record["target"]["epochs"],
        "train_error": None if diverged else record["final"]["train_top1_error"],
    }
