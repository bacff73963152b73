"""Checkpoints that survive a kill at any moment, the lock of a run, and signals that ask for a checkpoint."""

import os
import pickle
import shutil
import signal
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import torch
from torch import Tensor

from alexnet2012.errors import Interrupted, TrainingError
from alexnet2012.files import LockTaken, locked

KEPT = 2  # the newest, and the one before it should the newest turn out unreadable
PROBE_S = 1.0  # tracking/store.py holds a lock for a moment when it asks whether a training lives


@dataclass(frozen=True)
class Identity:
    """What a state belongs to; resuming under another identity would mix two experiments."""

    code: str
    config: str
    data: str


@dataclass
class State:
    """All that a training needs to go on bit for bit; draws are functions of the counters, so no generator is kept.

    `epoch` counts finished epochs, `batch` the batches done of the current one, `step` all updates so far; `loss_sum`
    and `wrong_sum` are the current epoch's running sums, `epoch_seconds` and `seconds` its and all epochs' wall time.
    """

    identity: dict[str, str]
    weights: dict[str, Tensor]
    velocity: dict[str, Tensor]
    scheduler: dict[str, Any]
    history: list[dict[str, Any]]
    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    wrong_sum: int = 0
    epoch_seconds: float = 0.0
    seconds: float = 0.0


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold `folder` exclusively; the kernel frees it with the process, kill -9 included. Raises TrainingError when
    taken.

    After a kill -9 of the workflow its trainings live on, and a second start must not train beside them.
    """
    try:
        with locked(folder / "lock", PROBE_S):
            yield
    except LockTaken as holder:
        raise TrainingError(
            f"{folder} is in use: process {holder} trains this run. "
            "Wait for it, or end it; then run the same command again and it resumes."
        ) from None


def save(folder: Path, state: State) -> Path:
    """Write `state` under a temporary name, flush it to disk, rename it, and remove all but the last two."""
    path = folder / f"checkpoint-{state.step:09d}.pt"
    temporary = folder / f".{path.name}.partial"
    with temporary.open("wb") as file:
        torch.save({field.name: getattr(state, field.name) for field in fields(State)}, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    for old in list_checkpoints(folder)[:-KEPT]:
        old.unlink()
    return path


def list_checkpoints(folder: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    return sorted(folder.glob("checkpoint-*.pt"))


def load_latest(folder: Path) -> State | None:
    """The newest checkpoint that can be read, or None where there is none; says so when it had to go back one."""
    for path in reversed(list_checkpoints(folder)):
        try:
            with zipfile.ZipFile(path) as archive:
                damaged = archive.testzip()  # torch itself looks at no check sum
            if damaged is not None:
                raise zipfile.BadZipFile(f"{damaged} is damaged")
            return State(**torch.load(path, map_location="cpu", weights_only=True))
        except (OSError, RuntimeError, zipfile.BadZipFile, pickle.UnpicklingError, TypeError, ValueError) as error:
            print(f"warning: {path} cannot be read ({error}); going back to the checkpoint before it", flush=True)
    return None


def resume(folder: Path, identity: Identity, accepted: Collection[str | None]) -> State | None:
    """The state to go on from, or None to begin.

    A state of other code, configuration or data is moved to a subfolder with a warning: never resumed in silence, never
    deleted. `accepted` holds fingerprints whose states are resumed all the same; the state then remembers its own.
    """
    state = load_latest(folder)
    if state is not None:
        found, expected = state.identity, asdict(identity)
        differing = [key for key in expected if found[key] != expected[key]]
        if differing == ["code"] and found["code"] in accepted:
            state.identity = {**expected, "began_with_code": found.get("began_with_code", found["code"])}
            differing = []
        if not differing:
            return state
        reasons = ", ".join(f"{key} {found[key][:8]} is now {expected[key][:8]}" for key in differing)
        aside = set_aside(folder)
        print(
            f"warning: the state in {folder} cannot be resumed ({reasons}); moved to {aside}. Training begins anew. "
            f"To resume it all the same, move it back and set runtime: accept_code: {state.identity['code']}",
            flush=True,
        )
    elif any(path.name != "lock" for path in folder.iterdir() if not path.name.startswith("superseded-")):
        set_aside(folder)  # what a finished training left, e.g. before a forced rerun
    return None


def set_aside(folder: Path) -> Path:
    """Move all of a state but its lock into a dated subfolder."""
    aside = folder / f"superseded-{datetime.now():%Y%m%dT%H%M%S%f}"
    aside.mkdir()
    for path in folder.iterdir():
        if path.name != "lock" and not path.name.startswith("superseded-"):
            shutil.move(path, aside / path.name)
    return aside


def discard(folder: Path) -> None:
    """Remove the checkpoints of a training whose results are written."""
    for path in list_checkpoints(folder):
        path.unlink()


class StopRequest:
    """While entered, the first signal only sets a flag, which `check` turns into Interrupted between two steps.

    Within `immediately` (an evaluation, which changes nothing) the signal raises at once.
    """

    SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self.received: int | None = None
        self.at_once = False

    def __enter__(self) -> "StopRequest":
        self.before = {number: signal.signal(number, self._receive) for number in self.SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        if self.at_once:
            self.at_once = False
            self.check()

    def check(self) -> None:
        """Raise Interrupted when a signal has come."""
        if self.received is not None:
            raise Interrupted(
                f"stopped by {signal.Signals(self.received).name}; a checkpoint was written, the same command resumes"
            )

    def immediately(self, at_once: bool) -> None:
        """From here on a signal raises at once (True), or waits for `check` (False); one that waits is raised now."""
        self.check()
        self.at_once = at_once
