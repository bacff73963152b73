"""Claims about overfitting and training errors, from each net's answers after its last epoch, centre crop (§4, §5)."""

from dataclasses import replace

import numpy as np
import pandas as pd

from alexnet2012 import paper
from alexnet2012.evaluation.statistics import Estimate, estimate_difference, estimate_gap
from alexnet2012.reporting.net import Answers, Net
from alexnet2012.reporting.outcomes import (
    Measurement,
    Unmeasurable,
    conditions,
    interval,
    nets_of,
    scope_of,
    shared_seeds,
    take,
)
from alexnet2012.reporting.results import Experiment, Results

CONVERGED = 1.01  # of the final training loss


def measure_overfitting(claim: paper.Claim, results: Results, dataset: str) -> Measurement:
    """C09: the gap between val and training error of the net without the remedy minus the base net's gap."""
    base, without = take(results, dataset, *claim.variants)
    seeds = shared_seeds(base, without)
    answers, base_answers = answers_of(without, seeds), answers_of(base, seeds)
    beside = (
        f"gaps {100 * mean_gap(answers):.2f} ({without.key}) and {100 * mean_gap(base_answers):.2f} ({base.key}) points"
    )
    return Measurement(
        difference_of_gaps(answers, base_answers),
        beside=beside,
        conditions=conditions(
            [without, base], f"val minus training error, centre crop, {without.key} minus {base.key}", seeds
        ),
        scope=scope_of(results, [without, base], seeds),
    )


def measure_dropout(claim: paper.Claim, results: Results, dataset: str) -> Measurement:
    """C08: as `measure_overfitting`; how many times as long dropout takes to converge stands beside."""
    found = measure_overfitting(claim, results, dataset)
    base, without = take(results, dataset, *claim.variants)
    convergence = compare_convergence(base, without, shared_seeds(base, without))
    return replace(found, beside=f"{found.beside}; {convergence}")


def measure_training_error(claim: paper.Claim, results: Results, dataset: str) -> Measurement:
    """C19: the training error, evaluation mode, of the net without weight decay minus the base net's."""
    base, without = take(results, dataset, *claim.variants)
    seeds = shared_seeds(base, without)
    found = estimate_difference(*([each.train for each in answers_of(net, seeds)] for net in (without, base)))
    return Measurement(
        found,
        conditions=conditions([without, base], f"training error, centre crop, {without.key} minus {base.key}", seeds),
        scope=scope_of(results, [without, base], seeds),
    )


def overfits_less(without: Experiment, base: Experiment) -> str:
    """How much wider the gap of the first net is, in words; empty where runs keep no answers."""
    seeds = shared_seeds(base, without)
    try:
        found = difference_of_gaps(answers_of(without, seeds), answers_of(base, seeds))
    except Unmeasurable:
        return ""
    return f"the gap between val and training error of {without.key} is wider by {interval(found)} points"


def answers_of(experiment: Experiment, seeds: list[int]) -> list[Answers]:
    """The answers of an experiment's nets; raises Unmeasurable for a run that keeps none."""
    nets = nets_of(experiment, seeds)
    answers = [net.answers() for net in nets]
    for net, found in zip(nets, answers, strict=True):
        if found is None:
            raise Unmeasurable(f"{net.run_folder} has no answers.npz; train this net anew")
    return answers


def difference_of_gaps(worse: list[Answers], better: list[Answers]) -> Estimate:
    """The gap of `worse` minus that of `better`, pairs sharing their seed: per image, answers minus answers."""
    return estimate_gap(
        *(
            [getattr(a, split).astype(float) - getattr(b, split) for a, b in zip(worse, better, strict=True)]
            for split in ("val", "train")
        )
    )


def mean_gap(answers: list[Answers]) -> float:
    return float(np.mean([each.val.mean() - each.train.mean() for each in answers]))


def compare_convergence(base: Experiment, without: Experiment, seeds: list[int]) -> str:
    """C08's second half: how many times as many epochs the base net takes to converge, mean over seeds."""
    base_epochs, epochs = (
        float(np.mean([epochs_to_converge(read_history(net)) for net in nets_of(each, seeds)]))
        for each in (base, without)
    )
    return (
        f"{base.key} converges in {base_epochs:.1f} epochs, {without.key} in {epochs:.1f}: {base_epochs / epochs:.1f}x"
    )


def epochs_to_converge(history: pd.DataFrame) -> int:
    """The first epoch whose training loss is within 1 % of the last one's."""
    loss = history["train_loss"].to_numpy()
    return int(history["epoch"].to_numpy()[np.argmax(loss <= CONVERGED * loss[-1])])


def read_history(net: Net) -> pd.DataFrame:
    history = net.history()
    if history is None:
        raise Unmeasurable(f"{net.run_folder} has no history.parquet; train this net anew")
    return history
