"""Progress of a training: a bar on a terminal, plain lines in a log."""

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class EpochProgress:
    """A bar over the steps of the current epoch on a terminal, nothing in a log; `report` prints in both."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.console = Console(file=sys.stdout, soft_wrap=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.bar = Progress(*columns, console=self.console, disable=not self.console.is_terminal, transient=True)
        self.task = self.bar.add_task(title)

    def __enter__(self) -> "EpochProgress":
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def step(self, epoch: int, done: int, total: int) -> None:
        self.bar.update(self.task, description=f"{self.title} epoch {epoch}", completed=done, total=total)

    def report(self, row: dict, max_epochs: int) -> None:
        """One line for a finished epoch; `row` is a row of history.parquet."""
        self.console.print(
            f"{self.title} epoch {row['epoch']}/{max_epochs}  lr {row['learning_rate']:g}  "
            f"loss {row['train_loss']:.4f}  train error {row['train_top1_error']:.2%}  "
            f"val error {row['val_top1_error']:.2%}  {row['images_per_second']:,.0f} images/s  {row['seconds']:.1f} s",
            highlight=False,
        )
        sys.stdout.flush()
