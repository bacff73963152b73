"""What was measured of a claim, or why nothing was; the nets that it takes; and the words for both."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from alexnet2012 import paper
from alexnet2012.evaluation.linear_model import Spread
from alexnet2012.evaluation.statistics import MANY_SEEDS, Estimate
from alexnet2012.reporting.format import interval, list_ranges, oppose, oppose_counts
from alexnet2012.reporting.results import ExperimentResults, Results, learned_of, members
from alexnet2012.reporting.trained_nets import TrainedNet

NOT_MEASURED = "not measured"

Sign = Literal["supported", "contradicted", "no effect", "inconclusive"]


@dataclass(frozen=True)
class Scope:
    """What a verdict holds for, in words; `few`: these nets alone; `sized`: data and recipe are the paper's.

    `nets`: how many were measured, averages of nets among them. `learned`: how many of them learned ("no-dropout: 1 of
    3 seeds learned"), empty where all did.
    """

    dataset: str
    net: str
    length: str
    sample: str
    few: bool
    sized: bool
    nets: int
    learned: str = ""

    @property
    def words(self) -> str:
        return ", ".join(each for each in (self.dataset, self.net, self.length, self.sample) if each)


@dataclass(frozen=True)
class SharedSpread:
    """The spread between seeds of a quantity, in words, over all variants of a dataset that were trained alike.

    It is in fractions, or in logarithms of a ratio (unit "x").
    """

    quantity: str
    unit: Literal["points", "x"]
    spread: Spread


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What was measured of a claim, and the conditions.

    `top1` and `top5` are errors (unit "%"), differences ("points") or the logarithm of a ratio ("x"); where there are
    none, `text` says it. `beside` is what is reported beside the declared test. That test is the one of `top1`, unless
    `p` stands for another, which looks in the claimed direction alone; `sign` is what a rule says where there is no
    test. `shared`: the spread that the test took from all variants. `chosen_from`: of how many differences `top1` is
    the smallest. `one_net`: the prediction interval of one more net.
    """

    scope: Scope
    top1: Estimate | None = None
    top5: Estimate | None = None
    text: str = ""
    beside: str = ""
    conditions: str = ""
    unit: Literal["%", "points", "x"] = "points"
    p: float | None = None
    sign: Sign = "inconclusive"
    shared: SharedSpread | None = None
    chosen_from: int = 1
    one_net: Estimate | None = None

    @property
    def tested_p(self) -> float | None:
        """The declared test's p; None where the claim is settled without one."""
        return self.top1.p if self.p is None and self.top1 is not None else self.p


@dataclass(frozen=True)
class Arithmetic:
    """What is computed of a claim from the paper's net alone, which holds everywhere."""

    text: str
    conditions: str
    sign: Sign


@dataclass(frozen=True)
class NotMeasured:
    """Why a claim has no measurement, and what to do about it; `short` stands in the verdict itself."""

    reason: str
    short: str = ""


Outcome = Measurement | Arithmetic | NotMeasured


class Unmeasurable(Exception):
    """Raised by a measure that lacks something; carries the outcome to report."""

    def __init__(self, reason: str, short: str = ""):
        super().__init__(reason)
        self.outcome = NotMeasured(reason, short)


def take_experiments(results: Results, dataset: str, *keys: str) -> list[ExperimentResults]:
    """The experiments of these variants or ensembles; raises Unmeasurable for one not run, or under-trained."""
    found = {each.key: each for each in results.on(dataset)}
    missing = [key for key in keys if key not in found]
    if missing:
        raise Unmeasurable(f"no experiment of {', '.join(missing)}; {remedy(results, dataset, missing)}")
    for key in keys:
        check_trained(results, found[key])
    return [found[key] for key in keys]


def remedy(results: Results, dataset: str, missing: list[str]) -> str:
    """What makes these experiments."""
    if {(dataset, key) for key in missing} <= {(each.dataset, each.key) for each in results.missing}:
        return f"{'it is' if len(missing) == 1 else 'they are'} not in yet"
    if any((dataset, key) in results.in_full for key in missing):
        return f"`snakemake full` runs {'it' if len(missing) == 1 else 'them'}"
    # What no table shows is in a configuration's section `claims`.
    shown = {row.key: row.section for row in (*paper.TABLE1, *paper.TABLE2, paper.FALL_2009)}
    sections = {shown.get(key) for key in missing}
    if "experiments" in sections:
        return "add it to the configuration's experiments"
    if "full" in sections:
        return f"add {'it' if len(missing) == 1 else 'them'} to the configuration's section full"
    return f"`snakemake claims` runs {'it' if len(missing) == 1 else 'them'}"


def check_trained(results: Results, experiment: ExperimentResults) -> None:
    """Raises Unmeasurable for a net, or an ensemble's member, that did not reach its last learning rate (§5)."""
    for net in members(results, experiment):
        record = net.training
        done, planned = record.get("drops_done", 0), record.get("drops_planned", 0)
        if done < planned:
            raise Unmeasurable(
                f"{record['variant']} seed {record['seed']} lowered its learning rate {done} of {planned} times within "
                f"{record['epochs']} epochs; give its schedule more epochs",
                short="under-trained",
            )


def shared_seeds(*experiments: ExperimentResults) -> list[int]:
    """The seeds that all experiments have; raises Unmeasurable for none."""
    seeds = sorted(set.intersection(*(set(experiment.seeds) for experiment in experiments)))
    if not seeds:
        names = " and ".join(experiment.key for experiment in experiments)
        raise Unmeasurable(f"{names} share no seed here; give them one in the configuration")
    return seeds


def nets_of(experiment: ExperimentResults, seeds: list[int]) -> list[TrainedNet]:
    """An experiment's nets in the order of `seeds`, so that those of two experiments are pairs."""
    by_seed = {net.seed: net for net in experiment.nets}
    return [by_seed[seed] for seed in seeds]


def wrong_of(experiment: ExperimentResults, split: str, crops: str, k: int) -> list[np.ndarray]:
    """Which images each of an experiment's nets gets wrong, bool (n,)."""
    return [net.wrong(split, crops, k) for net in experiment.nets]


def scope_of(results: Results, experiments: Iterable[ExperimentResults], seeds: list[int] | None = None) -> Scope:
    """What a verdict on `experiments` holds for, the base net last; with `seeds` for these seeds of each alone.

    Sizes compare where all of them are on a whole edition of ILSVRC, with the paper's net and recipe.
    """
    experiments = list(experiments)
    first = experiments[0]
    counts = [len(each.seeds if seeds is None else seeds) for each in experiments if each.seeds]
    sized = all(
        each.edition in (paper.ILSVRC2010, paper.ILSVRC2012) and results.recipes(each) == {"paper"}
        for each in experiments
    )
    return Scope(
        dataset=first.dataset,
        net="scaled net" if first.scaled else "the paper's net",
        length=length([net for each in experiments for net in members(results, each)]),
        sample=oppose_counts(counts) if counts else f"average of {len(first.members)}",
        few=not counts or min(counts) < MANY_SEEDS,
        sized=sized,
        nets=sum(len(each.nets if seeds is None else seeds) for each in experiments),
        learned=describe_learned(results, experiments, seeds),
    )


def measured(
    results: Results,
    experiments: list[ExperimentResults],
    what: str,
    top1: Estimate | None = None,
    top5: Estimate | None = None,
    seeds: list[int] | None = None,
    **more: Any,
) -> Measurement:
    """A measurement of `experiments`, the base net last, with the conditions and the scope of all of them."""
    scope, words = scope_of(results, experiments, seeds), conditions(experiments, what, seeds)
    return Measurement(top1=top1, top5=top5, conditions=words, scope=scope, **more)


def describe_learned(results: Results, experiments: Iterable[ExperimentResults], seeds: list[int] | None = None) -> str:
    """The experiments of which not every net (of these `seeds`) learned, with how many did; empty where all did."""
    found = {each.key: learned_of(results, each, seeds) for each in experiments}
    return "; ".join(f"{key}: {words}" for key, words in found.items() if words)


def conditions(experiments: Iterable[ExperimentResults], what: str, seeds: list[int] | None = None) -> str:
    """What a number holds for: dataset, split and crops, epochs and seeds, the base net's last; or `seeds` of each.

    Of an ensemble the number of its members stands in place of the last two.
    """
    experiments = list(experiments)
    first = experiments[0]
    if not first.seeds:
        return f"{first.dataset}; {what}; average of {len(first.members)}"
    epochs = length([net for each in experiments for net in each.nets if seeds is None or net.seed in seeds])
    sides = [each.seeds if seeds is None else seeds for each in experiments]
    plural = "s" if len({seed for side in sides for seed in side}) > 1 else ""
    words = oppose([list_ranges(side) for side in sides])
    return f"{first.dataset}; {what}; {epochs}; seed{plural} {words}"


def length(nets: list[TrainedNet]) -> str:
    """How long the nets were trained: "20 epochs", "4 to 7 epochs"."""
    epochs = sorted({net.training["epochs"] for net in nets if net.training})
    if not epochs:
        return ""
    return f"{' to '.join(str(each) for each in dict.fromkeys((epochs[0], epochs[-1])))} epochs"


def sign_of_ratios(ratios: list[float]) -> Sign:
    """Every seed's ratio must be on one side of 1."""
    if min(ratios) > 1:
        return "supported"
    return "contradicted" if max(ratios) < 1 else "inconclusive"


def describe_outcome(outcome: Outcome) -> list[str]:
    """A measurement and its conditions, or "not measured" and why."""
    if isinstance(outcome, NotMeasured):
        return [NOT_MEASURED, outcome.reason]
    if isinstance(outcome, Arithmetic):
        return [outcome.text, outcome.conditions]
    parts = [describe_values(outcome), outcome.beside]
    method = "" if outcome.top1 is None else outcome.top1.method
    one_net = "" if outcome.one_net is None else f"one more net: {interval_of(outcome.one_net, '%')}, 95 % prediction"
    details = [outcome.conditions, method, one_net, outcome.scope.learned]
    return ["; ".join(part for part in each if part) for each in (parts, details)]


def describe_values(outcome: Measurement) -> str:
    """Values with their intervals, "1.20 [0.80, 1.60] / 0.30 [0.10, 0.50] points", "6.1x [5.0, 7.4]", or the text."""
    if outcome.top1 is None:
        return outcome.text
    if outcome.unit == "x":
        value, low, high = (math.exp(each) for each in (outcome.top1.value, outcome.top1.low, outcome.top1.high))
        return f"{value:.2f}x [{low:.2f}, {high:.2f}]"
    pair = [each for each in (outcome.top1, outcome.top5) if each is not None]
    return f"{' / '.join(interval(each) for each in pair)} {outcome.unit}"


def describe_interval(outcome: Outcome) -> str:
    """The declared test's interval with its unit, "[0.80, 1.60] points"; empty where there is none."""
    if not isinstance(outcome, Measurement) or outcome.top1 is None:
        return ""
    return interval_of(outcome.top1, outcome.unit)


def interval_of(found: Estimate, unit: str) -> str:
    if unit == "x":
        return f"[{math.exp(found.low):.2f}, {math.exp(found.high):.2f}]x"
    return f"[{100 * found.low:z.2f}, {100 * found.high:z.2f}] {unit}"
