"""A line of the ledger, as it is settled, written to claims.json and read by the report."""

from dataclasses import dataclass


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
class Row:
    """A claim's line of the ledger, in words and in numbers.

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

    @property
    def tests(self) -> str:
        """The claim's p, and those adjusted over its family: "p 0.012, Holm 0.036, equivalence 0.4"."""
        ps = {"p": self.p, "Holm": self.p_holm, "equivalence": self.p_equivalence}
        return ", ".join(f"{name} {digits(p)}" for name, p in ps.items() if p is not None)


def digits(p: float) -> str:
    return f"{p:.3g}" if p >= 0.0001 else "< 0.0001"
