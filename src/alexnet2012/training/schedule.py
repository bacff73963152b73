"""Execution of schedules: dropping the learning rate, and ending the training (§5)."""

import math
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate
from typing import Any

from alexnet2012.config.nets import REST
from alexnet2012.config.schedules import (
    AnySchedule,
    FixedSchedule,
    LoggedSchedule,
    PlateauSchedule,
    RateChange,
    TargetSchedule,
)
from alexnet2012.config.schema import AugmentationConfig, TrainingConfig


@dataclass
class Scheduler:
    """A schedule and its progress; a checkpoint keeps everything but `config`, see `progress`.

    `drops_done`: how often the learning rate was lowered, in a logged schedule by hand, else by division by ten. For a
    plateau schedule, `best`: the lowest error at the current rate; `without_improvement`: epochs since then.
    """

    config: AnySchedule
    drops_done: int = 0
    epochs_done: int = 0
    finished: bool = False
    best: float = math.inf
    without_improvement: int = 0

    @property
    def progress(self) -> dict[str, Any]:
        """All fields except `config` as plain data; Scheduler(config, **progress) continues from there."""
        return {name: value for name, value in vars(self).items() if name != "config"}

    @property
    def logged(self) -> RateChange | None:
        """The settings of a logged schedule in the current epoch: all changes so far, merged. None for other kinds."""
        if not isinstance(self.config, LoggedSchedule):
            return None
        return reduce(RateChange.followed_by, [each for each in self.config.changes if each.after <= self.epochs_done])

    def observe(self, error: float) -> None:
        """Count an epoch as done, with top-1 error `error` (a fraction, see `steering_error`)."""
        self.epochs_done += 1
        match self.config:
            case FixedSchedule(epochs=epochs):
                self.drops_done = sum(after <= self.epochs_done for after in accumulate(epochs[:-1]))
            case LoggedSchedule() as config:
                self.drops_done = sum(after <= self.epochs_done for after in config.list_drops())
            case TargetSchedule(train_error=target):
                self.finished = error <= target
            case PlateauSchedule() as config:
                self._observe_plateau(config, error)
        self.finished = self.finished or self.epochs_done >= self.config.max_epochs

    def _observe_plateau(self, config: PlateauSchedule, error: float) -> None:
        """Drop the rate if for `patience` epochs no error was below the best AT THIS RATE by more than min_delta.

        The best and the number of epochs without improvement are reset at each drop. At the last rate, training ends
        instead.
        """
        # Rounded, because errors are multiples of 1 / images: in floats, 0.345 - 0.344 would be above 0.001.
        if round(self.best - error, 9) > config.min_delta:
            self.best, self.without_improvement = error, 0
        else:
            self.without_improvement += 1
        if self.without_improvement < config.patience:
            return
        if self.drops_done == config.drops:
            self.finished = True
        else:
            self.drops_done += 1
            self.best, self.without_improvement = math.inf, 0


def steering_error(config: AnySchedule, row: dict[str, float]) -> float:
    """The error in an epoch's row that steers a schedule: the training error for a target schedule, else that of
    `schedule_split`."""
    return row["train_top1_error" if config.kind == "target" else "schedule_top1_error"]


def learning_rate(training: TrainingConfig, scheduler: Scheduler) -> float:
    """The current learning rate of all layers without a rate of their own."""
    if scheduler.logged is not None:
        return scheduler.logged.weights[REST]
    return float(training.learning_rate / 10**scheduler.drops_done)


def list_multiples(training: TrainingConfig, scheduler: Scheduler) -> dict[str, tuple[float, float]]:
    """By layer, the current learning rates of (weights, biases) as multiples of `learning_rate`.

    Keys are the layers with rates of their own, and REST for all others.
    """
    logged = scheduler.logged
    if logged is None:
        rates = {REST: 1.0, **training.layer_rates}
        return {layer: (rate, rate * training.bias_rate) for layer, rate in rates.items()}
    base, weights, biases = learning_rate(training, scheduler), logged.weights, logged.biases
    layers = dict.fromkeys((REST, *weights, *biases))
    return {
        layer: (weights.get(layer, weights[REST]) / base, biases.get(layer, biases[REST]) / base) for layer in layers
    }


def augmentation(training: TrainingConfig, scheduler: Scheduler) -> AugmentationConfig:
    """The augmentation of the current epoch; a logged schedule may have switched colour noise off."""
    how = training.augmentation
    if scheduler.logged is not None and scheduler.logged.colour_noise is False:
        return how.model_copy(update={"colour_std": 0.0, "colour_divisor": 1.0})
    return how
