"""The ledger: every claim of the paper with what was measured of it, or why nothing was, and a verdict."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from alexnet2012.claims.contrasts import describe_spread
from alexnet2012.claims.measurement import (
    NOT_MEASURED,
    Measurement,
    NotMeasured,
    Outcome,
    Unmeasurable,
    describe_interval,
    describe_outcome,
    describe_values,
)
from alexnet2012.claims.measures_cifar import CIFAR10, measure_normalisation, measure_relu_speed
from alexnet2012.claims.measures_errors import (
    measure_error,
    measure_every_removal,
    measure_layers,
    measure_pooling,
    measure_removal,
    measure_ten_crops,
    measure_val_against_test,
)
from alexnet2012.claims.measures_nets import count_conv_shares, count_sizes, measure_neighbours, measure_specialisation
from alexnet2012.claims.measures_training import (
    measure_dropout,
    measure_overfitting,
    measure_training_error,
    measure_two_gpus,
)
from alexnet2012.claims.verdicts import Adjusted, judge, run_tests
from alexnet2012.files import SCHEMA
from alexnet2012.paper import CLAIMS, FALL2009, ON_CIFAR10, Claim, Edition, Errors, Hardware, in_unit
from alexnet2012.reporting.format import percent, points_pair
from alexnet2012.reporting.results import Results

# The kinds of verdicts in the order of pages, each with a sign that stands beside the words.
SIGNS = {
    "supported": "✓",
    "contradicted": "✗",
    "no effect": "≈",
    "inconclusive": "?",
    "indicative": "~",
    "not measured": "·",
}
# Each claim's one declared test, or its number.
MEASURES: dict[str, Callable[[Claim, Results, str], Outcome]] = {
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


def settle_claim(claim: Claim, results: Results, dataset: str) -> Outcome:
    """The ledger's entry: a claim about a dataset of the paper is measured on the whole of it, and on no other."""
    edition = edition_of(results, dataset)
    if isinstance(claim.needs, Edition) and claim.needs != edition:
        lack = f"{claim.needs}; {dataset} is {edition}" if edition else f"all of {claim.needs} and the paper's net"
        return NotMeasured(f"needs {lack}")
    return measure_number(claim, results, dataset)


def measure_number(claim: Claim, results: Results, dataset: str) -> Outcome:
    """The claim's number on `dataset`, whatever the dataset is (in_text.md prints its conditions)."""
    if isinstance(claim.needs, Hardware):
        return NotMeasured(f"needs {claim.needs}; this configuration was run for its errors, not for its speed")
    if claim.needs == FALL2009 != edition_of(results, dataset):
        return NotMeasured(f"needs {claim.needs}")
    try:
        return limit_size(claim, MEASURES[claim.id](claim, results, dataset), edition_of(results, dataset))
    except Unmeasurable as lack:
        if claim.id in ON_CIFAR10 and (kind := results.on(dataset)[0].kind) != CIFAR10:
            return NotMeasured(f"needs CIFAR-10; {dataset} is of kind {kind}")
        return lack.outcome


def limit_size(claim: Claim, outcome: Outcome, edition: Edition | None) -> Outcome:
    """A size that the paper measured on one edition is not judged on another."""
    if not isinstance(outcome, Measurement) or not claim.edition or claim.edition == edition:
        return outcome
    return replace(outcome, scope=replace(outcome.scope, sized=False))


def try_measure(measure: Callable[[Results, str], Measurement], results: Results, dataset: str) -> Outcome:
    """A number that no claim states, or why there is none."""
    try:
        return measure(results, dataset)
    except Unmeasurable as lack:
        return lack.outcome


def edition_of(results: Results, dataset: str) -> Edition | None:
    """The paper's dataset that `dataset` is as a whole, if any."""
    return results.on(dataset)[0].edition


@dataclass(frozen=True)
class Numbers:
    """A claim's numbers, None where there is none.

    `estimate`, its 95 % interval from `low` to `high`, and `paper`, what the paper states, are in `unit`: "%", "points"
    or "x". `p_adjusted`: by Holm, over the family. `n`: how many nets were measured, averages of nets among them.
    """

    estimate: float | None
    low: float | None
    high: float | None
    p: float | None
    p_adjusted: float | None
    n: int | None
    paper: float | None
    unit: str | None


@dataclass(frozen=True)
class Brief:
    """A claim's line in few words: what the paper states and what was measured, of top-1 alone, and the verdict."""

    paper: str
    measured: str
    verdict: str


@dataclass(frozen=True)
class LedgerRow:
    """A claim's line of the ledger, in words, in few words and in numbers.

    `reading`: of the paper's text, where a claim has a row for each. `note` goes with the verdict. `family`: of its
    test, "seeds", "images" or "". `p`, `p_holm` (adjusted over the family) and `p_equivalence` (adjusted likewise) are
    None where it has no such test.
    """

    id: str
    text: str
    reading: str
    section: str
    paper: str
    measured: str
    verdict: str
    colour: str
    note: str
    conditions: str
    interval: str
    family: str
    p: float | None
    p_holm: float | None
    p_equivalence: float | None
    numbers: Numbers
    brief: Brief

    @property
    def is_measured(self) -> bool:
        return self.measured != NOT_MEASURED

    @property
    def tests(self) -> str:
        """The claim's p, and those adjusted over its family: "p 0.012, Holm 0.036, equivalence 0.4"."""
        ps = {"p": self.p, "Holm": self.p_holm, "equivalence": self.p_equivalence}
        return ", ".join(f"{name} {digits(p)}" for name, p in ps.items() if p is not None)


