"""The ledger of claims as a page and as data, each row with a verdict or a reason."""

from dataclasses import asdict, dataclass

from alexnet2012.files import SCHEMA
from alexnet2012.reporting.cells import interval_cell, outcome_cells, place, probability_cell, stated
from alexnet2012.reporting.claims import Entry, settle_all
from alexnet2012.reporting.ledger_row import Row
from alexnet2012.reporting.outcomes import Measurement
from alexnet2012.reporting.pages import grid, heading, page, rehearsal_note, title
from alexnet2012.reporting.provenance_note import describe_origin
from alexnet2012.reporting.results import EDITIONS, Results

HEADERS = ["claim", "what", "where", "paper", "measured (top-1 / top-5)", "verdict"]
HEADERS += ["conditions and interval, or why not", "p", "Holm p"]


@dataclass(frozen=True)
class Ledger:
    """All claims on one dataset."""

    dataset: str
    claims: tuple[Row, ...]

    @property
    def tests(self) -> int:
        return sum(row.p is not None for row in self.claims)


def make_ledgers(results: Results) -> list[Ledger]:
    """A ledger for each dataset."""
    return [Ledger(each, tuple(make_row(entry) for entry in settle_all(results, each))) for each in results.datasets]


def make_row(entry: Entry) -> Row:
    claim, outcome = entry.claim, entry.outcome
    measured, conditions = outcome_cells(outcome)
    return Row(
        id=claim.id,
        text=claim.text,
        section=place(claim.section),
        paper=stated(claim),
        measured=measured,
        verdict=entry.verdict.text,
        colour=entry.verdict.colour,
        conditions=conditions,
        interval=interval_cell(outcome) if isinstance(outcome, Measurement) else "",
        p=entry.p,
        p_holm=entry.p_holm,
    )


def render_claims(results: Results, ledgers: list[Ledger]) -> str:
    """The ledger as markdown: every claim with a measurement and its verdict, or why there is none."""
    parts = [title("Claims", results)]
    for ledger in ledgers:
        experiments = results.on(ledger.dataset)
        rows = [
            [row.id, row.text, row.section, row.paper, row.measured, row.verdict, row.conditions]
            + [probability_cell(each) for each in (row.p, row.p_holm)]
            for row in ledger.claims
        ]
        parts += [
            heading(experiments[0]),
            rehearsal_note(experiments[0], *EDITIONS.values()),
            grid(HEADERS, rows),
            describe_tests(ledger.tests),
            describe_origin(experiments),
        ]
    return page(parts)


def describe_tests(tests: int) -> str:
    return (
        "Each claim has one test, declared beforehand, on top-1 where it is about errors; top-5 errors stand beside "
        "them and have no verdict. A difference is positive in the claimed direction. Intervals are of 95 % and "
        "unadjusted; p is two-sided but for C21's, and verdicts follow Holm's adjustment of it over the claims tested "
        f"in this ledger, here {tests}. "
        "Verdicts of fewer than three seeds hold for these nets, not for the method, and are at most indicative.\n"
    )


def to_data(results: Results, ledgers: list[Ledger]) -> dict:
    """What claims.json holds: {"schema", "name", "datasets": [{"dataset", "claims": [a Row's fields]}]}."""
    return {"schema": SCHEMA, "name": results.name, "datasets": [asdict(ledger) for ledger in ledgers]}
