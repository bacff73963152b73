"""Claims about training: overfitting and training errors (§4, §5), from each net's answers after its last epoch, centre
crop; and the time that the net takes on two GPUs (§3.2)."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd

from alexnet2012 import paper
from alexnet2012.claims.contrasts import answers_of, contrast_gaps, contrast_training_errors
from alexnet2012.claims.measurement import (
    Measurement,
    Unmeasurable,
    measured,
    nets_of,
    shared_seeds,
    sign_of_ratios,
    take_experiments,
)
from alexnet2012.evaluation.statistics import MANY_SEEDS, estimate_over_seeds
from alexnet2012.reporting.format import interval, list_ratios
from alexnet2012.reporting.results import ExperimentResults, Results
from alexnet2012.reporting.trained_nets import Answers, TrainedNet

STRONG_DECAY = "strong-decay"
# Net 145 on ILSVRC-2010: 23 epochs of 10,009 steps at the first learning rate, 0.01 * 0.0005 * 23 * 10,009 / (1 - 0.9).
PAPERS_TIME_CONSTANTS = 11.5


def measure_overfitting(claim: paper.Claim, results: Results, dataset: str) -> Measurement:
    """C09: the gap between val and training error of the net without the remedy minus the base net's gap."""
    base, without = take_experiments(results, dataset, *claim.variants)
    found = contrast_gaps(results, without, base)
    gaps = [f"{100 * mean_gap(answers_of(each)):z.2f} ({each.key})" for each in (without, base)]
    what = f"val minus training error, centre crop, {without.key} minus {base.key}"
    beside = f"gaps {' and '.join(gaps)} points"
    return measured(results, [without, base], what, found.estimate, beside=beside, shared=found.shared)


def measure_dropout(claim: paper.Claim, results: Results, dataset: str) -> Measurement:
    """C08: as `measure_overfitting`; how many times as long dropout takes to one training loss stands beside."""
    found = measure_overfitting(claim, results, dataset)
    base, without = take_experiments(results, dataset, *claim.variants)
    return replace(found, beside=f"{found.beside}; {compare_convergence(base, without)}")


def measure_training_error(claim: paper.Claim, results: Results, dataset: str) -> Measurement:
    """C19: the training error, evaluation mode, of the net without weight decay minus that of the net with it.

    That is the net of a decay nearer to the paper's in time constants, where there is one; else the base net.
    """
    base, without = take_experiments(results, dataset, *claim.variants)
    if results.find(dataset, STRONG_DECAY) is not None:
        (base,) = take_experiments(results, dataset, STRONG_DECAY)
    found = contrast_training_errors(results, without, base)
    what = f"training error, centre crop, {without.key} minus {base.key}"
    made = measured(results, [without, base], what, found.estimate, shared=found.shared)
    decays = describe_decays(without, base)
    return replace(made, conditions=f"{made.conditions}; {decays}") if decays else made


def overfits_less(results: Results, without: ExperimentResults, base: ExperimentResults) -> str:
    """How much wider the gap of the first net is, in words; empty where runs keep no answers."""
    try:
        found = contrast_gaps(results, without, base).estimate
    except Unmeasurable:
        return ""
    return f"gap between val and training error, {without.key} minus {base.key}: {interval(found)} points"


def mean_gap(answers: list[Answers]) -> float:
    return float(np.mean([each.val.mean() - each.train.mean() for each in answers]))


def compare_convergence(base: ExperimentResults, without: ExperimentResults) -> str:
    """C08's second half: how many times as many epochs the base net takes to a training loss that both nets reach.

    For each seed that both have, it is the larger of their losses at the end of the first learning rate; the geometric
    mean of the ratios, from three seeds on with Student's interval.
    """
    seeds = shared_seeds(base, without)
    pairs = zip(nets_of(base, seeds), nets_of(without, seeds), strict=True)
    epochs = [epochs_to_one_loss(history_of(slow), history_of(fast)) for slow, fast in pairs]
    logarithms = [math.log(slow / fast) for slow, fast in epochs]
    ratio = f"{math.exp(np.mean(logarithms)):.2f}x"
    if len(seeds) >= MANY_SEEDS:
        found = estimate_over_seeds(logarithms)
        ratio += f" [{math.exp(found.low):.2f}, {math.exp(found.high):.2f}]"
    slow, fast = np.mean(epochs, axis=0)
    return (
        f"to the larger of their training losses after the first learning rate {base.key} takes {slow:.1f} epochs, "
        f"{without.key} {fast:.1f}: {ratio}"
    )


