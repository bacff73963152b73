"""Checkpoints that survive a kill at any moment, the lock on their folder, and stopping on signals."""

import os
import pickle
import shutil
import signal
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from alexnet2012.errors import Interrupted, TrainingError
from alexnet2012.files import LockTaken, locked

KEPT = 2  # the newest checkpoint, and the previous one in case the newest cannot be read
PROBE_S = 1.0  # wait this long, because tracking/publish.py locks finished trainings briefly


@dataclass
class State:
    """Everything that a training needs to resume bit for bit; random draws depend only on the seed and these counters.

    `identity`: fingerprint of the "code", hash of the "config" and digest of the "data"; resuming with others would mix
    two experiments. `weights` and `velocity`: by parameter name. `scheduler`: Scheduler.progress. `history`: one row
    per finished epoch. `epoch`: finished epochs; `batch`: batches done in the current epoch; `step`: all updates.
    `loss_sum`, `wrong_sum`: sums over the batches of the current epoch. `epoch_seconds`, `seconds`: wall time of the
    current epoch and of all finished ones.
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
    """Lock `folder` for this process; kill -9 releases it too. Raises TrainingError if another process holds it.

    Trainings survive a kill -9 of the workflow, and a second start must not train the same run beside them.
    """
    try:
        with locked(folder / "lock", PROBE_S):
            yield
    except LockTaken as holder:
        raise TrainingError(
            f"{folder} is in use: process {holder} trains this run. "
            "Wait for it, or stop it; then run the same command again to resume."
        ) from None


def save(folder: Path, state: State) -> Path:
    """Write `state` to `folder`/checkpoint-<step>.pt, atomically, and remove all checkpoints but the last KEPT."""
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
    """The complete checkpoints in `folder`, oldest first."""
    return sorted(folder.glob("checkpoint-*.pt"))


def load_latest(folder: Path) -> State | None:
    """The newest readable checkpoint in `folder`, or None; warns about unreadable ones."""
    for path in reversed(list_checkpoints(folder)):
        try:
            with zipfile.ZipFile(path) as archive:
                damaged = archive.testzip()  # torch does not verify checksums
            if damaged is not None:
                raise zipfile.BadZipFile(f"{damaged} is damaged")
            return State(**torch.load(path, map_location="cpu", weights_only=True))
        except (OSError, RuntimeError, zipfile.BadZipFile, pickle.UnpicklingError, TypeError, ValueError) as error:
            print(f"warning: {path} cannot be read ({error}); going back to the checkpoint before it", flush=True)
    return None


def resume(folder: Path, identity: dict[str, str], accepted: Collection[str | None]) -> State | None:
    """The state to resume in `folder`, or None to start from the beginning.

    A state of other code, configuration or data is moved to a subfolder with a warning; it is neither resumed nor
    deleted. A state of code whose fingerprint is in `accepted` is resumed, with that recorded as "began_with_code".
    """
    state = load_latest(folder)
    if state is not None:
        found = state.identity
        differing = [key for key in identity if found[key] != identity[key]]
        if differing == ["code"] and found["code"] in accepted:
            state.identity = {**identity, "began_with_code": found.get("began_with_code", found["code"])}
            differing = []
        if not differing:
            return state
        reasons = ", ".join(f"{key} {found[key][:8]} is now {identity[key][:8]}" for key in differing)
        aside = set_aside(folder)
        print(
            f"warning: the state in {folder} cannot be resumed ({reasons}); moved to {aside}. Training starts from the "
            f"beginning. To resume anyway, move it back and set runtime: accept_code: {state.identity['code']}",
            flush=True,
        )
    elif any(path.name != "lock" for path in folder.iterdir() if not path.name.startswith("superseded-")):
        set_aside(folder)  # leftovers of a finished training that is being repeated
    return None


def set_aside(folder: Path) -> Path:
    """Move everything in `folder` except the lock into a dated subfolder; returns that."""
    aside = folder / f"superseded-{datetime.now():%Y%m%dT%H%M%S%f}"
    aside.mkdir()
    for path in folder.iterdir():
        if path.name != "lock" and not path.name.startswith("superseded-"):
            shutil.move(path, aside / path.name)
    return aside


def discard(folder: Path) -> None:
    """Remove the checkpoints of a training, after its results have been written."""
    for path in list_checkpoints(folder):
        path.unlink()


class StopRequest:
    """A context in which SIGTERM and SIGINT are deferred to the next `check`, which raises Interrupted between steps.

    After `immediately(True)`, used during evaluations (which change nothing), a signal raises at once.
    """

    SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self.received: int | None = None
        self.at_once = False

    def __enter__(self) -> "StopRequest":
        self.before = {number: signal.signal(number, self._receive) for number in self.SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        if self.at_once:
            self.at_once = False
            self.check()

    def check(self) -> None:
        """Raise Interrupted if a signal has been received."""
        if self.received is not None:
            raise Interrupted(
                f"stopped by {signal.Signals(self.received).name}; a checkpoint was written, the same command resumes"
            )

    def immediately(self, at_once: bool) -> None:
        """Check now; from now on signals raise at once (True) or wait for the next check (False)."""
        self.check()
        self.at_once = at_once
