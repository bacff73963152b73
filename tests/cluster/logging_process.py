"""What a training logs, without the training: `logging_process.py RESULTS CONFIGURATION NUMBER GATES PAUSE_S ROLE`.

A `machine` has a results folder of its own and does what the workflow does before and after; a `job` only trains. It
says in GATES that it is ready, begins with all others, goes on until told, and prints what it did.
"""

import json
import sys
import time
from pathlib import Path

from tracked_net import begin_net, finish_net, make_history, predict

from alexnet2012.files import write_text
from alexnet2012.tracking import store
from alexnet2012.tracking.contents import name_metric
from alexnet2012.tracking.publish import LiveRun, publish
from alexnet2012.tracking.store import TrackingIds, begin_tracking

EPOCHS = 6  # at least
EPOCH_S = 0.5
TABLE = "| net | top-1 |\n|---|---|\n| cnn | 37.5 |\n"


def main(results: Path, configuration: str, number: int, gates: Path, pause_s: float, is_machine: bool) -> None:
    import mlflow.tracking  # noqa: F401  takes seconds, and all should begin at once

    store.PAUSE_AFTER_FAILURE_S = pause_s
    (gates / f"ready-{number}").touch()
    wait_until_there(gates / "go")
    ids = begin_tracking(configuration, results) if is_machine else TrackingIds.load(results / "tracking.json")
    epochs, longest_s = log_a_training(ids, number, gates)
    if is_machine:
        table = results / "table1.md"
        table.write_text(TABLE, encoding="utf-8")
        assert publish(ids, [table])
    print(json.dumps({"epochs": epochs, "longest_s": longest_s}))


def log_a_training(ids: TrackingIds, number: int, gates: Path) -> tuple[int, float]:
    """The number of its epochs, and how long the training waited for its log at most."""
    folder, watch, epoch = begin_net(ids, number), Watch(), 0
    live = LiveRun(folder, ids)
    with watch:
        live.update([])
    while epoch < EPOCHS or not (gates / "enough").exists():
        time.sleep(EPOCH_S)
        epoch += 1
        with watch:
            live.update(make_history(epoch, number))
        write_text(gates / f"epochs-{number}", str(epoch))
    finish_net(folder, make_history(epoch, number))
    with watch:
        live.finish()
    predict(ids, folder, "test", number + 0.25)
    return epoch, watch.longest_s


class Watch:
    """The longest time that one of its blocks took."""

    longest_s = 0.0

    def __enter__(self) -> None:
        self.began = time.monotonic()

    def __exit__(self, *error: object) -> None:
        self.longest_s = max(self.longest_s, time.monotonic() - self.began)


def metrics_of(number: int, epochs: int) -> list[tuple[str, int, float]]:
    """All that the store must hold of this run, sorted: key, step, value."""
    history = make_history(epochs, number)
    each = [(name_metric(key), row["epoch"], value) for row in history for key, value in row.items() if key != "epoch"]
    error = number + 0.25
    results = {f"test/{crops}/top{k}_error": error / (1 + (k == 5)) for crops in ("ten_crop", "centre") for k in (1, 5)}
    return sorted(each + [(key, 0, value) for key, value in results.items()])


def wait_until_there(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)


if __name__ == "__main__":
    folder, configuration, number, gates, pause_s, role = sys.argv[1:]
    main(Path(folder), configuration, int(number), Path(gates), float(pause_s), role == "machine")
