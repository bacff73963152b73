"""What a training logs, without the training: `logging_process.py RESULTS CONFIGURATION NUMBER GATES PAUSE_S ROLE`.

A `machine` has a results folder of its own and does what the workflow does before and after; a `job` only trains. It
says in GATES that it is ready, begins with all others, goes on until told, and prints what it did.
"""

import json
import sys
import time
from pathlib import Path

from alexnet2012.tracking import RunLog, TrackingIds, initialise, log_results, log_tables, store

EPOCHS = 6  # at least
EPOCH_S = 0.5
TABLE = "| net | top-1 |\n|---|---|\n| cnn | 37.5 |\n"


def main(results: Path, configuration: str, number: int, gates: Path, pause_s: float, is_machine: bool) -> None:
    import mlflow.tracking  # noqa: F401  takes seconds, and all should begin at once

    store.PAUSE_AFTER_FAILURE_S = pause_s
    (gates / f"ready-{number}").touch()
    wait_until_there(gates / "go")
    ids = initialise(configuration, results) if is_machine else TrackingIds.load(results / "tracking.json")
    epochs, longest_s = log_a_training(results, ids, number, gates)
    if is_machine:
        table = results / "table1.md"
        table.write_text(TABLE, encoding="utf-8")
        assert log_tables(ids, [table])
    print(json.dumps({"epochs": epochs, "longest_s": longest_s}))


def log_a_training(results: Path, ids: TrackingIds, number: int, gates: Path) -> tuple[int, float]:
    """The number of its epochs, and how long the training waited for its log at most."""
    folder = run_folder(results, ids.name, number)
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(settings_file(number), encoding="utf-8")
    watch, log = Watch(), RunLog(folder / "state", ids, run_name(number))
    with watch:
        log.start(params(number), tags(number))
    with watch:
        log.artifact(folder / "config.yaml")
    epoch = 0
    while epoch < EPOCHS or not (gates / "enough").exists():
        time.sleep(EPOCH_S)
        epoch += 1
        with watch:
            log.metrics(epoch, row(number, epoch))
    with watch:
        log.finish(final(number))
    with watch:
        log_results(folder / "state", ids, run_name(number), results_of(number))
    return epoch, watch.longest_s


class Watch:
    """The longest time that one of its blocks took."""

    longest_s = 0.0

    def __enter__(self) -> None:
        self.began = time.monotonic()

    def __exit__(self, *error: object) -> None:
        self.longest_s = max(self.longest_s, time.monotonic() - self.began)


def run_folder(results: Path, configuration: str, number: int) -> Path:
    return results / configuration / "runs" / "cifar10" / "cnn-0123abcd" / f"seed{number}"


def run_name(number: int) -> str:
    return f"cnn-seed{number}"


def params(number: int) -> dict[str, object]:
    return {"seed": number, **{f"net.conv{layer}.setting{k}": number + k / 8 for layer in range(5) for k in range(12)}}


def tags(number: int) -> dict[str, str]:
    return {"variant": "cnn", "seed": str(number), "dataset": "cifar10"}


def settings_file(number: int) -> str:
    return f"seed: {number}\n"


def row(number: int, epoch: int) -> dict[str, float]:
    """One epoch's values, which no other run and no other epoch has."""
    names = ("train_loss", "train_top1_error", "val_loss", "val_top1_error", "learning_rate", "seconds")
    return {name: number + k / 10 + epoch / 1000 for k, name in enumerate(names)}


def final(number: int) -> dict[str, float]:
    return {"final_val_top1_error_centre": number + 0.125}


def results_of(number: int) -> dict[str, float]:
    return {"test_top1_error_ten_crop": number + 0.25, "test_top5_error_ten_crop": number + 0.5}


def metrics_of(number: int, epochs: int) -> list[tuple[str, int, float]]:
    """All that the store must hold of this run, sorted: key, step, value."""
    each = [(key, epoch, value) for epoch in range(1, epochs + 1) for key, value in row(number, epoch).items()]
    return sorted(each + [(key, 0, value) for key, value in {**final(number), **results_of(number)}.items()])


def wait_until_there(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)


if __name__ == "__main__":
    folder, configuration, number, gates, pause_s, role = sys.argv[1:]
    main(Path(folder), configuration, int(number), Path(gates), float(pause_s), role == "machine")
