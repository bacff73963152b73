"""What a log and a terminal show of an epoch while it lasts."""

import io
import os
import re
import subprocess
import sys

import pytest
from rich.console import Console

from alexnet2012.training.progress import INTERVAL_S, EpochProgress

TOTAL, EPOCHS, BATCH = 1000, 3, 128
ROW = {"learning_rate": 0.01, "train_loss": 2.5, "train_top1_error": 0.25, "val_top1_error": 0.5}
ROW |= {"images_per_second": 640.0, "seconds": 260.0}


class Log:
    """A training whose steps take as long as is said, as a file shows it."""

    def __init__(self, terminal: bool = False) -> None:
        self.now, self.file = 0.0, io.StringIO()
        console = Console(file=self.file, force_terminal=terminal, soft_wrap=True, width=200)
        self.progress = EpochProgress("cnn seed 0", EPOCHS, BATCH, console, lambda: self.now)

    def train(self, epoch: int, seconds: float, first: int = 1, last: int = TOTAL, loss: float | None = 4.0) -> None:
        """Steps `first` to `last` of `epoch`, of so many seconds each."""
        for done in range(first, last + 1):
            self.now += seconds
            self.progress.step(epoch, done, TOTAL, loss)

    def close(self, epoch: int, measuring_s: float) -> None:
        self.now += measuring_s
        self.progress.report({"epoch": epoch, **ROW})

    def lines(self) -> list[str]:
        return self.file.getvalue().splitlines()


@pytest.fixture
def log():
    return Log()


def read_steps(lines: list[str]) -> list[int]:
    return [int(found[1].replace(",", "")) for each in lines if (found := re.search(r"step ([\d,]+)/1,000", each))]


@pytest.mark.parametrize(
    ("seconds", "first", "steps"),
    [
        (0.25, 1, [121, 241, 361, 481, 601, 721, 841, 961]),  # time begins with the first step, and 30 s are 120
        (0.25, 800, [920]),  # of a resumed epoch
        (45, 997, [998, 999, 1000]),
        (0.02, 1, []),
    ],
)
def test_an_epoch_has_a_line_every_thirty_seconds_and_one_at_its_end(log, seconds, first, steps):
    log.train(1, seconds, first)
    log.close(1, 10)
    assert read_steps(log.lines()) == steps
    assert len(log.lines()) == len(steps) + (2 if steps else 1)  # one that was heard of says when it is evaluated
    assert log.lines()[-1].startswith("cnn seed 0 epoch 1/3  lr 0.01  loss 2.5000")


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_has_the_bar_and_a_log_the_lines(terminal):
    log = Log(terminal)
    with log.progress:
        log.train(1, 0.25, last=700)
        log.progress.bar.refresh()
    shown = log.file.getvalue()
    assert ("700/1000" in shown, "\x1b" in shown, "images/s" in shown) == (terminal, terminal, not terminal)


@pytest.mark.parametrize("variable", ["FORCE_COLOR", "TTY_COMPATIBLE"])
def test_lines_reach_a_pipe_although_the_process_is_killed(variable):
    """Nor is a pipe a terminal, whatever the environment says."""
    code = f"""
import os, signal
from alexnet2012.training.progress import EpochProgress
now = [0.0]
with EpochProgress("cnn seed 0", 3, 128, clock=lambda: now[0]) as progress:
    for step in range(1, 4):
        now[0] += {INTERVAL_S}
        progress.step(1, step, 1000, 4.0)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    environment = {**os.environ, variable: "1"}
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, encoding="utf-8", check=False
    )
    assert found.returncode == -9
    assert read_steps(found.stdout.splitlines()) == [2, 3]
    assert "\x1b" not in found.stdout
