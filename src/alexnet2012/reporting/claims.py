"""Every claim of the paper on a dataset of this configuration: what was measured of it, or why nothing was, and the
verdict."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from alexnet2012 import paper
from alexnet2012.reporting.families import Adjusted, run_tests
from alexnet2012.reporting.measures_analysis import measure_neighbours, measure_specialisation
from alexnet2012.reporting.measures_arithmetic import count_conv_shares, count_sizes
from alexnet2012.reporting.measures_cifar import CIFAR10, measure_normalisation, measure_relu_speed
from alexnet2012.reporting.measures_errors import (
    measure_error,
    measure_every_removal,
    measure_layers,
    measure_pooling,
    measure_removal,
    measure_ten_crops,
    measure_val_against_test,
)
from alexnet2012.reporting.measures_speed import measure_two_gpus
from alexnet2012.reporting.measures_training import measure_dropout, measure_overfitting, measure_training_error
from alexnet2012.reporting.outcomes import Measurement, NotMeasured, Outcome, Unmeasurable
from alexnet2012.reporting.results import Results
from alexnet2012.reporting.verdicts import Verdict, judge

# Each claim's one declared test, or its number.
MEASURES: dict[str, Callable[[paper.Claim, Results, str], Measurement]] = {
    "C01": partial(measure_error, key="cnn", split="test", crops="ten_crop"),
    "C02": partial(measure_error, key="cnn", split="test", crops="centre"),
    "C03": measure_ten_crops,
    "C04": measure_removal,
    "C05": measure_removal,
    "C06": measure_pooling,
    "C07": measure_removal,
    "C08": measure_dropout,
    "C09": measure_overfitting,
    "C10": measure_layers,
    "C11": measure_relu_speed,
    "C12": measure_normalisation,
    "C13": partial(measure_error, key="cnn", split="val", crops="ten_crop"),
    "C14": partial(measure_error, key="5-cnns", split="val", crops="ten_crop"),
    "C15": partial(measure_error, key="1-cnn-star", split="val", crops="ten_crop"),
    "C16": partial(measure_error, key="7-cnns-star", split="val", crops="ten_crop"),
    "C17": partial(measure_error, key="cnn-sixth-layer", split="test", crops="ten_crop"),
    "C18": measure_every_removal,
    "C19": measure_training_error,
    "C20": measure_two_gpus,
    "C21": measure_specialisation,
    "C22": measure_neighbours,
    "C24": count_sizes,
    "C25": count_conv_shares,
    "C26": measure_val_against_test,
}


@dataclass(frozen=True)
class Entry:
    """A claim's line in the ledger; `tested` is None where it has no test."""

    claim: paper.Claim
    outcome: Outcome
    verdict: Verdict
    tested: Adjusted | None


def settle_all(results: Results, dataset: str) -> list[Entry]:
    """The ledger of one dataset: every claim with a verdict or a reason, each p adjusted over its family of tests."""
    outcomes = [settle(claim, results, dataset) for claim in paper.CLAIMS]
    return [
        Entry(claim, outcome, judge(claim, outcome, tested), tested)
        for claim, outcome, tested in zip(paper.CLAIMS, outcomes, run_tests(paper.CLAIMS, outcomes), strict=True)
    ]


def settle(claim: paper.Claim, results: Results, dataset: str) -> Outcome:
    """The ledger's entry: a claim about a dataset of the paper is measured on the whole of it, and on no other."""
    edition = edition_of(results, dataset)
    if isinstance(claim.needs, paper.Edition) and claim.needs != edition:
        return NotMeasured(f"needs {claim.needs}; {dataset} is {edition or 'a rehearsal'}")
    return measure_number(claim, results, dataset)


def measure_number(claim: paper.Claim, results: Results, dataset: str) -> Outcome:
    """The claim's number on `dataset`, whatever the dataset is (in_text.md prints its conditions)."""
    if isinstance(claim.needs, paper.Hardware):
        return NotMeasured(f"needs {claim.needs}; this configuration was run for its errors, not for its speed")
    if claim.needs == paper.FALL2009 != edition_of(results, dataset):
        return NotMeasured(f"needs {claim.needs}")
    try:
        return limit_size(claim, MEASURES[claim.id](claim, results, dataset), edition_of(results, dataset))
    except Unmeasurable as lack:
        if claim.id in paper.ON_CIFAR10 and (kind := results.on(dataset)[0].kind) != CIFAR10:
            return NotMeasured(f"needs CIFAR-10; {dataset} is of kind {kind}")
        return lack.outcome


def limit_size(claim: paper.Claim, outcome: Measurement, edition: paper.Edition | None) -> Measurement:
    """A size that the paper measured on one edition is not judged on another."""
    if outcome.scope is None or not claim.edition or claim.edition == edition:
        return outcome
    return replace(outcome, scope=replace(outcome.scope, sized=False))


def try_measure(measure: Callable[[Results, str], Measurement], results: Results, dataset: str) -> Outcome:
    """A number that no claim states, or why there is none."""
    try:
        return measure(results, dataset)
    except Unmeasurable as lack:
        return lack.outcome


def edition_of(results: Results, dataset: str) -> paper.Edition | None:
    """The paper's dataset that `dataset` is as a whole, if any."""
    return results.on(dataset)[0].edition
