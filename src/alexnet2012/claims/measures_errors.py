"""Claims about errors on val and test, from the stored probabilities: numbers, and differences between two nets."""

from dataclasses import replace

from alexnet2012 import paper
from alexnet2012.claims.contrasts import Contrast, contrast_errors
from alexnet2012.claims.measurement import (
    Measurement,
    Unmeasurable,
    conditions,
    measured,
    scope_of,
    take_experiments,
    wrong_of,
)
from alexnet2012.claims.measures_training import overfits_less
from alexnet2012.config.nets import NetConfig
from alexnet2012.evaluation.statistics import (
    MANY_SEEDS,
    estimate_contrast,
    estimate_difference,
    estimate_gap,
    predict_one,
)
from alexnet2012.model.geometry import describe
from alexnet2012.reporting.format import CROP_WORDS, estimate, interval
from alexnet2012.reporting.results import ExperimentResults, Results


def measure_error(claim: paper.Claim, results: Results, dataset: str, key: str, split: str, crops: str) -> Measurement:
    """C01, C02, C13, C14: the error of one variant or ensemble."""
    (found,) = take_experiments(results, dataset, key)
    check_labels(found, split)
    top1, top5 = (estimate(found, split, k, crops) for k in (1, 5))
    errors = [float(wrong.mean()) for wrong in wrong_of(found, split, crops, 1)]
    one_net = predict_one(errors) if len(errors) >= MANY_SEEDS else None
    return measured(results, [found], f"{split}, {CROP_WORDS[crops]}", top1, top5, unit="%", one_net=one_net)


def measure_ten_crops(claim: paper.Claim, results: Results, dataset: str) -> Measurement:
    """C03: what ten crops gain over the centre crop, net by net; on test, or on val where test is withheld."""
    (net,) = take_experiments(results, dataset, "cnn")
    split = net.splits[-1]
    top1, top5 = (
        estimate_difference(wrong_of(net, split, "centre", k), wrong_of(net, split, "ten_crop", k)) for k in (1, 5)
    )
    return measured(results, [net], f"{split}, centre minus ten crops", top1, top5)


def measure_removal(claim: paper.Claim, results: Results, dataset: str) -> Measurement:
    """C04, C05, C07: the error of the net without what the claim praises minus the base net's; split as for C03."""
    base, without = claim.variants
    return measure_excess(results, dataset, base, without)


def measure_excess(results: Results, dataset: str, base_key: str, other_key: str) -> Measurement:
    """By how much one variant errs more than another."""
    base, without = take_experiments(results, dataset, base_key, other_key)
    top1, top5 = (contrast_errors(results, without, base, k) for k in (1, 5))
    what = f"{without.splits[-1]}, ten crops, {without.key} minus {base.key}"
    return measured(results, [without, base], what, top1.estimate, top5.estimate, shared=top1.shared)


def measure_pooling(claim: paper.Claim, results: Results, dataset: str) -> Measurement:
    """C06: as `measure_removal`; "slightly more difficult to overfit" stands beside."""
    base, without = take_experiments(results, dataset, *claim.variants)
    return replace(measure_removal(claim, results, dataset), beside=overfits_less(results, without, base))


def measure_layers(claim: paper.Claim, results: Results, dataset: str) -> Measurement:
    """C10: as `measure_every_removal`; what else the removal of conv5 changes is said beside."""
    found = measure_every_removal(claim, results, dataset)
    base, without = take_experiments(results, dataset, "cnn", "no-conv5")
    return replace(found, conditions=f"{found.conditions}; {describe_wide_input(base, without)}")


def measure_every_removal(claim: paper.Claim, results: Results, dataset: str) -> Measurement:
    """C10, C18: each of several nets must err more than the base net.

    What is reported is the smallest of the differences, with its interval. Where it is positive, p is the largest of
    all (an intersection-union test). Else p is the smallest p of a negative difference times the number of nets
    (Bonferroni): one that is significantly negative contradicts the claim.
    """
    base, *others = take_experiments(results, dataset, *claim.variants)
    found = {each.key: contrast_errors(results, each, base) for each in others}
    smallest, p, words = combine_tests(found)
    listed = ", ".join(f"{key} {interval(each.estimate)}" for key, each in found.items())
    what = (
        f"{base.splits[-1]}, ten crops, the smallest of {len(found)} differences from {base.key}, {smallest}'s; {words}"
    )
    return measured(
        results,
        [*others, base],
        what,
        replace(found[smallest].estimate, p=p),
        beside=f"all, in points: {listed}",
        shared=found[smallest].shared,
        chosen_from=len(found),
    )


def combine_tests(found: dict[str, Contrast]) -> tuple[str, float, str]:
    """The net of the smallest difference, the p of the claim that all of them are positive, and which p that is."""
    values = {key: each.estimate.value for key, each in found.items()}
    ps = {key: each.estimate.p for key, each in found.items() if each.estimate.p is not None}
    smallest = min(values, key=lambda key: values[key])
    if values[smallest] > 0:
        key = max(ps, key=lambda key: ps[key])
        return smallest, ps[key], f"p is the largest of all, {key}'s"
    key = min((key for key in ps if values[key] <= 0), key=lambda key: ps[key])
    p = min(1.0, len(found) * ps[key])
    return smallest, p, f"p is {len(found)} times the smallest p of a negative difference, {key}'s"


def describe_wide_input(base: ExperimentResults, without: ExperimentResults) -> str:
    """How many more parameters the net without conv5 has, here and in the paper's size, and which net has not."""
    here = without.nets[0].training["parameters"] / base.nets[0].training["parameters"] - 1
    nets = NetConfig(), NetConfig(removed=["conv5"])
    whole, removed = (describe(net, paper.CLASS_COUNT)["parameters"] for net in nets)
    return (
        f"without conv5 fc6 sees all maps of conv4, so that the net has {100 * here:.0f} % more parameters "
        f"({100 * (removed / whole - 1):.0f} % in the paper's size); with as few maps in conv4 as in conv5 it would be "
        "no-conv4"
    )


def measure_ensemble(results: Results, dataset: str) -> Measurement:
    """§6, table 2: the mean error of one net minus the error of the five nets' average, on val; no claim's number."""
    one, five = take_experiments(results, dataset, "cnn", "5-cnns")
    top1, top5 = (
        estimate_contrast(wrong_of(one, "val", "ten_crop", k), wrong_of(five, "val", "ten_crop", k)) for k in (1, 5)
    )
    words = conditions([one], "val, ten crops, mean of cnn minus 5-cnns")
    return Measurement(top1=top1, top5=top5, conditions=words, scope=scope_of(results, [one, five]))


def measure_val_against_test(claim: paper.Claim, results: Results, dataset: str) -> Measurement:
    """C26: validation minus test error, ten crops; whether it is small is no question to a test of zero, so no p."""
    (net,) = take_experiments(results, dataset, "cnn")
    check_labels(net, "test")
    gaps = (estimate_gap(wrong_of(net, "val", "ten_crop", k), wrong_of(net, "test", "ten_crop", k)) for k in (1, 5))
    top1, top5 = (replace(gap, p=None) for gap in gaps)
    return measured(results, [net], "val minus test, ten crops", top1, top5)


def check_labels(experiment: ExperimentResults, split: str) -> None:
    if split not in experiment.splits:
        raise Unmeasurable(f"{paper.ILSVRC2012}'s test labels are withheld")
