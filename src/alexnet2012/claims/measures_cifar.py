"""The claims about four-layer nets on CIFAR-10: how fast they learn (§3.1, figure 1), response normalisation (§3.3)."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from alexnet2012 import paper
from alexnet2012.claims.contrasts import Quantity, contrast_errors, contrast_values
from alexnet2012.claims.measurement import (
    Measurement,
    Scope,
    Sign,
    Unmeasurable,
    conditions,
    nets_of,
    scope_of,
    shared_seeds,
    sign_of_ratios,
    take_experiments,
)
from alexnet2012.evaluation.statistics import MANY_SEEDS
from alexnet2012.reporting.format import estimate, in_brackets, interval, list_ratios, list_seeds
from alexnet2012.reporting.results import ExperimentResults, Results
from alexnet2012.reporting.trained_nets import TrainedNet, count_learned

CIFAR10 = "cifar10"
UPDATE_RULE = {"training.batch_size", "training.momentum"}  # what the variants take from the configuration's base
WITHOUT_LRN, WITH_LRN, SHIPPED = "cifar-13pct", "cifar-13pct-lrn", "cifar-11pct"


def measure_relu_speed(claim: paper.Claim, results: Results, dataset: str) -> Measurement:
    """C11: how many times as many epochs tanh takes to the target training error, by geometric means over seeds.

    Three seeds or more: a test of the logarithms. Fewer: the ratios of the seeds that both have. Where one of the two
    never came to the target, the epochs it had make the ratio a bound, no test applies, and the sign is at most
    indicative.
    """
    relu, tanh = take_experiments(results, dataset, *claim.variants)
    check_not_diverged([*relu.nets, *tanh.nets])
    missed = {
        name: [seed for seed, net in zip(each.seeds, each.nets, strict=True) if target(net)["epochs"] is None]
        for name, each in (("ReLU", relu), ("tanh", tanh))
    }
    words = conditions([tanh, relu], f"epochs to {goal(relu.nets[0])}, tanh over ReLU")
    found = Measurement(
        beside=describe_speeds(relu.nets, tanh.nets),
        conditions="; ".join([words, *describe_short_searches([*relu.nets, *tanh.nets])]),
        unit="x",
        scope=four_layer_scope(results, [tanh, relu], ("here", "published")),
    )
    if not any(missed.values()) and min(len(relu.nets), len(tanh.nets)) >= MANY_SEEDS:
        epochs = Quantity(f"epochs to {goal(relu.nets[0])}", log_epochs, "x")
        contrast = contrast_values(results, epochs, tanh, relu)
        return replace(found, top1=contrast.estimate, shared=contrast.shared)
    return measure_ratios(found, relu, tanh, missed)


def measure_ratios(
    found: Measurement, relu: ExperimentResults, tanh: ExperimentResults, missed: dict[str, list[int]]
) -> Measurement:
    """C11 without a test: the ratios of the seeds that both have, or bounds where one never came to the target."""
    seeds = shared_seeds(relu, tanh)
    relus, tanhs = nets_of(relu, seeds), nets_of(tanh, seeds)
    if all(missed.values()):
        raise Unmeasurable(
            f"neither ReLU nor tanh reached {goal(relus[0])} with every seed, so that there is no ratio; give them "
            "more epochs or other learning rates"
        )
    ratios = [epochs_or_bound(slow) / epochs_or_bound(fast) for fast, slow in zip(relus, tanhs, strict=True)]
    for name, without in missed.items():
        if without:
            words = f"no test: {name} never reached it with seed{'s' if len(without) > 1 else ''} {list_seeds(without)}"
            bound = f"at least {min(ratios):.2f}x" if name == "tanh" else f"at most {max(ratios):.2f}x"
            return replace(
                found,
                text=f"{bound} ({list_ratios(ratios, seeds)})",
                conditions=f"{found.conditions}; {words}",
                scope=replace(found.scope, few=True),
                sign=sign_of_bounds(ratios, name),
            )
    words = f"no test of fewer than {MANY_SEEDS} seeds"
    text = list_ratios(ratios, seeds)
    return replace(found, text=text, conditions=f"{found.conditions}; {words}", sign=sign_of_ratios(ratios))


def measure_normalisation(claim: paper.Claim, results: Results, dataset: str) -> Measurement:
    """C12: the 13 % net minus the same with response normalisation added, ten crops; the pair as shipped beside it."""
    without, normalised = take_experiments(results, dataset, WITHOUT_LRN, WITH_LRN)
    top1, top5 = (contrast_errors(results, without, normalised, k) for k in (1, 5))
    shipped, best = compare_shipped(results, dataset, without)
    errors = [name_error(without, paper.CIFAR10_WITHOUT_LRN.top1), name_error(normalised), *best]
    return Measurement(
        top1=top1.estimate,
        top5=top5.estimate,
        beside=f"{shipped}; errors {', '.join(errors)}",
        conditions=conditions(
            [without, normalised], f"{without.splits[-1]}, ten crops, {WITHOUT_LRN} minus {WITH_LRN}"
        ),
        scope=four_layer_scope(results, [without, normalised], ("published",)),
        shared=top1.shared,
    )


def compare_shipped(results: Results, dataset: str, without: ExperimentResults) -> tuple[str, list[str]]:
    """The pair as its author shipped it, which differs in more than the normalisation: in words, and 11pct's error."""
    try:
        (best,) = take_experiments(results, dataset, SHIPPED)
        found = contrast_errors(results, without, best).estimate
    except Unmeasurable as lack:
        return f"the pair as shipped is not measured: {lack}", []
    words = f"the pair as shipped ({WITHOUT_LRN} minus {SHIPPED}) {interval(found)} points"
    return words, [name_error(best, paper.CIFAR10_WITH_LRN.top1)]


