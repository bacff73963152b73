"""When the learning rate is divided by ten, and when training ends (§5)."""

import math
from dataclasses import asdict, dataclass
from typing import Protocol

from alexnet2012.config import AnySchedule, FixedSchedule, PlateauSchedule, TargetSchedule


class Scheduler(Protocol):
    """The state of a schedule; `drops_done` counts divisions so far, so the rate is learning_rate / 10^drops_done."""

    drops_done: int
    epochs_done: int
    finished: bool

    def observe(self, error: float) -> None:
        """Take note of an epoch's end with the top-1 error (a fraction) that the schedule looks at."""


def make_scheduler(config: AnySchedule, state: dict | None = None) -> Scheduler:
    """A scheduler at its beginning, or at a saved `state` (see save_scheduler)."""
    kinds = {"fixed": FixedScheduler, "plateau": PlateauScheduler, "target": TargetScheduler}
    return kinds[config.kind](config, **(state or {}))


def steering_error(config: AnySchedule, row: dict) -> float:
    """What a schedule looks at in an epoch's row: the training error, or the error on its split."""
    return row["train_top1_error" if config.kind == "target" else "schedule_top1_error"]


def save_scheduler(scheduler: Scheduler) -> dict:
    """The scheduler's progress as plain data."""
    state = asdict(scheduler)
    del state["config"]
    return state


def learning_rate(base: float, scheduler: Scheduler) -> float:
    return base / 10**scheduler.drops_done


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


def epochs_to_target(errors: list[float], target: float) -> float | None:
    """When the error after epochs 1, 2, ... first was at most `target`, on straight lines between them; None if never.

    After one epoch it is 1.0: there is no earlier point to draw a line from.
    """
    for index, error in enumerate(errors):
        if error <= target:
            before = errors[index - 1] if index else error
            return index + 1 - ((target - error) / (before - error) if before > error else 0.0)
    return None
