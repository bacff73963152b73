"""Checkpoints that survive a kill at any moment, the lock on their folder, and signals that ask for one."""

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

KEPT = 2  # the newest checkpoint, and the one before it in case the newest cannot be read
PROBE_S = 1.0  # tracking/publish.py holds the lock of a finished training for a moment


@dataclass
class State:
    """All that a training needs to go on bit for bit. Random draws are functions of the counters: no generator is kept.

    `identity` holds the fingerprint of the "code", the hash of the "config" and the digest of the "data": resuming
    under others would mix two experiments. `weights` and `velocity` go by parameter name, `scheduler` is
    Scheduler.progress, `history` one row per finished epoch. `epoch` counts finished epochs, `batch` the batches done
    in the current one, `step` all updates. `loss_sum` and `wrong_sum` are sums over the current epoch's batches,
    `epoch_seconds` and `seconds` the wall time of the current and of all finished epochs.
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
    """Write `state` to `folder`/checkpoint-<step>.pt, whole or not at all, and remove all but the last KEPT."""
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
    """The newest checkpoint in `folder` that can be read, or None; warns of those that cannot."""
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
    """The state to resume in `folder`, or None to begin anew.

    A state of other code, configuration or data is moved to a subfolder with a warning: never resumed in silence, never
    deleted. States of code whose fingerprint is in `accepted` are resumed; they remember it as "began_with_code".
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
            f"warning: the state in {folder} cannot be resumed ({reasons}); moved to {aside}. Training begins anew. "
            f"To resume it all the same, move it back and set runtime: accept_code: {state.identity['code']}",
            flush=True,
        )
    elif any(path.name != "lock" for path in folder.iterdir() if not path.name.startswith("superseded-")):
        set_aside(folder)  # remains of a finished training that is trained again
    return None


def set_aside(folder: Path) -> Path:
    """Move all but the lock in `folder` into a dated subfolder, and return that."""
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
    """While entered, SIGTERM and SIGINT wait for the next `check`, which raises Interrupted between two steps.

    After `immediately(True)`, before an evaluation, which changes nothing, a signal raises at once.
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
        """Raise Interrupted if a signal has come."""
        if self.received is not None:
            raise Interrupted(
                f"stopped by {signal.Signals(self.received).name}; a checkpoint was written, the same command resumes"
            )

    def immediately(self, at_once: bool) -> None:
        """Check now; from here on let signals raise at once (True) or wait for the next check (False)."""
        self.check()
        self.at_once = at_once
