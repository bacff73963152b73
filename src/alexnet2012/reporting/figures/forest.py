"""The claims as a forest plot: each estimate with its interval, the paper's value and the verdict."""

import math
from itertools import product
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from alexnet2012.claims.ledger import SIGNS, LedgerRow, make_ledger
from alexnet2012.reporting.figures.style import BLUE, DARK, GREEN, GREY, ORANGE, WIDTH, Drawing, new_figure
from alexnet2012.reporting.results import Results

FAR = 10.0  # points: differences beyond are drawn on a scale of their own
LABEL_LETTERS, VERDICT_LETTERS = 44, 40  # of a line
RATIOS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)  # that may stand at an axis
# Colour, marker and words of each verdict; the open marker of the same is an indicative one.
LOOKS = {
    "supported": (GREEN, "o", "supported"),
    "contradicted": (ORANGE, "s", "contradicted"),
    "no effect": (BLUE, "^", "no effect that counts"),
    "inconclusive": (GREY, "X", "inconclusive"),
    "not measured": (GREY, "P", "not compared"),
}
# The kinds of numbers, from above, with the label of their axis.
SCALES = {
    "points": "← against the claim    points    for the claim →",
    "far": f"← against the claim    points, differences above {FAR:.0f}    for the claim →",
    "x": "← against the claim    ratio, logarithmic    for the claim →",
    "%": "error (%)",
}


def draw_forest(results: Results, dataset: str) -> Drawing:
    """A row for each claim that has an estimate on `dataset`; where none has, the figure says so."""
    rows = make_ledger(results, dataset).claims
    shown = [row for row in rows if row.numbers.estimate is not None]
    panels = {scale: [row for row in shown if scale_of(row) == scale] for scale in SCALES}
    panels = {scale: found for scale, found in panels.items() if found}
    heights = [len(found) + 0.2 for found in panels.values()]
    lines = max((fill_verdict(row).count("\n") + 2 for row in shown), default=0)  # with that of the numbers
    figure = new_figure(WIDTH, max(0.38, 0.14 * lines) * sum(heights) + 0.62 * len(panels) + 0.7)
    figure.suptitle(f"The paper's claims, measured on {dataset}: estimates and 95 % intervals")
    if panels:
        grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
        for axes, (scale, found) in zip(grid[:, 0], panels.items(), strict=True):
            draw_scale(axes, scale, found)
        figure.legend(handles=list_looks(shown), loc="outside lower center", ncols=5)
    else:
        figure.text(0.5, 0.4, "No claim has an estimate here.", ha="center")
    return Drawing(
        figure,
        "The paper's claims",
        "Each claim's estimate with its 95 % interval, and what the paper states where that is a number of its unit. "
        f"Open markers: few seeds, a verdict on these nets alone. {describe_rest(rows)} {results.exploratory}".strip(),
        f"Forest plot of {len(shown)} claims on {dataset}: {describe_verdicts(shown)}.",
    )


def scale_of(row: LedgerRow) -> str:
    found = row.numbers
    far = found.unit == "points" and max(abs(found.low or 0), abs(found.high or 0)) > FAR
    return "far" if far else str(found.unit)


def draw_scale(axes: Axes, scale: str, rows: list[LedgerRow]) -> None:
    """The rows of one kind of number from above, with a line where there is no difference."""
    for place, row in enumerate(rows):
        found = row.numbers
        colour, marker, _ = LOOKS[kind_of(row)]
        low, estimate, high = np.array([found.low, found.estimate, found.high], float)
        face, alpha = ("white", 0.5) if is_indicative(row) else (colour, 1.0)
        axes.plot([low, high], [place, place], color=colour, linewidth=2.2, alpha=alpha, solid_capstyle="butt")
        axes.plot(estimate, place, marker, color=colour, markerfacecolor=face, markersize=7)
        if found.paper is not None:
            axes.plot(found.paper, place, "D", color=DARK, markerfacecolor="none", markersize=6)
        write_verdict(axes, place, row)
    axes.set_yticks(range(len(rows)), list(map(name_claim, rows)))
    axes.set(ylim=(len(rows) - 0.4, -0.6), xlabel=SCALES[scale])
    axes.tick_params(axis="y", length=0)
    if scale == "x":
        axes.set_xscale("log")
        low, high = axes.get_xlim()
        axes.set_xlim(min(low, 0.8), max(high, 1.25))
        ticks = [tick for tick in RATIOS if min(low, 1) <= tick <= max(high, 1)]
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
    if scale != "%":
        axes.axvline(1 if scale == "x" else 0, color=DARK, linewidth=1.0, zorder=0.5)


