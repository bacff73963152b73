"""What a training cost: the energy that counters of this machine show, and epochs and seconds to a training error."""

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from alexnet2012.errors import RecordError
from alexnet2012.files import read_json, write_json

if TYPE_CHECKING:
    import pandas as pd

STATED_ERROR = 0.25  # training error to which the paper's figure 1 counts epochs (§3.1)
# What figures, tables and MLflow read of each history.
HISTORY_COLUMNS = ("epoch", "learning_rate", "train_loss", "train_top1_error", "val_top1_error")
POWERCAP = Path("/sys/class/powercap")
JOULES_A_KWH = 3.6e6
READ_EVERY_S = 60.0  # a counter of a processor wraps around after 262 kJ, eleven minutes at 400 W
Counters = dict[str, tuple[float, float]]  # by name: joules, and those at which the counter begins again from 0


def read_packages() -> Counters:
    """The counters of all processor packages (RAPL); empty where one cannot be read, as for most users of most
    machines."""
    found: Counters = {}
    with suppress(OSError, ValueError):
        for zone in sorted(POWERCAP.glob("intel-rapl:*")):
            if (zone / "name").read_text(encoding="utf-8").startswith("package"):
                energy, limit = ((zone / name).read_text() for name in ("energy_uj", "max_energy_range_uj"))
                found[zone.name] = (int(energy) / 1e6, int(limit) / 1e6)
        return found
    return {}


def read_cards() -> Counters:
    """The counters of the GPUs in CUDA_VISIBLE_DEVICES (NVML); empty without any, and where one has no counter."""
    cards = [card for card in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if card]
    if not cards:
        return {}
    import pynvml

    found: Counters = {}
    with suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        for card in cards:
            by_index, by_name = pynvml.nvmlDeviceGetHandleByIndex, pynvml.nvmlDeviceGetHandleByUUID
            handle = by_index(int(card)) if card.isdigit() else by_name(card)
            found[card] = (pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3, math.inf)
        return found
    return {}


KINDS: dict[str, Callable[[], Counters]] = {"cpu_kwh": read_packages, "gpu_kwh": read_cards}


class EnergyMeter:
    """The energy used during a training, by the keys of KINDS, in `kwh`; kinds that cannot be read throughout are
    absent.

    The sum is kept in the file `path`, which a resumed training goes on from. cpu_kwh is of whole processor packages,
    with whatever else runs on them. A training killed by SIGKILL loses what it used in its last minute.
    """

    def __init__(self, path: Path, resumed: bool) -> None:
        kept = {} if resumed else dict.fromkeys(KINDS, 0.0)
        if resumed and path.exists():
            kept = read_json(path)
        self.path, self.read_at = path, time.monotonic()
        self.counters = {kind: counters for kind in kept if (counters := KINDS[kind]())}
        self.kwh = {kind: float(kept[kind]) for kind in self.counters}

    def step(self) -> None:
        """Called often; reads the counters once a minute."""
        if time.monotonic() - self.read_at >= READ_EVERY_S:
            self.read()

    def read(self) -> None:
        """Add what was used since the last reading, and write the sum to the file."""
        self.read_at = time.monotonic()
        for kind, before in list(self.counters.items()):
            now = KINDS[kind]()
            used = math.inf
            if now.keys() == before.keys():
                used = sum((joules - before[name][0]) % limit for name, (joules, limit) in now.items())
            if math.isfinite(used):
                self.kwh[kind] += used / JOULES_A_KWH
                self.counters[kind] = now
            else:  # a counter that can be read no more, or was set back
                del self.kwh[kind], self.counters[kind]
        if self.kwh or self.path.exists():
            write_json(self.path, self.kwh)


def read_history(path: Path) -> "pd.DataFrame":
    """A training's history.parquet, a row per epoch; raises RecordError if it is unreadable or incomplete."""
    import pandas as pd
    from pyarrow import ArrowException

    try:
        history = pd.read_parquet(path)
    except (OSError, ValueError, ArrowException) as error:
        raise RecordError(f"{path} cannot be read ({error}); train this net anew") from None
    if missing := [column for column in HISTORY_COLUMNS if column not in history]:
        raise RecordError(f"{path} has no column {missing[0]}; train this net anew")
    return history


def epochs_to_target(errors: list[float], target: float) -> float | None:
    """The number of epochs until the error was at most `target`, interpolated linearly between epochs; None if never.

    `errors`: those after epochs 1, 2, ...; 1.0 if the first is low enough, since there is none before to interpolate.
    """
    for index, error in enumerate(errors):
        if error <= target:
            before = errors[index - 1] if index else error
            return index + 1 - ((target - error) / (before - error) if before > error else 0.0)
    return None


def time_to_target(record: Mapping[str, Any], history: Sequence[Mapping[Any, Any]]) -> dict[str, Any]:
    """{"train_error", "epochs", "seconds"}: epochs and seconds, without evaluation, until a training had the training
    error that its schedule aims at, or STATED_ERROR without one; None where it never had.

    `history`: its rows by epoch. The seconds are the epochs times the median epoch, as in training.record.
    """
    if record.get("target"):
        return dict(record["target"])
    errors = [row.get("train_top1_error", math.nan) for row in history]
    epochs = epochs_to_target(errors, STATED_ERROR)
    speed = median(row.get("images_per_second", math.nan) for row in history) if history else math.nan
    seconds = epochs and epochs * record["train_images"] / speed
    return {"train_error": STATED_ERROR, "epochs": epochs, "seconds": seconds}
