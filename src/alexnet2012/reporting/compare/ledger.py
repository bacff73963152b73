"""Two ledgers of claims, verdict by verdict."""

from dataclasses import dataclass

from alexnet2012.errors import RecordError
from alexnet2012.reporting.compare.folder import LEDGER, Folder

OPPOSITE = {"supported", "contradicted"}


@dataclass(frozen=True)
class VerdictChange:
    """A claim with two verdicts; None where a ledger has no such row. `opposite`: one supports, one contradicts."""

    dataset: str
    id: str
    a: str | None
    b: str | None
    opposite: bool


def compare_ledgers(a: Folder, b: Folder) -> tuple[VerdictChange, ...]:
    """The rows whose verdicts differ; none where a folder has no ledger."""
    if a.ledger is None or b.ledger is None:
        return ()
    first, second = read_rows(a), read_rows(b)
    return tuple(
        VerdictChange(*place, *verdicts, {claim.get("colour") for claim in claims} == OPPOSITE)
        for place in first | second
        for claims in [(first.get(place, {}), second.get(place, {}))]
        for verdicts in [[claim.get("verdict") for claim in claims]]
        if verdicts[0] != verdicts[1]
    )


def read_rows(folder: Folder) -> dict[tuple[str, str], dict]:
    """The claims by (dataset, id)."""
    try:
        return {
            (dataset["dataset"], claim["id"]): {"verdict": claim["verdict"], "colour": claim["colour"]}
            for dataset in folder.ledger["datasets"]
            for claim in dataset["claims"]
        }
    except (KeyError, TypeError):
        raise RecordError(f"{folder.path / LEDGER} is no ledger of claims; run snakemake to make it anew") from None
