"""The progress of each net, read only from files: without torch, and also while other machines train."""

import fcntl
import pickle
import re
import time
import zipfile
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Literal

from alexnet2012.config.plan import TARGETS, make_plan
from alexnet2012.config.schema import read_run
from alexnet2012.config.validate import read_yaml
from alexnet2012.errors import RecordError
from alexnet2012.files import read_json
from alexnet2012.training.progress import read_end

RECENT = 5  # number of last epochs from whose time the time left is estimated
# The time left of all epochs in a line of training.progress.EpochProgress.
TIME_LEFT = re.compile(r" of the epoch, (?:(\d+) days?, )?(\d+):(\d\d):(\d\d) of [\d,]+ epochs")
IN_USE = " is in use: process "  # in the error of training.checkpoint.lock, which ends a second start beside the first

TrainingState = Literal["planned", "waiting", "training", "stopped", "failed", "finished"]


@dataclass(frozen=True)
class NetStatus:
    """The progress of a net or a baseline.

    `state`: "waiting": for a GPU; "stopped": there is a checkpoint, from which the same command resumes. `epochs_done`:
    finished epochs, of at most `max_epochs`. `train_loss` (nats) and `val_error` (a fraction) are those of the last
    finished epoch. `left_s`: estimated seconds left. None if unknown.
    """

    dataset: str
    variant: str
    seed: int
    state: TrainingState
    epochs_done: int | None = None
    max_epochs: int | None = None
    train_loss: float | None = None
    val_error: float | None = None
    left_s: float | None = None
    log: str | None = None
    note: str = ""


def list_statuses(results: Path) -> list[NetStatus]:
    """The status of the nets in `results`/experiments.json. Raises RecordError if that or a net's record is
    unreadable."""
    path = results / "experiments.json"
    plan = read_json(path)
    try:  # older plans list only experiments
        listed = plan.get("trainings") or [run for each in plan["experiments"] for run in each.get("runs", ())]
        return [read_status(results, results.joinpath(*Path(run).parts[-4:])) for run in dict.fromkeys(listed)]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise RecordError(f"{path} lists no experiments; run snakemake to make it anew") from None


def list_planned(config: Path, variants: Path) -> list[NetStatus]:
    """The status of the nets that a configuration trains by default, and of those of `claims` and `full` that were
    started.

    Raises ConfigError for mistakes in the configuration, RecordError for an unreadable record.
    """
    plan = make_plan(read_yaml(config), str(config), variants, TARGETS)
    default = {run.folder for run in plan.narrow().trainings}
    runs = [run for run in plan.trainings if run.folder in default or run.folder.exists()]
    found = [read_status(Path("results", plan.config.name), run.folder) for run in runs]
    return [
        replace(each, max_epochs=each.max_epochs or (None if run.is_baseline else run.training.schedule.max_epochs))
        for each, run in zip(found, runs, strict=True)
    ]


def read_status(results: Path, folder: Path) -> NetStatus:
    """The status of the run in `folder`, results/<name>/runs/<dataset>/<variant>-<hash8>/seed<k>."""
    dataset, named, seed = folder.parts[-3:]
    logs = [results / "logs" / verb / dataset / named / f"{seed}.log" for verb in ("train", "train-baseline")]
    log = next((each for each in logs if each.is_file()), None)
    variant, number = named.rpartition("-")[0], int(seed.removeprefix("seed"))
    about = NetStatus(dataset, variant, number, "planned", log=None if log is None else str(log))
    if (folder / "record.json").exists():
        return describe_finished(about, read_json(folder / "record.json"))
    locked, checkpoints = is_locked(folder / "state" / "lock"), sorted((folder / "state").glob("checkpoint-*.pt"))
    if (locked or checkpoints) and (folder / "config.yaml").exists():
        run = read_run(folder / "config.yaml")
        about = replace(about, max_epochs=None if run.is_baseline else run.training.schedule.max_epochs)
    counters = next((found for path in reversed(checkpoints) if (found := read_counters(path))), None)
    if counters is not None:
        about = describe_counters(about, counters)
    elif checkpoints:
        about = replace(about, note=f"no checkpoint in {folder / 'state'} can be read")
    end = [] if log is None else read_end(log)
    if locked:
        left, age_s = about.left_s, 0.0 if counters is None else counters["age_s"]
        if left is None and log is not None:  # no epoch has ended yet
            left, age_s = find_time_left(end), time.time() - log.stat().st_mtime
        return replace(about, state="training", left_s=None if left is None else max(0.0, left - age_s))
    if failure := find_failure(end):
        return replace(about, state="failed", note=failure)
    if checkpoints:
        return replace(about, state="stopped")
    waits = bool(end) and end[-1].startswith("waiting for ")  # printed by gpus.lease_gpus
    return replace(about, state="waiting", note=end[-1]) if waits else about


