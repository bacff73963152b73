"""When the learning rate is divided by ten, and when training ends (§5)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any, Protocol

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


class Scheduler(Protocol):
    """The state of a schedule; `drops_done` counts how often the rate was lowered: but for a logged one it is
    learning_rate / 10^drops_done."""

    drops_done: int
    epochs_done: int
    finished: bool

    def observe(self, error: float) -> None:
        """Take note of an epoch's end with the top-1 error (a fraction) that the schedule looks at."""


def make_scheduler(config: AnySchedule, state: dict[str, Any] | None = None) -> Scheduler:
    """A scheduler at its beginning, or at a saved `state` (see save_scheduler)."""
    kinds: dict[str, Callable[..., Scheduler]] = {
        "fixed": FixedScheduler,
        "plateau": PlateauScheduler,
        "target": TargetScheduler,
        "logged": LoggedScheduler,
    }
    return kinds[config.kind](config, **(state or {}))


def steering_error(config: AnySchedule, row: dict[str, float]) -> float:
    """What a schedule looks at in an epoch's row: the training error, or the error on its split."""
    return row["train_top1_error" if config.kind == "target" else "schedule_top1_error"]


def save_scheduler(scheduler: Scheduler) -> dict[str, Any]:
    """The scheduler's progress as plain data."""
    return {name: value for name, value in vars(scheduler).items() if name != "config"}


def learning_rate(training: TrainingConfig, scheduler: Scheduler) -> float:
    """That of all weights whose layer has none of its own."""
    if isinstance(scheduler, LoggedScheduler):
        return scheduler.settings.weights[REST]
    return float(training.learning_rate / 10**scheduler.drops_done)


def list_multiples(training: TrainingConfig, scheduler: Scheduler) -> dict[str, tuple[float, float]]:
    """Of each layer that has rates of its own, and of the `rest`: the learning rates of its weights and of its biases
    as multiples of `learning_rate`."""
    if not isinstance(scheduler, LoggedScheduler):
        rates = {REST: 1.0, **training.layer_rates}
        return {layer: (rate, rate * training.bias_rate) for layer, rate in rates.items()}
    found, base = scheduler.settings, learning_rate(training, scheduler)
    layers = dict.fromkeys((REST, *found.weights, *found.biases))
    return {
        layer: (
            found.weights.get(layer, found.weights[REST]) / base,
            found.biases.get(layer, found.biases[REST]) / base,
        )
        for layer in layers
    }


def augmentation(training: TrainingConfig, scheduler: Scheduler) -> AugmentationConfig:
    """How images are shown in this epoch: the 2012 code's colour noise ends before its training does."""
    how = training.augmentation
    if isinstance(scheduler, LoggedScheduler) and scheduler.settings.colour_noise is False:
        return how.model_copy(update={"colour_std": 0.0, "colour_divisor": 1.0})
    return how


@dataclass
class FixedScheduler:
    """`config.epochs[i]` epochs at the i-th learning rate."""

    config: FixedSchedule
    drops_done: int = 0
    epochs_done: int = 0
    finished: bool = False

    def observe(self, error: float) -> None:
        self.epochs_done += 1
        if self.epochs_done == self.config.max_epochs:
            self.finished = True
        elif self.epochs_done == sum(self.config.epochs[: self.drops_done + 1]):
            self.drops_done += 1


@dataclass
class PlateauScheduler:
    """A drop when `patience` epochs in a row brought no error below the best AT THIS RATE by more than min_delta.

    The best and the count of epochs without improvement are both reset at each drop. It ends when patience ends at the
    last rate, or at max_epochs.
    """

    config: PlateauSchedule
    drops_done: int = 0
    epochs_done: int = 0
    finished: bool = False
    best: float = math.inf
    without_improvement: int = 0

    def observe(self, error: float) -> None:
        self.epochs_done += 1
        # Rounded: errors are counts over images, and 0.345 - 0.344 is not above 0.001.
        if round(self.best - error, 9) > self.config.min_delta:
            self.best = error
            self.without_improvement = 0
        else:
            self.without_improvement += 1
        if self.without_improvement >= self.config.patience:
            if self.drops_done == self.config.drops:
                self.finished = True
            else:
                self.drops_done += 1
                self.best = math.inf
                self.without_improvement = 0
        if self.epochs_done >= self.config.max_epochs:
            self.finished = True


@dataclass
class TargetScheduler:
    """One rate until the training error is at most `config.train_error`, or until max_epochs."""

    config: TargetSchedule
    drops_done: int = 0
    epochs_done: int = 0
    finished: bool = False

    def observe(self, error: float) -> None:
        self.epochs_done += 1
        self.finished = error <= self.config.train_error or self.epochs_done >= self.config.max_epochs


@dataclass
class LoggedScheduler:
    """What was done by hand, epoch by epoch; it looks at no error."""

    config: LoggedSchedule
    drops_done: int = 0
    epochs_done: int = 0
    finished: bool = False

    @property
    def settings(self) -> RateChange:
        """All changes so far, put together."""
        first, *later = (each for each in self.config.changes if each.after <= self.epochs_done)
        return reduce(RateChange.followed_by, later, first)

    def observe(self, error: float) -> None:
        self.epochs_done += 1
        self.finished = self.epochs_done == self.config.max_epochs
        if not self.finished:
            self.drops_done = sum(after <= self.epochs_done for after in self.config.list_drops())


def epochs_to_target(errors: list[float], target: float) -> float | None:
    """When the error after epochs 1, 2, ... first was at most `target`, on straight lines between them; None if never.

    After one epoch it is 1.0: there is no earlier point to draw a line from.
    """
    for index, error in enumerate(errors):
        if error <= target:
            before = errors[index - 1] if index else error
            return index + 1 - ((target - error) / (before - error) if before > error else 0.0)
    return None
