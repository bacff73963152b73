"""What stands in a table's cells: errors and intervals, differences, seeds, what the paper states."""

import math

import numpy as np

from alexnet2012 import paper
from alexnet2012.evaluation.statistics import Estimate, estimate_error
from alexnet2012.reporting.outcomes import Measurement, NotMeasured, Outcome, interval, list_seeds
from alexnet2012.reporting.results import Experiment, Results, learned_of

NOT_YET = "not yet reproduced"
IN_FULL = "run `snakemake full`"
WITHHELD = "labels withheld"
ABSENT = "–"
INTERVALS = "in brackets the 95 % interval: over seeds where there are three or more, else over images"


def estimate(experiment: Experiment, split: str, k: int, crops: str) -> Estimate:
    return estimate_error([net.wrong(split, crops, k) for net in experiment.nets])


def cell(
    experiment: Experiment | None,
    splits: tuple[str, ...],
    split: str,
    k: int,
    crops: str = "ten_crop",
    absent: str = NOT_YET,
) -> str:
    """A measured error, or what stands for it; `splits` are those of the dataset whose labels are public."""
    if split not in splits:
        return WITHHELD
    return absent if experiment is None else error_cell(estimate(experiment, split, k, crops))


def stated_cell(stated: float | None, logged: float | None) -> str:
    """The paper's error, and beside it the same one in the notes of the 2012 source."""
    return percent(stated) if logged is None else f"{percent(stated)} (logged {100 * logged:.4f})"


def error_cell(found: Estimate) -> str:
    return f"{percent(found.value)} [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def calibration_cell(record: dict, k: int) -> str:
    """The error of a calibrating net, one crop, with its interval over images."""
    images = record["images"]
    return error_cell(estimate_error([np.arange(images) < round(record["errors"][f"top{k}"] * images)]))


def difference(
    results: Results,
    experiment: Experiment | None,
    stated: paper.Errors,
    edition: str,
    split: str,
    recipe: str = "paper",
) -> str:
    """Measured minus stated, in points, where the dataset is the whole `edition` and the recipe that of the row."""
    if experiment is None or experiment.edition != edition or stated.top1 is None:
        return ABSENT
    if results.recipes(experiment) != {recipe}:
        return ABSENT
    values = (estimate(experiment, split, k, "ten_crop").value - own for k, own in ((1, stated.top1), (5, stated.top5)))
    return " / ".join(f"{100 * value:+.1f}" for value in values) + " points"


def seeds_cell(results: Results, experiment: Experiment | None, split: str) -> str:
    """The seeds behind a cell; the smallest and the largest top-1 error where there are several; how many learned."""
    if experiment is None:
        return ABSENT
    text = list_seeds(experiment.seeds) if experiment.seeds else f"average of {len(experiment.members)}"
    if len(experiment.nets) > 1 and split in experiment.splits:
        errors = [net.predictions[split]["errors"]["ten_crop"]["top1"] for net in experiment.nets]
        text += f"; top-1 from {percent(min(errors))} to {percent(max(errors))}"
    return "; ".join(part for part in (text, learned_of(results, experiment)) if part)


def place(section: str) -> str:
    """Where in the paper: "4.1, figure 1" as "§4.1, figure 1"."""
    return ", ".join(f"§{part}" if part[0].isdigit() else part for part in section.split(", "))


def stated(claim: paper.Claim) -> str:
    if claim.size:
        return claim.size
    if claim.stated.top1 is None:
        return "sign"
    if claim.unit == "%":
        return f"{percent(claim.stated.top1)} / {percent(claim.stated.top5)}"
    return points_pair(claim.stated)


def outcome_cells(outcome: Outcome) -> list[str]:
    """A measurement and its conditions, or "not measured" and why."""
    if isinstance(outcome, NotMeasured):
        return ["not measured", outcome.reason]
    parts = [measured_cell(outcome), outcome.beside]
    method = "" if outcome.top1 is None else outcome.top1.method
    learned = "" if outcome.scope is None else outcome.scope.learned
    one_net = "" if outcome.one_net is None else f"one more net: {interval_of(outcome.one_net, '%')}, 95 % prediction"
    details = [outcome.conditions, method, one_net, learned]
    return ["; ".join(part for part in each if part) for each in (parts, details)]


def measured_cell(outcome: Measurement) -> str:
    """Values with their intervals, "1.20 [0.80, 1.60] / 0.30 [0.10, 0.50] points", "6.1x [5.0, 7.4]", or the text."""
    if outcome.top1 is None:
        return outcome.text
    if outcome.unit == "x":
        value, low, high = (math.exp(each) for each in (outcome.top1.value, outcome.top1.low, outcome.top1.high))
        return f"{value:.2f}x [{low:.2f}, {high:.2f}]"
    pair = [each for each in (outcome.top1, outcome.top5) if each is not None]
    return f"{' / '.join(interval(each) for each in pair)} {outcome.unit}"


def interval_cell(outcome: Measurement) -> str:
    """The declared test's interval with its unit, "[0.80, 1.60] points"; empty where there is none."""
    if outcome.top1 is None:
        return ""
    return interval_of(outcome.top1, outcome.unit)


def interval_of(found: Estimate, unit: str) -> str:
    if unit == "x":
        return f"[{math.exp(found.low):.2f}, {math.exp(found.high):.2f}]x"
    return f"[{100 * found.low:.2f}, {100 * found.high:.2f}] {unit}"


def probability_cell(p: float | None) -> str:
    if p is None:
        return ABSENT
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def percent(value: float | None) -> str:
    return ABSENT if value is None else f"{100 * value:.1f} %"


def points_pair(pair: paper.Errors) -> str:
    return " / ".join(f"{100 * value:.1f}" for value in (pair.top1, pair.top5) if value is not None) + " points"
