"""The forest plot: its markers stand where the ledger's numbers do, and look as the verdict says."""

from itertools import combinations
from types import SimpleNamespace

import pytest
from matplotlib.colors import to_hex

from alexnet2012.claims.ledger import Brief, LedgerRow, Numbers
from alexnet2012.reporting.figures import forest
from alexnet2012.reporting.figures.style import in_style


def make_row(id: str, estimate: float | None, unit: str, verdict: str, colour: str, paper=None) -> LedgerRow:
    """A claim with an interval of 1 below and above its estimate."""
    values = (None, None, None) if estimate is None else (estimate, estimate - 1, estimate + 1)
    numbers = Numbers(*values, None, None, 5, paper, unit)
    measured = "not measured" if estimate is None else f"{estimate} [{estimate - 1}, {estimate + 1}] {unit}"
    empty = dict.fromkeys(["reading", "section", "paper", "note", "conditions", "interval", "family"], "")
    row = {"id": id, "text": f"claim {id}; its second half", "measured": measured, "verdict": f"{verdict} on photos"}
    ps = dict.fromkeys(["p", "p_holm", "p_equivalence"])
    return LedgerRow(**row, **empty, **ps, colour=colour, numbers=numbers, brief=Brief("", measured, verdict))


ROWS = (
    make_row("C03", 2.5, "points", "sign supported", "supported", paper=1.5),
    make_row("C05", -2.0, "points", "indicative: sign contradicted", "indicative"),
    make_row("C06", 0.5, "points", "inconclusive", "inconclusive"),
    make_row("C11", 7.4, "x", "sign supported", "supported", paper=6),
    make_row("C13", 45.0, "%", "indicative: larger than 40.7 %", "indicative", paper=40.7),
    make_row("C22", 35.0, "points", "sign supported", "supported"),
    make_row("C21", None, "", "inconclusive", "inconclusive"),
    make_row("C23", None, "", "not measured", "not measured"),
)


@pytest.fixture
def drawing(fake, monkeypatch):
    class Ledger:
        claims = ROWS

    monkeypatch.setattr(forest, "make_ledger", lambda results, dataset: Ledger)
    with in_style():
        return forest.draw_forest(fake.add("cnn", {0: {}}, ("table1",)).load(), "photos")


def markers(axes) -> list[tuple[float, str, str]]:
    """Where each estimate stands, in which colour, and the colour that fills it."""
    found = [line for line in axes.lines if line.get_marker() not in ("None", "D")]
    return [(line.get_xdata()[0], to_hex(line.get_color()), to_hex(line.get_markerfacecolor())) for line in found]


def test_each_kind_of_number_has_a_scale_of_its_own(drawing):
    points, far, ratio, error = drawing.figure.axes
    assert [[each[0] for each in markers(axes)] for axes in (points, far, ratio, error)] == [
        [2.5, -2.0, 0.5],
        [35.0],
        [7.4],
        [45.0],
    ]
    assert ratio.get_xscale() == "log"
    lines = [
        [line.get_xdata()[0] for line in axes.lines if len(set(line.get_xdata())) == 1 and len(line.get_xdata()) == 2]
        for axes in (points, far, ratio, error)
    ]
    assert lines == [[0], [0], [1], []]


def test_what_has_no_row_is_named_and_the_alternative_text_counts(drawing):
    assert "without an estimate: C21 inconclusive. Not measured here: C23." in drawing.caption
    assert drawing.alt.endswith("3 supported (C03, C11, C22), 1 inconclusive (C06), 2 indicative (C05, C13).")


def test_long_verdicts_do_not_reach_into_the_next_row(fake, monkeypatch):
    words = "no effect above 0.85 points; one-gpu: 0 of 3 seeds learned; cnn: 0 of 5 seeds learned"
    rows = [make_row(each, 0.0, "points", words, "no effect") for each in ("C03", "C04", "C05")]
    monkeypatch.setattr(forest, "make_ledger", lambda results, dataset: SimpleNamespace(claims=rows))
    with in_style():
        figure = forest.draw_forest(fake.add("cnn", {0: {}}, ("table1",)).load(), "photos").figure
        figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert all(not one.overlaps(other) for one, other in combinations(boxes, 2))
