"""Progress of a training: a bar on a terminal, lines in a log file."""

import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

INTERVAL_S = 30.0  # minimum time between two lines within an epoch
END_BYTES = 8192  # of a log


class EpochProgress:
    """Shows the steps of the current epoch: as a bar on a terminal, elsewhere as a line every INTERVAL_S.

    `report` prints a line per epoch in both cases. `clock` returns seconds. Lines are flushed, so that a kill loses
    none.
    """

    def __init__(
        self,
        title: str,
        max_epochs: int,
        batch_size: int,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.title, self.max_epochs, self.batch_size, self.clock = title, max_epochs, batch_size, clock
        # Without force_terminal, rich treats a log file as a terminal if FORCE_COLOR is set.
        self.console = console or Console(file=sys.stdout, force_terminal=sys.stdout.isatty(), soft_wrap=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.bar = Progress(*columns, console=self.console, disable=not self.console.is_interactive, transient=True)
        self.task = self.bar.add_task(title)
        self.last: tuple[float, int] | None = None  # time and step of the last line
        self.said = False  # whether the current epoch has had a line
        self.steps_done_at = 0.0  # time of the last step
        self.measuring_s = 0.0  # seconds of the evaluation after the last epoch

    def __enter__(self) -> "EpochProgress":
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def step(self, epoch: int, done: int, total: int, loss: float | None) -> None:
        """Show that `done` of `total` steps of `epoch` are done; `loss`: their mean loss, None if not known yet."""
        self.bar.update(self.task, description=f"{self.title} epoch {epoch}", completed=done, total=total)
        if self.console.is_interactive:
            return
        now = self.steps_done_at = self.clock()
        if self.last is None:
            self.last = now, done
            return
        seconds, steps = now - self.last[0], done - self.last[1]
        if seconds >= INTERVAL_S:
            self.say(epoch, self.describe_step(epoch, done, total, loss, seconds / steps))
            self.last, self.said = (now, done), True
        if done == total and self.said:
            about = f", about {in_time(self.measuring_s)}" if self.measuring_s else ""
            self.say(epoch, f"all {total:,} steps done, evaluating{about}")

    def describe_step(self, epoch: int, done: int, total: int, loss: float | None, seconds_per_step: float) -> str:
        """A line with step, mean loss, images/s and time left."""
        left_s = (total - done) * seconds_per_step + self.measuring_s
        later_s = (self.max_epochs - epoch) * (total * seconds_per_step + self.measuring_s)
        parts = [
            f"step {done:,}/{total:,}",
            *([] if loss is None else [f"loss {loss:.4f}"]),
            f"{self.batch_size / seconds_per_step:,.0f} images/s",
            f"left: {in_time(left_s)} of the epoch, {in_time(left_s + later_s)} of {self.max_epochs:,} epochs",
        ]
        return "  ".join(parts)

    def report(self, row: dict[str, Any]) -> None:
        """Print a line for a finished epoch; `row`: its row of history.parquet."""
        self.say(
            row["epoch"],
            f"lr {row['learning_rate']:g}  loss {row['train_loss']:.4f}  train error {row['train_top1_error']:.2%}  "
            f"val error {row['val_top1_error']:.2%}  {row['images_per_second']:,.0f} images/s  {row['seconds']:.1f} s",
        )
        now = self.clock()
        if self.last is not None:
            self.measuring_s = now - self.steps_done_at
        self.last, self.said = (now, 0), False

    def say(self, epoch: int, text: str) -> None:
        """Print a line about an epoch."""
        line = f"{self.title} epoch {epoch}/{self.max_epochs}  {text}"
        self.console.print(line, highlight=False, markup=False)
        self.console.file.flush()


def in_time(seconds: float) -> str:
    """A duration as 0:05:10, 14:05:00, or 5 days, 3:00:00."""
    return str(timedelta(seconds=round(seconds)))


def read_end(log: Path) -> list[str]:
    """The last non-blank lines of a log (the first may be cut off); empty if there is no such file."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - END_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    return [line.rstrip() for line in lines if line.strip()]
