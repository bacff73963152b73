"""The ledger of claims as a page and as data, each row with a verdict or a reason."""

from dataclasses import asdict, dataclass

from alexnet2012 import paper
from alexnet2012.files import SCHEMA
from alexnet2012.reporting.cells import interval_cell, outcome_cells, place, probability_cell, stated
from alexnet2012.reporting.claims import Entry, settle_all
from alexnet2012.reporting.families import Adjusted
from alexnet2012.reporting.format import Block, Bullets, Heading, Page, Table, make_page, name_dataset, rehearsal_note
from alexnet2012.reporting.ledger_row import Numbers, Row
from alexnet2012.reporting.outcomes import Measurement
from alexnet2012.reporting.provenance_note import describe_origin
from alexnet2012.reporting.results import EDITIONS, Results
from alexnet2012.reporting.trained_alike import describe_spread

HEADERS = ["claim", "what", "where", "paper", "measured (top-1 / top-5)", "verdict"]
HEADERS += ["conditions and interval, or why not", "p", "Holm p", "equivalence p"]

SPREADS = "Spread between seeds, one for all variants that were trained alike (a linear model, variant as a factor):"


@dataclass(frozen=True)
class Ledger:
    """All claims on one dataset."""

    dataset: str
    claims: tuple[Row, ...]
    spreads: tuple[str, ...]

    def count(self, family: str) -> int:
        """The number of tests in a family."""
        return sum(row.family == family for row in self.claims)


def make_ledgers(results: Results) -> list[Ledger]:
    """A ledger for each dataset."""
    return [make_ledger(results, dataset) for dataset in results.datasets]


def make_ledger(results: Results, dataset: str) -> Ledger:
    """The ledger of one dataset, with the spreads between seeds that its tests used, in words."""
    entries = settle_all(results, dataset)
    measured = [entry.outcome for entry in entries if isinstance(entry.outcome, Measurement)]
    spreads = dict.fromkeys(describe_spread(each.shared) for each in measured if each.shared is not None)
    return Ledger(dataset, tuple(make_row(entry) for entry in entries), tuple(spreads))


def make_row(entry: Entry) -> Row:
    claim, tested = entry.claim, entry.tested
    measured, conditions = outcome_cells(entry.outcome)
    found = entry.outcome if isinstance(entry.outcome, Measurement) else Measurement()
    return Row(
        id=claim.id,
        text=claim.words,
        reading=claim.reading,
        section=place(claim.section),
        paper=stated(claim),
        measured=measured,
        verdict=entry.verdict.text,
        colour=entry.verdict.colour,
        note=entry.verdict.note,
        conditions=conditions,
        interval=interval_cell(found),
        family="" if tested is None else tested.family,
        p=None if tested is None else tested.p,
        p_holm=None if tested is None else tested.p_holm,
        p_equivalence=None if tested is None else tested.p_equivalence,
        numbers=list_numbers(claim, found, tested),
    )


def list_numbers(claim: paper.Claim, found: Measurement, tested: Adjusted | None) -> Numbers:
    test = found.top1
    value, low, high = (
        (None, None, None)
        if test is None
        else (paper.in_unit(each, claim.unit) for each in (test.value, test.low, test.high))
    )
    return Numbers(
        estimate=value,
        low=low,
        high=high,
        p=None if tested is None else tested.p,
        p_adjusted=None if tested is None else tested.p_holm,
        n=None if found.scope is None else found.scope.nets,
        paper=claim.number,
        unit=claim.unit or None,
    )


def describe_claims(results: Results, ledgers: list[Ledger]) -> Page:
    """The ledger as a page: every claim with a measurement and its verdict, or why there is none."""
    blocks: list[Block] = []
    for ledger in ledgers:
        before, after = describe_ledger(results, ledger)
        rows = [
            [row.id, row.text, row.section, row.paper, row.measured]
            + ["; ".join(part for part in (row.verdict, row.note) if part), row.conditions]
            + [probability_cell(each) for each in (row.p, row.p_holm, row.p_equivalence)]
            for row in ledger.claims
        ]
        heading = Heading(name_dataset(results.on(ledger.dataset)[0]))
        blocks += [heading, *before, Table(HEADERS, rows), *after]
    return make_page("Claims", results, blocks)


def describe_ledger(results: Results, ledger: Ledger) -> tuple[list[Block], list[Block]]:
    """What stands before and after a ledger's table of claims."""
    experiments = results.on(ledger.dataset)
    exploratory = f"**This ledger is exploratory.** {results.exploratory}" if results.exploratory else ""
    rehearsal = rehearsal_note(experiments[0], *EDITIONS.values())
    after: list[Block] = [describe_tests(ledger)]
    if ledger.spreads:
        after += [SPREADS, Bullets(list(ledger.spreads))]
    return [each for each in (exploratory, rehearsal) if each], [*after, describe_origin(experiments)]


def describe_tests(ledger: Ledger) -> str:
    return (
        "Each row has one test, declared beforehand, on top-1 where it is about errors; top-5 errors stand beside "
        "them and have no verdict. A difference is positive in the claimed direction. Intervals are of 95 % and "
        "unadjusted; p is two-sided but for C21's. Verdicts follow Holm's adjustment of it, in two families: here "
        f"{ledger.count('seeds')} tests over seeds, which hold for other seeds and other images, and "
        f"{ledger.count('images')} of fewer than three seeds, which hold for these nets, not for the method, and are "
        'at most indicative. "No effect above x" follows the equivalence p, adjusted likewise; x is half the effect '
        "that the paper states, or one point."
    )


def to_data(results: Results, ledgers: list[Ledger]) -> dict:
    """What claims.json holds: {"schema", "name", "exploratory", "datasets": [{"dataset", "claims": [a Row's fields],
    "spreads"}]}."""
    own = {"schema": SCHEMA, "name": results.name, "exploratory": results.exploratory}
    return own | {"datasets": [asdict(ledger) for ledger in ledgers]}
