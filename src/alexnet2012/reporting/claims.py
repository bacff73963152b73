"""What this configuration measured of each claim of the paper, or why it did not."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from alexnet2012 import paper
from alexnet2012.evaluation.statistics import Estimate, estimate_difference, estimate_error
from alexnet2012.model.geometry import count_neurons, describe
from alexnet2012.net_config import CONV_NAMES, NetConfig
from alexnet2012.reporting.results import EDITIONS, Experiment, Results

PAPER_CLASSES = 1000
WORDS = {"ten_crop": "ten crops", "centre": "centre crop"}


@dataclass(frozen=True)
class Measurement:
    """A claim's two errors (unit "%") or differences ("points"), or `text` where it is neither; and the conditions."""

    top1: Estimate | None = None
    top5: Estimate | None = None
    text: str = ""
    conditions: str = ""
    unit: Literal["%", "points"] = "points"


@dataclass(frozen=True)
class NotMeasured:
    reason: str


Outcome = Measurement | NotMeasured


def measure_number(claim: paper.Claim, results: Results, dataset: str) -> Outcome:
    """The claim's number on `dataset`, whatever the dataset is (in_text.md prints its conditions)."""
    if claim.id in MEASURES:
        return MEASURES[claim.id](results, dataset)
    if not claim.needs or claim.needs == edition_of(results, dataset):
        return NotMeasured("this version does not measure it yet")
    if claim.needs == paper.GPUS:
        return NotMeasured("needs GPUs; this configuration was run for its errors, not for its speed")
    if claim.needs in EDITIONS.values():
        return NotMeasured(f"needs {claim.needs}")
    missing = [key for key in claim.needs.split(", ") if results.find(dataset, key) is None]
    return lacking(*missing) if missing else NotMeasured("this version does not measure it yet")


def settle(claim: paper.Claim, results: Results, dataset: str) -> Outcome:
    """The ledger's entry: a claim about a dataset of the paper is measured on the whole of it, and on no other."""
    edition = edition_of(results, dataset)
    if claim.needs in EDITIONS.values() and claim.needs != edition:
        return NotMeasured(f"needs {claim.needs}; {dataset} is {edition or 'a rehearsal'}")
    return measure_number(claim, results, dataset)


def edition_of(results: Results, dataset: str) -> str | None:
    """The paper's dataset that `dataset` is as a whole, if any."""
    return results.on(dataset)[0].edition


def measure_error(results: Results, dataset: str, key: str, split: str, crops: str) -> Outcome:
    """C01, C02, C13, C14: the error of one variant or ensemble."""
    found = results.find(dataset, key)
    if found is None:
        return lacking(key)
    if split not in found.splits:
        return withheld()
    top1, top5 = (estimate_error([each.wrong(split, crops, k) for each in found.nets]) for k in (1, 5))
    return Measurement(top1, top5, conditions=conditions(found, f"{split}, {WORDS[crops]}"), unit="%")


def measure_ten_crops(results: Results, dataset: str) -> Outcome:
    """C03: what ten crops gain over the centre crop, net by net; on test, or on val where test is withheld."""
    net = results.find(dataset, "cnn")
    if net is None:
        return lacking("cnn")
    split = net.splits[-1]
    top1, top5 = (
        estimate_difference(
            [each.wrong(split, "centre", k) for each in net.nets],
            [each.wrong(split, "ten_crop", k) for each in net.nets],
        )
        for k in (1, 5)
    )
    return Measurement(top1, top5, conditions=conditions(net, f"{split}, centre minus ten crops"))


def measure_two_towers(results: Results, dataset: str) -> Outcome:
    """C04: the one-GPU net's error minus the two-tower net's, for the seeds that both have; split as for C03."""
    two, one = results.find(dataset, "cnn"), results.find(dataset, "one-gpu")
    if two is None or one is None:
        return lacking("cnn" if two is None else "one-gpu")
    seeds = sorted(set(two.seeds) & set(one.seeds))
    if not seeds:
        return NotMeasured("cnn and one-gpu share no seed here")
    split = one.splits[-1]
    top1, top5 = (
        estimate_difference(
            [net.wrong(split, "ten_crop", k) for seed in seeds for net in one.nets if net.seed == seed],
            [net.wrong(split, "ten_crop", k) for seed in seeds for net in two.nets if net.seed == seed],
        )
        for k in (1, 5)
    )
    return Measurement(top1, top5, conditions=conditions(one, f"{split}, ten crops, one-gpu minus cnn", seeds))