def digits(p: float) -> str:
    return f"{p:.3g}" if p >= 0.0001 else "< 0.0001"


@dataclass(frozen=True)
class Ledger:
    """All claims on one dataset."""

    dataset: str
    claims: tuple[LedgerRow, ...]
    spreads: tuple[str, ...]

    @property
    def measured(self) -> list[LedgerRow]:
        return [row for row in self.claims if row.is_measured]

    @property
    def not_measured(self) -> list[LedgerRow]:
        return [row for row in self.claims if not row.is_measured]

    @property
    def tally(self) -> dict[str, int]:
        """The number of rows by kind of verdict, in the order of SIGNS and without zeros."""
        counts = {colour: sum(row.colour == colour for row in self.claims) for colour in SIGNS}
        return {colour: count for colour, count in counts.items() if count}

    def count(self, family: str) -> int:
        """The number of tests in a family."""
        return sum(row.family == family for row in self.claims)


def make_ledgers(results: Results) -> list[Ledger]:
    """A ledger for each dataset."""
    return [make_ledger(results, dataset) for dataset in results.datasets]


def make_ledger(results: Results, dataset: str) -> Ledger:
    """The ledger of one dataset: every claim with a verdict or a reason, each p adjusted over its family of tests, and
    the spreads between seeds that the tests used, in words."""
    outcomes = [settle_claim(claim, results, dataset) for claim in CLAIMS]
    measured = [outcome for outcome in outcomes if isinstance(outcome, Measurement)]
    spreads = dict.fromkeys(describe_spread(each.shared) for each in measured if each.shared is not None)
    rows = map(make_row, CLAIMS, outcomes, run_tests(CLAIMS, outcomes))
    return Ledger(dataset, tuple(rows), tuple(spreads))


def make_row(claim: Claim, outcome: Outcome, tested: Adjusted | None) -> LedgerRow:
    """A claim's line; `tested` is None where it has no test."""
    measured, conditions = describe_outcome(outcome)
    verdict = judge(claim, outcome, tested)
    return LedgerRow(
        id=claim.id,
        text=claim.words,
        reading=claim.reading,
        section=name_section(claim.section),
        paper=stated(claim),
        measured=measured,
        verdict=verdict.text,
        colour=verdict.colour,
        note=verdict.note,
        conditions=conditions,
        interval=describe_interval(outcome),
        family="" if tested is None else tested.family,
        p=None if tested is None else tested.p,
        p_holm=None if tested is None else tested.p_holm,
        p_equivalence=None if tested is None else tested.p_equivalence,
        numbers=list_numbers(claim, outcome, tested),
        brief=Brief(brief_stated(claim), brief_measured(outcome, tested, measured), verdict.brief),
    )


def brief_measured(outcome: Outcome, tested: Adjusted | None, measured: str) -> str:
    """The value with its interval; what has none by its p, or in the words of `measured`."""
    if isinstance(outcome, Measurement) and outcome.top1 is not None:
        return describe_values(replace(outcome, top5=None))
    return measured if tested is None else f"p {digits(tested.p)}"


def list_numbers(claim: Claim, outcome: Outcome, tested: Adjusted | None) -> Numbers:
    found = outcome.top1 if isinstance(outcome, Measurement) else None
    return Numbers(
        estimate=None if found is None else in_unit(found.value, claim.unit),
        low=None if found is None else in_unit(found.low, claim.unit),
        high=None if found is None else in_unit(found.high, claim.unit),
        p=None if tested is None else tested.p,
        p_adjusted=None if tested is None else tested.p_holm,
        n=outcome.scope.nets if isinstance(outcome, Measurement) else None,
        paper=claim.number,
        unit=claim.unit or None,
    )


def to_data(results: Results, ledgers: list[Ledger]) -> dict[str, Any]:
    """What claims.json holds: {"schema", "name", "exploratory", "datasets": [{"dataset", "claims", "spreads"}]}, where
    claims are the fields of a LedgerRow."""
    own = {"schema": SCHEMA, "name": results.name, "exploratory": results.exploratory}
    return own | {"datasets": [asdict(ledger) for ledger in ledgers]}


def name_section(section: str) -> str:
    """Where in the paper: "4.1, figure 1" as "§4.1, figure 1"."""
    return ", ".join(f"§{part}" if part[0].isdigit() else part for part in section.split(", "))


def stated(claim: Claim) -> str:
    if claim.size:
        return claim.size
    if claim.stated.top1 is None:
        return "sign"
    if claim.unit == "%":
        return f"{percent(claim.stated.top1)} / {percent(claim.stated.top5)}"
    return points_pair(claim.stated)


def brief_stated(claim: Claim) -> str:
    """What the paper states, of top-1 alone."""
    if claim.size or claim.stated.top1 is None:
        return claim.size or "no number"
    if claim.unit == "%":
        return percent(claim.stated.top1)
    return points_pair(Errors(claim.stated.top1))
