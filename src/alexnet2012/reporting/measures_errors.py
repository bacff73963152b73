"""Claims about errors on val and test, from the stored probabilities: numbers, and differences between two nets."""

from dataclasses import replace

from alexnet2012 import paper
from alexnet2012.evaluation.statistics import Estimate, estimate_difference, estimate_error, estimate_gap
from alexnet2012.reporting.measures_training import overfits_less
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

WORDS = {"ten_crop": "ten crops", "centre": "centre crop"}


def measure_error(claim: paper.Claim, results: Results, dataset: str, key: str, split: str, crops: str) -> Measurement:
    """C01, C02, C13, C14: the error of one variant or ensemble."""
    (found,) = take(results, dataset, key)
    check_labels(found, split)
    top1, top5 = (estimate_error([each.wrong(split, crops, k) for each in found.nets]) for k in (1, 5))
    words = conditions([found], f"{split}, {WORDS[crops]}")
    return Measurement(top1, top5, conditions=words, unit="%", scope=scope_of(results, [found]))


def measure_ten_crops(claim: paper.Claim, results: Results, dataset: str) -> Measurement:
    """C03: what ten crops gain over the centre crop, net by net; on test, or on val where test is withheld."""
    (net,) = take(results, dataset, "cnn")
    split = net.splits[-1]
    top1, top5 = (
        estimate_difference(
            [each.wrong(split, "centre", k) for each in net.nets],
            [each.wrong(split, "ten_crop", k) for each in net.nets],
        )
        for k in (1, 5)
    )
    words = conditions([net], f"{split}, centre minus ten crops")
    return Measurement(top1, top5, conditions=words, scope=scope_of(results, [net]))


def measure_removal(claim: paper.Claim, results: Results, dataset: str) -> Measurement:
    """C04, C05, C07: the error of the net without what the claim praises minus the base net's; split as for C03."""
    base, without = claim.variants
    return measure_excess(results, dataset, base, without)


def measure_excess(results: Results, dataset: str, base_key: str, other_key: str) -> Measurement:
    """By how much one variant errs more than another."""
    base, without = take(results, dataset, base_key, other_key)
    seeds = shared_seeds(base, without)
    top1, top5 = (compare(without, base, k, seeds) for k in (1, 5))
    words = conditions([without, base], f"{without.splits[-1]}, ten crops, {without.key} minus {base.key}", seeds)
    return Measurement(top1, top5, conditions=words, scope=scope_of(results, [without, base], seeds))


def measure_pooling(claim: paper.Claim, results: Results, dataset: str) -> Measurement:
    """C06: as `measure_removal`; "slightly more difficult to overfit" stands beside."""
    base, without = take(results, dataset, *claim.variants)
    return replace(measure_removal(claim, results, dataset), beside=overfits_less(without, base))


def measure_every_removal(claim: paper.Claim, results: Results, dataset: str) -> Measurement:
    """C10, C18: each of several nets must err more than the base net, by an intersection-union test.

    What is reported is the smallest of the mean differences with its interval, and the largest p of all. Where a
    difference is negative, p is the smallest of the negative ones' times the number of nets (Bonferroni): the claim is
    contradicted if any of them is significantly negative.
    """
    base, *others = take(results, dataset, *claim.variants)
    seeds = shared_seeds(base, *others)
    found = {each.key: compare(each, base, 1, seeds) for each in others}
    smallest = min(found.values(), key=lambda each: each.value)
    negative = [each.p for each in found.values() if each.value < 0]
    p = min(1.0, len(found) * min(negative)) if negative else max(each.p for each in found.values())
    listed = ", ".join(f"{key} {interval(each)}" for key, each in found.items())
    what = f"{base.splits[-1]}, ten crops, the smallest of {len(found)} differences from {base.key}, the largest p"
    return Measurement(
        replace(smallest, p=p),
        beside=f"all, in points: {listed}",
        conditions=conditions([base, *others], what, seeds),
        scope=scope_of(results, [base, *others], seeds),
    )


def measure_ensemble(results: Results, dataset: str) -> Measurement:
    """§6, table 2: the mean error of one net minus the error of the five nets' average, on val; no claim's number."""
    one, five = take(results, dataset, "cnn", "5-cnns")
    differences = []
    for k in (1, 5):
        singles = sum(net.wrong("val", "ten_crop", k).astype(float) for net in one.nets) / len(one.nets)
        differences.append(estimate_difference([singles], [five.nets[0].wrong("val", "ten_crop", k)]))
    words = conditions([one], "val, ten crops, mean of cnn minus 5-cnns")
    return Measurement(*differences, conditions=words, scope=scope_of(results, [one, five]))


def measure_val_against_test(claim: paper.Claim, results: Results, dataset: str) -> Measurement:
    """C26: validation minus test error, ten crops; whether it is small is no question to a test of zero, so no p."""
    (net,) = take(results, dataset, "cnn")
    check_labels(net, "test")
    top1, top5 = (
        replace(
            estimate_gap(*([each.wrong(split, "ten_crop", k) for each in net.nets] for split in ("val", "test"))),
            p=None,
        )
        for k in (1, 5)
    )
    words = conditions([net], "val minus test, ten crops")
    return Measurement(top1, top5, conditions=words, scope=scope_of(results, [net]))


def compare(worse: Experiment, better: Experiment, k: int, seeds: list[int]) -> Estimate:
    """error(worse) - error(better) for these seeds, ten crops, on test, or on val where test is withheld."""
    split = worse.splits[-1]
    answers = (
        [net.wrong(split, "ten_crop", k) for net in nets_of(experiment, seeds)] for experiment in (worse, better)
    )
    return estimate_difference(*answers)


def check_labels(experiment: Experiment, split: str) -> None:
    if split not in experiment.splits:
        raise Unmeasurable(f"{paper.ILSVRC2012}'s test labels are withheld")
