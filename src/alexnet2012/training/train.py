"""A training as a job: take its learning rate and initial weights, lock its folder, resume or begin, and train."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from alexnet2012 import devices
from alexnet2012.config.schema import RunConfig, read_run
from alexnet2012.data.packed import PackedDataset, open_packed
from alexnet2012.errors import ConfigError, RecordError
from alexnet2012.files import read_json
from alexnet2012.training.checkpoint import State, StopRequest, discard, lock, resume
from alexnet2012.training.checkpoint import save as save_state
from alexnet2012.training.finetune import begin_from, describe_start
from alexnet2012.training.loop import Training, train_to_the_end


class Observer(Protocol):
    """Callbacks of a training; training.record.Recorder implements them to log and to write results."""

    def begin(self, training: Training) -> None:
        """Called before the first step."""

    def step(self, training: Training) -> None:
        """Called after each update."""

    def epoch(self, training: Training) -> None:
        """Called after each epoch; its row is the last of `training.state.history`."""

    def end(self, training: Training, weights: dict[str, Tensor], own: dict[str, Any]) -> None:
        """Called at the end, with the weights of the whole net and entries for the record."""


class Processes(Protocol):
    """The processes that train one net: only this one (Alone), or this one and its peer (towers.training.Pair).

    The process that `leads` holds the lock, saves checkpoints and calls the observer.
    """

    count: int
    leads: bool
    stop: StopRequest

    def begin(self, state: State | None) -> Training:
        """Begin the training, or resume it from `state`."""

    def follow(self) -> None:
        """Take part in the training until its end, in a process that does not lead."""

    def weights_of(self, training: Training) -> dict[str, Tensor]:
        """The weights of the whole net, by parameter name."""


Join = Callable[[RunConfig, PackedDataset, dict[str, str], torch.device, Path], AbstractContextManager[Processes]]


class Alone:
    """A single process that trains the whole net."""

    count, leads = 1, True

    def __init__(self, begin: Callable[[State | None], Training]) -> None:
        self.begin, self.stop = begin, StopRequest()

    def follow(self) -> None:
        raise AssertionError("a process alone leads")

    def weights_of(self, training: Training) -> dict[str, Tensor]:
        return dict(training.net.state_dict())


@contextmanager
def train_alone(
    run: RunConfig, dataset: PackedDataset, identity: dict[str, str], device: torch.device, state_folder: Path
) -> Iterator[Alone]:
    """The default for `join` in `train`: no other process."""
    yield Alone(partial(Training, run, dataset, identity, device))


def train(
    folder: Path,
    data_folder: Path,
    observer: Observer,
    codes: Sequence[str],
    search_folders: list[Path] | None = None,
    start_folder: Path | None = None,
    join: Join = train_alone,
) -> None:
    """Train the run whose config.yaml is in `folder`, on `data_folder`/<dataset>; `observer` writes the result.

    `codes`: the fingerprint of this training's code, then those of other code whose checkpoints may be resumed.
    `search_folders`: the runs that tried its learning rates, if it has a search. `start_folder`: the run whose layers
    it starts from, if any. `join`: towers.training.join in each of two processes.

    Checkpoints are in `folder`/state; after a kill at any moment, the same call resumes and gives the same bits. Raises
    ConfigError for missing or superfluous folders and for settings that do not fit the data or the machine; RecordError
    for bad records in those folders; DataError for an incomplete dataset; TrainingError if another process trains this
    run, a loss or weight is not finite, or the other of two processes ended; Interrupted after a signal.
    """
    planned = read_run(folder / "config.yaml")
    run, tried = take_rate(planned, search_folders or [])
    check_start_folder(run, start_folder)
    dataset = open_packed(data_folder / run.dataset_name)
    device = devices.open_device(run.runtime.device, run.training.torch_threads, run.runtime.deterministic)
    identity = {"code": codes[0], "config": run.hash8, "data": dataset.digest}
    state_folder = folder / "state"
    with join(run, dataset, identity, device, state_folder) as processes:
        if not processes.leads:
            processes.follow()
            return
        with lock(state_folder), processes.stop:
            state = resume(state_folder, identity, {*codes, run.runtime.accept_code})
            if state is None and run.starts_from is not None and start_folder is not None:
                state = begin_from(run, run.starts_from, len(dataset.classes), identity, start_folder)
                save_state(state_folder, state)  # a second process reads it from there
            training = processes.begin(state)
            observer.begin(training)
            train_to_the_end(training, state_folder, processes.stop, observer.step, observer.epoch)
            own = {"hash8": planned.hash8, "device": device.type, "processes": processes.count}
            own |= tried | describe_start(run, start_folder)
            observer.end(training, processes.weights_of(training), own)
            discard(state_folder)


def check_start_folder(run: RunConfig, folder: Path | None) -> None:
    """Raise ConfigError unless `folder` is given if and only if `run` starts from another run."""
    if run.starts_from is None and folder is not None:
        raise ConfigError(f"{run.variant} does not start from another training; remove --start {folder}")
    if run.starts_from is not None and folder is None:
        raise ConfigError(
            f"{run.variant} starts from {run.starts_from.run.folder}, but no folder of that training was given; run "
            "snakemake, or give it with --start"
        )


def take_rate(run: RunConfig, search_folders: list[Path]) -> tuple[RunConfig, dict[str, Any]]:
    """`run` with the best learning rate of its search, and the record's entry on the search; unchanged without search.

    Raises ConfigError if the run has a search but no `search_folders`; RecordError as choose_rate does.
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


def choose_rate(folders: list[Path]) -> list[dict[str, Any]]:
    """The results of the rates tried in `folders`, best first: {"learning_rate", "target_epochs", "train_error"}.

    The best rate reached the target in the fewest epochs or, if none did, has the lowest training error. Raises
    RecordError if all diverged, or a record cannot be read.
    """
    tried = [summarise_search(read_json(folder / "record.json")) for folder in folders]
    if all(each["train_error"] is None for each in tried):
        rates = ", ".join(f"{each['learning_rate']:g}" for each in tried)
        raise RecordError(f"every learning rate of the search diverged ({rates}); add lower ones to its rates")

    def order(each: dict[str, Any]) -> tuple[float, float]:
        return each["target_epochs"] or math.inf, math.inf if each["train_error"] is None else each["train_error"]

    return sorted(tried, key=order)


def summarise_search(record: dict[str, Any]) -> dict[str, Any]:
    """The result of one rate, from the record of the run that tried it."""
    diverged = record["diverged"]
    return {
        "learning_rate": record["learning_rate"],
        "target_epochs": record["target"]["epochs"],
        "train_error": None if diverged else record["final"]["train_top1_error"],
    }
