"""The learning rate of a run, chosen among rates that were each tried in a short run of its own (§3.1)."""

import math
from pathlib import Path

from alexnet2012.config import RunConfig
from alexnet2012.errors import RecordError
from alexnet2012.files import read_json


def list_search_runs(run: RunConfig) -> tuple[RunConfig, ...]:
    """A short run for each rate that `run` is to choose from, with its net and seed; none where it has no search."""
    search = run.training.learning_rate_search
    if search is None:
        return ()
    schedule = run.training.schedule.model_copy(update={"max_epochs": search.epochs, "diverging": "stop"})
    return tuple(
        run.model_copy(
            update={
                "variant": f"{run.variant}-rate-{rate:g}",
                "training": run.training.model_copy(
                    update={"learning_rate": rate, "learning_rate_search": None, "schedule": schedule}
                ),
            }
        )
        for rate in search.rates
    )


def choose_rate(folders: list[Path]) -> list[dict]:
    """What became of the rates tried in `folders`, the best first: {"learning_rate", "target_epochs", "train_error"}.

    The best reached the target soonest; of those that did not, the one with the lowest training error. Raises
    RecordError when all diverged.
    """
    tried = [summarise_search(read_json(folder / "record.json")) for folder in folders]
    if all(each["train_error"] is None for each in tried):
        rates = ", ".join(f"{each['learning_rate']:g}" for each in tried)
        raise RecordError(f"every learning rate of the search diverged ({rates}); add lower ones to its rates")

    def judge(each: dict) -> tuple[float, float]:
        return each["target_epochs"] or math.inf, math.inf if each["train_error"] is None else each["train_error"]

    return sorted(tried, key=judge)


def summarise_search(record: dict) -> dict:
    diverged = record["diverged"]
    return {
        "learning_rate": record["learning_rate"],
        "target_epochs": record["target"]["epochs"],
        "train_error": None if diverged else record["final"]["train_top1_error"],
    }
