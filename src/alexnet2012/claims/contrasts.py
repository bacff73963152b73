"""Nets that were trained alike, the spread between seeds that they share, and differences between two of them by it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from alexnet2012.claims.measurement import SharedSpread, Unmeasurable, wrong_of
from alexnet2012.evaluation.linear_model import Spread, pool_spread
from alexnet2012.evaluation.statistics import (
    MANY_SEEDS,
    Estimate,
    estimate_contrast,
    estimate_contrast_of_values,
    estimate_gap_contrast,
)
from alexnet2012.reporting.results import ExperimentResults, Results
from alexnet2012.reporting.trained_nets import Answers, TrainedNet

Setup = tuple[object, ...]


@dataclass(frozen=True)
class Quantity:
    """A number of a net in words, and how to get it: a fraction, or a logarithm (unit "x"); None where unknown."""

    words: str
    value: Callable[[TrainedNet], float | None]
    unit: Literal["points", "x"] = "points"


@dataclass(frozen=True)
class Contrast:
    """A difference of two variants, and the spread that it was tested with: None for nets not trained alike, or few."""

    estimate: Estimate
    shared: SharedSpread | None


def contrast_errors(results: Results, worse: ExperimentResults, better: ExperimentResults, k: int = 1) -> Contrast:
    """error(worse) - error(better), all seeds of both, ten crops, on test, or on val where test is withheld."""
    split = worse.splits[-1]
    quantity = Quantity(f"top-{k} error on {split}, ten crops", partial(error_of, split=split, k=k))
    shared = find_spread(results, quantity, worse, better)
    more, fewer = (wrong_of(each, split, "ten_crop", k) for each in (worse, better))
    return Contrast(estimate_contrast(more, fewer, spread_of(shared)), shared)


def contrast_gaps(results: Results, worse: ExperimentResults, better: ExperimentResults) -> Contrast:
    """The gap between val and training error of `worse` minus that of `better`, all seeds of both, centre crop."""
    shared = find_spread(results, Quantity("gap between val and training error", gap_of), worse, better)
    wide, narrow = ([(each.val, each.train) for each in answers_of(side)] for side in (worse, better))
    return Contrast(estimate_gap_contrast(wide, narrow, spread_of(shared)), shared)


def contrast_training_errors(results: Results, worse: ExperimentResults, better: ExperimentResults) -> Contrast:
    """The training error of `worse` minus that of `better`, evaluation mode, centre crop, all seeds of both."""
    shared = find_spread(results, Quantity("training error", training_error_of), worse, better)
    more, fewer = ([each.train for each in answers_of(side)] for side in (worse, better))
    return Contrast(estimate_contrast(more, fewer, spread_of(shared)), shared)


def contrast_values(
    results: Results, quantity: Quantity, worse: ExperimentResults, better: ExperimentResults
) -> Contrast:
    """The mean of a quantity that all their nets have, of `worse` minus that of `better`, over seeds alone."""
    shared = find_spread(results, quantity, worse, better)
    high, low = (values_of(each.nets, quantity) for each in (worse, better))
    return Contrast(estimate_contrast_of_values(high, low, spread_of(shared)), shared)


def answers_of(experiment: ExperimentResults) -> list[Answers]:
    """The answers of an experiment's nets; raises Unmeasurable for a run that keeps none."""
    found = []
    for net in experiment.nets:
        if net.answers is None:
            raise Unmeasurable(f"{net.run_folder} has no answers.npz; train this net anew")
        found.append(net.answers)
    return found


def find_spread(results: Results, quantity: Quantity, *compared: ExperimentResults) -> SharedSpread | None:
    """The spread of all nets that were trained like those compared; None where these were not trained alike, or where
    one has too few seeds for a test over seeds."""
    ways = {setup_of(net) for each in compared for net in each.nets}
    if len(ways) != 1 or None in ways or min(len(each.nets) for each in compared) < MANY_SEEDS:
        return None
    alike = {each.key: [net for net in each.nets if setup_of(net) in ways] for each in results.on(compared[0].dataset)}
    groups = {key: values_of(nets, quantity) for key, nets in alike.items()}
    return SharedSpread(quantity.words, quantity.unit, pool_spread(groups))


def spread_of(shared: SharedSpread | None) -> Spread | None:
    return None if shared is None else shared.spread


def values_of(nets: Sequence[TrainedNet], quantity: Quantity) -> list[float]:
    """The quantity of those nets that have it."""
    values = (quantity.value(net) for net in nets)
    return [value for value in values if value is not None]


def setup_of(net: TrainedNet) -> Setup | None:
    """What nets trained alike have in common: data, recipe, kind of net, schedule and batch size.

    What else differs is the variant's own. None for ensembles, baselines and nets that begin with another's layers.
    """
    record = net.training
    if record.get("kind") != "training" or record.get("starts_from") is not None:
        return None
    settings = net.settings
    kind, batch_size = settings.get("net", {}).get("kind"), settings.get("training", {}).get("batch_size")
    return (record["dataset"]["digest"], record["recipe"], record["schedule"], kind, batch_size)


def error_of(net: TrainedNet, split: str, k: int) -> float:
    return float(net.predictions[split]["errors"]["ten_crop"][f"top{k}"])


def gap_of(net: TrainedNet) -> float | None:
    answers = net.answers
    return None if answers is None else float(answers.val.mean() - answers.train.mean())


def training_error_of(net: TrainedNet) -> float | None:
    answers = net.answers
    return None if answers is None else float(answers.train.mean())


def describe_spread(shared: SharedSpread) -> str:
    """The spread as the ledger's foot states it, with what Bartlett's test says of one for all variants."""
    found = shared.spread
    if not found.groups:
        return f"{shared.quantity}: no variant's seeds differ"
    deviation = f"a factor of {math.exp(found.deviation):.2f}"
    if shared.unit == "points":
        deviation = f"{100 * found.deviation:.2f} points"
    test = "Welch's tests instead: Bartlett's" if not found.pooled else "Bartlett's"
    return (
        f"{shared.quantity}: standard deviation {deviation}, {found.freedom} degrees of freedom, {found.groups} "
        f"variant{'s' * (found.groups > 1)}; {test} p is {found.bartlett_p:.2g}"
    )
