"""When the learning rate is divided by ten, and when training ends (§5)."""

import math
from dataclasses import asdict, dataclass
from typing import Protocol

from alexnet2012.config import FixedSchedule, PlateauSchedule


class Scheduler(Protocol):
    """The state of a schedule; `drops_done` counts divisions so far, so the rate is learning_rate / 10^drops_done."""

    drops_done: int
    epochs_done: int
    finished: bool

    def observe(self, error: float) -> None:
        """Take note of an epoch's end with its top-1 error (a fraction) on the schedule's split."""


def make_scheduler(config: FixedSchedule | PlateauSchedule, state: dict | None = None) -> Scheduler:
    """A scheduler at its beginning, or at a saved `state` (see save_scheduler)."""
    kind = FixedScheduler if isinstance(config, FixedSchedule) else PlateauScheduler
    return kind(config, **(state or {}))


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