def name_claim(row: LedgerRow) -> str:
    """The claim's id and words in lines of about equal length; of a claim of two halves the first, which is tested."""
    words = f"{row.id} {row.text.partition(';')[0]}".replace(" %", "\N{NO-BREAK SPACE}%")
    lines = math.ceil(len(words) / LABEL_LETTERS)
    return fill(words, len(words) // lines + 8, break_on_hyphens=False)


def write_verdict(axes: Axes, place: int, row: LedgerRow) -> None:
    """The verdict at the right of its row, and the numbers below it in grey."""
    paper = "" if row.numbers.paper is None else f"; paper {row.numbers.paper:g}"
    numbers = f"{row.brief.measured.removesuffix(' points')}{paper}".replace("-", "−")
    for dy, words, colour in ((1, fill_verdict(row), DARK), (-1, numbers, GREY)):
        axes.annotate(
            words, (1, place), (8, dy), ("axes fraction", "data"), "offset points", annotation_clip=False
        ).set(va="bottom" if dy > 0 else "top", fontsize=8, color=colour)


def fill_verdict(row: LedgerRow) -> str:
    return fill(row.brief.verdict, VERDICT_LETTERS)


def is_indicative(row: LedgerRow) -> bool:
    return row.colour == "indicative"


def kind_of(row: LedgerRow) -> str:
    """The verdict without whether it is indicative, which holds for a difference of either side."""
    if not is_indicative(row):
        return row.colour
    if row.numbers.unit == "%":
        return "supported" if "agrees" in row.verdict else "contradicted"
    nothing = 1.0 if row.numbers.unit == "x" else 0.0
    return "supported" if (row.numbers.estimate or 0.0) > nothing else "contradicted"


def list_looks(rows: list[LedgerRow]) -> list[Line2D]:
    """The legend's markers: of each verdict that is there, and of the paper's value."""
    there, handles = {(is_indicative(row), kind_of(row)) for row in rows}, []
    for indicative, (kind, (colour, marker, words)) in product((False, True), LOOKS.items()):
        if (indicative, kind) in there:
            look = Line2D([], [], color=colour, marker=marker, markersize=7, label=words)
            if indicative:
                look.set(markerfacecolor="white", label=f"{words}, few seeds")
            handles.append(look)
    if any(row.numbers.paper is not None for row in rows):
        look = Line2D([], [], color=DARK, linestyle="", marker="D", markerfacecolor="none", label="the paper's value")
        handles.append(look)
    return handles


def describe_verdicts(rows: list[LedgerRow]) -> str:
    """ "2 supported (C03, C04), 1 indicative (C18)"."""
    found = {kind: [row.id for row in rows if row.colour == kind] for kind in SIGNS}
    return ", ".join(f"{len(ids)} {kind} ({', '.join(ids)})" for kind, ids in found.items() if ids) or "none"


def describe_rest(rows: tuple[LedgerRow, ...]) -> str:
    """The claims that have no row here, with the verdicts of those that were settled without an estimate."""
    rest = [row for row in rows if row.numbers.estimate is None]
    settled = [f"{row.id} {row.colour}" for row in rest if row.colour != "not measured"]
    unknown = [f"{row.id} ({row.reading})" if row.reading else row.id for row in rest if row.colour == "not measured"]
    parts = {"Settled without an estimate": settled, "Not measured here": unknown}
    return " ".join(f"{words}: {', '.join(found)}." for words, found in parts.items() if found)