def epochs_to_one_loss(first: pd.DataFrame, second: pd.DataFrame) -> tuple[float, float]:
    """The epochs that two nets take to the larger of their losses after the last epoch at the first learning rate."""
    losses = [each["train_loss_evaluation_mode"].to_numpy() for each in (first, second)]
    loss = max(each[epochs_at_first_rate(history) - 1] for each, history in zip(losses, (first, second), strict=True))
    return epochs_to_loss(losses[0], loss), epochs_to_loss(losses[1], loss)


def epochs_at_first_rate(history: pd.DataFrame) -> int:
    """The number of epochs before the learning rate first falls; all of them if it never does."""
    falls = np.flatnonzero(np.diff(history["learning_rate"].to_numpy()) < 0)
    return int(falls[0]) + 1 if len(falls) else len(history)


def epochs_to_loss(losses: np.ndarray, loss: float) -> float:
    """The epochs until losses (one after each epoch) first reach `loss`, on lines between them; at least 1."""
    index = int(np.argmax(losses <= loss))
    if index == 0:
        return 1.0
    return float(index + (losses[index - 1] - loss) / (losses[index - 1] - losses[index]))


def describe_decays(without: ExperimentResults, base: ExperimentResults) -> str:
    """The time constants of weight decay at the first learning rate, in both nets and in the paper's, if known."""
    found = {each.key: time_constants(each.nets[0]) for each in (without, base)}
    if None in found.values():
        return ""
    listed = ", ".join(f"{key} {value:.2g}" for key, value in found.items())
    return f"time constants of weight decay at the first learning rate: {listed}, the paper's {PAPERS_TIME_CONSTANTS:g}"


def time_constants(net: TrainedNet) -> float | None:
    """learning rate * weight decay * steps at that rate / (1 - momentum); None for a run that keeps no settings."""
    settings, history, record = net.settings.get("training"), net.history, net.training
    if not settings or history is None:
        return None
    steps = record["steps"] / record["epochs"] * epochs_at_first_rate(history)
    return float(record["learning_rate"] * settings["weight_decay"] * steps / (1 - settings["momentum"]))


def history_of(net: TrainedNet) -> pd.DataFrame:
    """A row per epoch; raises Unmeasurable for a run that keeps none."""
    history = net.history
    if history is None:
        raise Unmeasurable(f"{net.run_folder} has no history.parquet; train this net anew")
    return history


def measure_two_gpus(claim: paper.Claim, results: Results, dataset: str) -> Measurement:
    """C20: the time for an image of the one-GPU net, in times of the two-GPU net; the geometric mean over seeds.

    Three seeds or more: Student's t of the logarithms; fewer: the ratios alone. Raises Unmeasurable off GPUs: what two
    CPU processes take says nothing of them.
    """
    experiments = {each.key: each for each in results.on(dataset)}
    missing = [key for key in claim.variants if key not in experiments]
    if missing:
        raise Unmeasurable(f"needs GPUs, and on them an experiment of {', '.join(missing)}")
    one, two = (experiments[key] for key in claim.variants)
    seeds = shared_seeds(one, two)
    ones, twos = nets_of(one, seeds), nets_of(two, seeds)
    speeds = f"{list_speeds(twos)} images/s as two processes, {list_speeds(ones)} of {one.key}"
    if any(net.training.get("device") != "cuda" for net in (*ones, *twos)):
        raise Unmeasurable(f"needs GPUs; on CPUs {speeds}")
    if any(net.training.get("processes") != 2 for net in twos):
        raise Unmeasurable(f"{two.key} was trained on one GPU; run it with --resources gpu=2")
    ratios = [images_per_second(fast) / images_per_second(slow) for fast, slow in zip(twos, ones, strict=True)]
    what = f"time for an image, {one.key} over {two.key}"
    found = measured(results, [one, two], what, seeds=seeds, beside=speeds, unit="x")
    if len(seeds) >= MANY_SEEDS:
        return replace(found, top1=estimate_over_seeds([math.log(each) for each in ratios]))
    words = f"{found.conditions}; no test of fewer than {MANY_SEEDS} seeds"
    return replace(found, text=list_ratios(ratios, seeds), conditions=words, sign=sign_of_ratios(ratios))


def images_per_second(net: TrainedNet) -> float:
    """Of training alone, the median over epochs."""
    return float(history_of(net)["images_per_second"].median())


def list_speeds(nets: list[TrainedNet]) -> str:
    return ", ".join(f"{images_per_second(net):,.0f}" for net in nets)