def describe_finished(about: NetStatus, record: dict[str, Any]) -> NetStatus:
    """The status of a finished training from its record; baselines have no epochs."""
    final = record.get("final") or {}
    note = "diverged" if record.get("diverged") else "did not learn" if record.get("learned") is False else ""
    done = record.get("epochs") if final else None
    loss, error = final.get("train_loss"), final.get("val_top1_error")
    return replace(about, state="finished", epochs_done=done, train_loss=loss, val_error=error, note=note)


def describe_counters(about: NetStatus, counters: dict[str, Any]) -> NetStatus:
    """The status with loss, error and time left from a checkpoint's `counters` (see read_counters)."""
    history = counters["history"]
    about = replace(about, epochs_done=counters["epoch"])
    if not history:
        return about
    about = replace(about, train_loss=history[-1]["train_loss"], val_error=history[-1]["val_top1_error"])
    if about.max_epochs is None:
        return about
    an_epoch = median(row["seconds"] for row in history[-RECENT:])
    left = an_epoch * (about.max_epochs - counters["epoch"]) - counters["epoch_seconds"]
    return replace(about, left_s=max(0.0, left))


class CounterUnpickler(pickle.Unpickler):  # noqa: S301 (see find_class)
    """Reads only the numbers of a checkpoint, safely and without torch: tensors become None."""

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] == "torch":
            return lambda *parts: None
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        raise pickle.UnpicklingError(f"{module}.{name} is not expected in a checkpoint")

    def persistent_load(self, pid: Any) -> None:
        return None


def read_counters(checkpoint: Path) -> dict[str, Any] | None:
    """{"epoch", "epoch_seconds", "history", "age_s"} of a checkpoint (see training.checkpoint.State).

    None if it is damaged, or was just replaced by a newer one.
    """
    try:
        with zipfile.ZipFile(checkpoint) as archive:
            (name,) = (each for each in archive.namelist() if each.endswith("/data.pkl"))
            with archive.open(name) as file:
                state = CounterUnpickler(file).load()
        rows = [{key: row[key] for key in ("train_loss", "val_top1_error", "seconds")} for row in state["history"]]
        own = {key: state[key] for key in ("epoch", "epoch_seconds")}
        return own | {"history": rows, "age_s": time.time() - checkpoint.stat().st_mtime}
    except (OSError, EOFError, zipfile.BadZipFile, pickle.UnpicklingError):
        return None
    except (AttributeError, LookupError, TypeError, ValueError):  # a damaged pickle may raise these
        return None


def is_locked(path: Path) -> bool:
    """Whether a process holds a lock file; it may be on another machine with a shared file system.

    The file is not written. The lock is held only for an instant, and a training that starts meanwhile waits longer.
    """
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no such file, or one that cannot be read
        return False
    return False


def find_time_left(end: list[str]) -> float | None:
    """The seconds left when the last line of a training's log was printed that says so; None without such a line."""
    if not (found := TIME_LEFT.findall("\n".join(end))):
        return None
    days, hours, minutes, seconds = (float(each or 0) for each in found[-1])
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def find_failure(end: list[str]) -> str:
    """The error at the end of a log, that a verb printed or that a traceback ends in; empty where there is none.

    A second start that found the net in training is no failure of the net.
    """
    errors = [line for line in end if line.startswith("error: ")]
    if errors and IN_USE in errors[-1]:
        return ""
    traced = any(line.startswith("Traceback (most") for line in end)
    return errors[-1] if errors else end[-1] if traced else ""