def measure_ensemble(results: Results, dataset: str) -> Outcome:
    """§6, table 2: the mean error of one net minus the error of the five nets' average, on val."""
    one, five = results.find(dataset, "cnn"), results.find(dataset, "5-cnns")
    if one is None or five is None:
        return lacking("cnn" if one is None else "5-cnns")
    differences = []
    for k in (1, 5):
        singles = sum(net.wrong("val", "ten_crop", k).astype(float) for net in one.nets) / len(one.nets)
        differences.append(estimate_difference([singles], [five.nets[0].wrong("val", "ten_crop", k)]))
    return Measurement(*differences, conditions=conditions(one, "val, ten crops, mean of cnn minus 5-cnns"))


def measure_val_against_test(results: Results, dataset: str) -> Outcome:
    """C26: |validation error - test error| of the mean net, ten crops."""
    net = results.find(dataset, "cnn")
    if net is None:
        return lacking("cnn")
    if "test" not in net.splits:
        return withheld()
    values = []
    for k in (1, 5):
        val, test = (
            estimate_error([each.wrong(split, "ten_crop", k) for each in net.nets]).value for split in ("val", "test")
        )
        values.append(f"{100 * abs(val - test):.2f}")
    return Measurement(text=f"{values[0]} / {values[1]} points", conditions=conditions(net, "val and test, ten crops"))


def count_sizes(results: Results, dataset: str) -> Outcome:
    """C24, by arithmetic on the paper's own net."""
    parameters, neurons = describe(NetConfig(), PAPER_CLASSES)["parameters"], count_neurons(NetConfig(), PAPER_CLASSES)
    return Measurement(
        text=f"{parameters:,} parameters and {neurons:,} neurons", conditions="arithmetic, the paper's net"
    )


def count_conv_shares(results: Results, dataset: str) -> Outcome:
    """C25, by arithmetic: each convolutional layer's share of the parameters."""
    table = describe(NetConfig(), PAPER_CLASSES)
    shares = {
        layer["name"]: layer["parameters"] / table["parameters"]
        for layer in table["layers"]
        if layer["name"] in CONV_NAMES
    }
    above = [f"{name} {share:.2%}" for name, share in shares.items() if share > paper.CONV_SHARE]
    verdict = f"contradicted: {', '.join(above)}" if above else "supported"
    return Measurement(text=verdict.replace("%", " %"), conditions="arithmetic, the paper's net")


MEASURES: dict[str, Callable[[Results, str], Outcome]] = {
    "C01": partial(measure_error, key="cnn", split="test", crops="ten_crop"),
    "C02": partial(measure_error, key="cnn", split="test", crops="centre"),
    "C03": measure_ten_crops,
    "C04": measure_two_towers,
    "C13": partial(measure_error, key="cnn", split="val", crops="ten_crop"),
    "C14": partial(measure_error, key="5-cnns", split="val", crops="ten_crop"),
    "C24": count_sizes,
    "C25": count_conv_shares,
    "C26": measure_val_against_test,
}


def lacking(*keys: str) -> NotMeasured:
    return NotMeasured(f"this configuration has no experiment of {' or '.join(keys)}")


def withheld() -> NotMeasured:
    return NotMeasured(f"{paper.ILSVRC2012}'s test labels are withheld")


def conditions(experiment: Experiment, what: str, seeds: list[int] | None = None) -> str:
    """What a number holds for: dataset, split and crops, epochs, and `seeds`, all of the experiment's if not given.

    Of an ensemble the number of its members stands in place of the last two.
    """
    if not experiment.seeds:
        return f"{experiment.dataset}; {what}; average of {len(experiment.members)}"
    seeds = experiment.seeds if seeds is None else seeds
    epochs = sorted({net.training["epochs"] for net in experiment.nets if net.training is not None})
    length = " to ".join(str(each) for each in dict.fromkeys((epochs[0], epochs[-1])))
    plural = "s" if len(seeds) > 1 else ""
    return f"{experiment.dataset}; {what}; {length} epochs; seed{plural} {list_seeds(seeds)}"


def list_seeds(seeds: list[int]) -> str:
    return ", ".join(str(seed) for seed in seeds)