def four_layer_scope(results: Results, experiments: list[ExperimentResults], lengths: tuple[str, ...]) -> Scope:
    """Sizes compare on the whole of CIFAR-10 and at these lengths of training: the nets are as they were published."""
    sized = all(
        each.kind == CIFAR10
        and not each.part
        and each.length in lengths
        and results.recipes(each) == {"paper"}
        and not UPDATE_RULE.intersection(each.departures)
        for each in experiments
    )
    return replace(scope_of(results, experiments), net="four-layer nets", sized=sized)


def target(net: TrainedNet) -> dict[str, Any]:
    """What the record says of the training error that the run was to reach."""
    found: dict[str, Any] | None = net.training.get("target")
    if found is None:
        raise Unmeasurable(f"{net.run_folder} was trained to no target; give its schedule kind: target")
    return found


def goal(net: TrainedNet) -> str:
    return f"{100 * target(net)['train_error']:.0f} % training error"


def check_not_diverged(nets: list[TrainedNet]) -> None:
    for net in nets:
        if net.training.get("diverged"):
            raise Unmeasurable(
                f"{net.training['variant']} seed {net.seed} diverged at learning rate "
                f"{net.training['learning_rate']:g}; leave that rate out of its search"
            )


def epochs_or_bound(net: TrainedNet) -> float:
    """The epochs to the target, or all that the net was given in vain."""
    reached = target(net)["epochs"]
    return float(net.training["epochs"] if reached is None else reached)


def log_epochs(net: TrainedNet) -> float | None:
    """The logarithm of the epochs to the target; None for a net that had none, or never came to it."""
    epochs = net.training.get("target", {}).get("epochs")
    return None if epochs is None else math.log(epochs)


def sign_of_bounds(ratios: list[float], missed: str) -> Sign:
    """Lower bounds, where tanh missed the target, say nothing when they are below 1; nor upper ones above it."""
    sign = sign_of_ratios(ratios)
    return sign if sign == ("supported" if missed == "tanh" else "contradicted") else "inconclusive"


def describe_short_searches(nets: Sequence[TrainedNet]) -> list[str]:
    """Of each variant whose search ended before any of its rates came to the target, that it did."""
    found = {}
    for net in nets:
        tried = net.training.get("search", ())
        if tried and tried[0]["target_epochs"] is None:
            search = net.settings.get("training", {}).get("learning_rate_search") or {}
            found[net.training["variant"]] = search.get("epochs")
    return [
        f"the learning rate of {variant} was chosen by the training error "
        f"{f'after {epochs} epochs' if epochs else 'at the end of short runs'}, before the target was reached"
        for variant, epochs in found.items()
    ]


def describe_speeds(relus: Sequence[TrainedNet], tanhs: Sequence[TrainedNet]) -> str:
    """The epochs of each, the ratio in seconds, and the learning rates that were chosen for each."""
    parts = []
    for name, nets in (("ReLU", relus), ("tanh", tanhs)):
        reached = [target(net)["epochs"] for net in nets]
        epochs = f"{np.mean([epochs_or_bound(net) for net in nets]):.1f} epochs"
        parts.append(f"{name} {'over ' if None in reached else ''}{epochs} at {describe_rates(nets)}")
    seconds = [[target(net)["seconds"] for net in nets] for nets in (relus, tanhs)]
    if all(each for side in seconds for each in side):
        fast, slow = (np.mean(np.log(side)) for side in seconds)
        parts.append(f"{math.exp(slow - fast):.2f}x in seconds")
    return "; ".join(parts)


def describe_rates(nets: Sequence[TrainedNet]) -> str:
    """The learning rates of the nets, and those they were chosen from; one at the edge may not be the best."""
    chosen = dict.fromkeys(net.training["learning_rate"] for net in nets)
    text = f"learning rate {', '.join(f'{rate:g}' for rate in chosen)}"
    tried = sorted({each["learning_rate"] for net in nets for each in net.training.get("search", ())})
    if not tried:
        return text
    edge = ", the edge of what was tried" if {tried[0], tried[-1]} & set(chosen) else ""
    return f"{text} (best of {', '.join(f'{rate:g}' for rate in tried)}{edge})"


def name_error(experiment: ExperimentResults, stated: float | None = None) -> str:
    """A net's test error with its interval, and the paper's, a fraction."""
    found = estimate(experiment, experiment.splits[-1], 1, "ten_crop")
    papers = "" if stated is None else f" (paper {100 * stated:.0f} %)"
    return f"{experiment.key} {interval(found)} %{papers}{in_brackets(count_learned(experiment.nets))}"
