"""The ledger of claims as the report shows it: what tables/claims.json says, and how often it says which verdict."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from alexnet2012.errors import RecordError
from alexnet2012.files import read_json
from alexnet2012.reporting.ledger_row import Row

# The colours of verdicts in the order of the page, each with a sign, as colour alone tells some readers nothing.
SIGNS = {
    "supported": "✓",
    "contradicted": "✗",
    "no effect": "○",
    "inconclusive": "?",
    "indicative": "~",
    "not measured": "–",
}


@dataclass(frozen=True)
class Tally:
    """How many claims of a ledger have a verdict's colour."""

    colour: str
    count: int


@dataclass(frozen=True)
class Ledger:
    """The claims on one dataset."""

    dataset: str
    rows: tuple[Row, ...]

    @property
    def tallies(self) -> list[Tally]:
        return [Tally(colour, sum(row.colour == colour for row in self.rows)) for colour in SIGNS]


def read_ledgers(path: Path) -> list[Ledger]:
    """The ledgers of claims.json, one for each dataset; raises RecordError when it is missing or not complete."""
    values = read_json(path)
    try:
        return [
            Ledger(each["dataset"], tuple(read_row(row, path) for row in each["claims"])) for each in values["datasets"]
        ]
    except (KeyError, TypeError) as error:
        raise RecordError(f"{path} is not complete ({error}); run snakemake -R render_tables") from None


def read_row(values: dict[str, Any], path: Path) -> Row:
    row = Row(**{field.name: values[field.name] for field in fields(Row)})
    if row.colour not in SIGNS:
        raise RecordError(
            f"{path}: {row.id}: {row.colour!r} is no verdict's colour; expected one of {', '.join(SIGNS)}"
        )
    return row
