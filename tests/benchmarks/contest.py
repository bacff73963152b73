"""A contest: contenders in processes of their own, rounds in turn, so that a drifting machine favours none."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from alexnet2012.cpu import KEEP_LARGE_BUFFERS
from alexnet2012.reporting.benchmark_results import ContenderResult

WORKER = Path(__file__).with_name("contest_worker.py")
SAMPLE_EVERY_S = 0.02  # of a working process's anonymous memory
PATIENCE_S = 1800.0  # for one call


class ContestError(Exception):
    """A contender failed; the text holds what it said."""


@dataclass(frozen=True)
class Done:
    """What one call of a contender did: `units` of work, its own `seconds` where its process's clock around the call
    would measure too much, and anything worth telling."""

    units: float
    seconds: float | None = None
    details: dict[str, Any] = field(default_factory=dict)


Call = Callable[[], Done]  # what a contender's `make` returns; called twice to warm up, then once a round


@dataclass(frozen=True)
class Contender:
    """`make` is "module:function"; called with `arguments`, which pass through JSON, it returns a Call."""

    name: str
    make: str
    arguments: dict[str, Any] = field(default_factory=dict)
    environment: Literal["job", "plain"] = "job"
    threads: int = 1

    @property
    def label(self) -> str:
        return f"{self.name} ({self.environment})"


def in_both(contender: Contender) -> list[Contender]:
    """A rival as people run it, and once more in the environment of the workflow's jobs."""
    rest = {key: value for key, value in vars(contender).items() if key != "environment"}
    return [Contender(**rest, environment=environment) for environment in ("plain", "job")]


class Contest:
    """Its processes live inside the `with` block, which begins when all of them have warmed up.

    Raises ContestError with a contender's stderr when it fails.
    """

    def __init__(self, contenders: Sequence[Contender]) -> None:
        labels = [each.label for each in contenders]
        if len(set(labels)) < len(labels):
            raise ValueError(f"two contenders of one name in one environment: {labels}")
        self.contenders, self.workers, self.rounds = list(contenders), [], 0

    def __enter__(self) -> "Contest":
        try:
            self.workers = [Worker(each) for each in self.contenders]
            for worker in self.workers:
                worker.answer()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        for worker in self.workers:
            worker.close()

    def round(self) -> None:
        """One call of each, one at a time; each round begins with the next contender."""
        first = self.rounds % len(self.workers)
        for worker in self.workers[first:] + self.workers[:first]:
            worker.work()
        self.rounds += 1

    def results(self) -> dict[str, ContenderResult]:
        """Found so far, by label."""
        return {worker.contender.label: worker.result() for worker in self.workers}

    def details(self, label: str) -> list[dict[str, Any]]:
        """What a contender told of each of its calls."""
        return next(worker.details for worker in self.workers if worker.contender.label == label)


class Worker:
    """One contender's process, seen from outside."""

    def __init__(self, contender: Contender) -> None:
        self.contender = contender
        self.seconds: list[float] = []
        self.units: list[float] = []
        self.details: list[dict[str, Any]] = []
        self.peak_rss = self.peak_anonymous = None
        self.said = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed in close()
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            env=make_environment(contender.environment, contender.threads),
            encoding="utf-8",
            start_new_session=True,
        )
        task = {"make": contender.make, "arguments": contender.arguments, "threads": contender.threads}
        self.tell(json.dumps(task))

    def work(self) -> None:
        """One call; its sample is kept."""
        self.tell("go")
        answer = self.answer()
        self.seconds.append(answer["seconds"])
        self.units.append(answer["units"])
        self.details.append(answer["details"])

    def tell(self, line: str) -> None:
        try:
            self.process.stdin.write(f"{line}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise self.failure("ended early") from None

    def answer(self) -> dict[str, Any]:
        """The next line of the process, whose memory is looked at meanwhile."""
        deadline = time.monotonic() + PATIENCE_S
        while not select.select([self.process.stdout], [], [], SAMPLE_EVERY_S)[0]:
            self.watch_memory()
            if self.process.poll() is not None:
                raise self.failure(f"ended with {self.process.returncode}")
            if time.monotonic() > deadline:
                raise self.failure(f"did not answer within {PATIENCE_S:.0f} s")
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            raise self.failure(f"ended with {self.process.returncode}")
        self.watch_memory()
        return json.loads(line)

    def watch_memory(self) -> None:
        """Its own peak of resident memory, and the largest of the anonymous memory that was seen."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        except OSError:  # ended, or no Linux
            return
        sizes = {key: 1024 * int(size) for key, size in re.findall(r"^(VmHWM|RssAnon):\s+(\d+) kB$", status, re.M)}
        self.peak_rss = sizes.get("VmHWM", self.peak_rss)
        self.peak_anonymous = max(sizes.get("RssAnon", 0), self.peak_anonymous or 0)

    def failure(self, what: str) -> ContestError:
        self.said.seek(0)
        return ContestError(f"{self.contender.label}, {self.contender.make}, {what}:\n{self.said.read().strip()}")

    def result(self) -> ContenderResult:
        own = self.contender
        return ContenderResult(
            own.name, own.environment, own.threads, self.seconds, self.units, self.peak_rss, self.peak_anonymous
        )

    def close(self) -> None:
        """End the process and whatever it started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for file in (self.process.stdin, self.process.stdout, self.said):
            with suppress(BrokenPipeError):
                file.close()


def make_environment(kind: str, threads: int) -> dict[str, str]:
    """This process's environment without what a job sets in it, then with that for `kind` "job" alone."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("MALLOC_") and not key.endswith(("_NUM_THREADS", "_MAXIMUM_THREADS"))
    }
    kept |= {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return kept | KEEP_LARGE_BUFFERS if kind == "job" else kept
