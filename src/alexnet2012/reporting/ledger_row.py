"""A line of the ledger, as it is settled, written to claims.json and read by the report."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A claim's line of the ledger, in words; `p` and `p_holm` are None where it has no test."""

    id: str
    text: str
    section: str
    paper: str
    measured: str
    verdict: str
    colour: str
    conditions: str
    interval: str
    p: float | None
    p_holm: float | None

    @property
    def tests(self) -> str:
        """The claim's p and the one adjusted for all claims of the ledger: "p 0.012, Holm 0.036"."""
        if self.p is None:
            return ""
        return f"p {digits(self.p)}" + ("" if self.p_holm is None else f", Holm {digits(self.p_holm)}")


def digits(p: float) -> str:
    return f"{p:.3g}" if p >= 0.0001 else "< 0.0001"
