"""What each ablation changes while nets train: differences to the base net by epoch, a panel for each claim."""

import math
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from alexnet2012 import paper
from alexnet2012.reporting.figures.curves import draw_drops, stack_seeds
from alexnet2012.reporting.figures.style import (
    BLUE,
    BOLD,
    DARK,
    GREEN,
    GREY,
    LIGHT,
    ORANGE,
    PINK,
    WIDTH,
    Drawing,
    new_figure,
)
from alexnet2012.reporting.results import ExperimentResults, Results

COLUMNS = 3
TITLE_LETTERS = 40  # of a line
LOOKS = ((BLUE, "-"), (ORANGE, "--"), (GREEN, "-."), (PINK, ":"))
VAL, TRAIN, GAP = "val error", "training error", "val − training error"
COMPARED = {"C08": GAP, "C09": GAP, "C19": TRAIN}  # what these claims speak of; others of the error on val


def draw_differences(results: Results, dataset: str) -> Drawing | None:
    """The variant's error minus the base net's, means over seeds, with the spread of both; None where no claim has both
    nets with their histories. Claims of ratios (C11, C20) have no panel."""
    trained = {each.key: each for each in results.on(dataset) if each.histories()}
    pairs = [(claim, list_pair(claim, trained)) for claim in paper.CLAIMS if claim.unit == "points"]
    panels = [(claim, nets) for claim, nets in pairs if len(nets) > 1]
    if not panels:
        return None
    columns = min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = new_figure(WIDTH, 2.35 * rows + 0.8)
    figure.suptitle(f"Differences to the base net on {dataset}")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    last: dict[str, float] = {}
    for axes, (claim, (base, *others)) in zip(grid.flat, panels, strict=False):
        last |= draw_claim(axes, claim, base, others)
    figure.legend(handles=list_bands(trained), loc="outside lower center", ncols=3)
    return Drawing(
        figure,
        "Differences to the base net",
        "By epoch, centre crop in evaluation mode: above zero the net that is named first has more. Lines are means "
        "over seeds, bands reach from the lowest to the highest seed; verdicts are of ten crops after training.",
        f"Curves of differences to the base net for {', '.join(claim.id for claim, _ in panels)}; "
        "after the last epoch, in points: " + ", ".join(f"{name} {value:+.1f}" for name, value in last.items()) + ".",
    )


def list_pair(claim: paper.Claim, trained: dict[str, ExperimentResults]) -> list[ExperimentResults]:
    """The claim's base net and those of its variants that were trained; empty without the base net."""
    found = [trained[key] for key in claim.variants if key in trained]
    return found if found and found[0].key == claim.variants[0] else []


def draw_claim(
    axes: Axes, claim: paper.Claim, base: ExperimentResults, others: list[ExperimentResults]
) -> dict[str, float]:
    """A line for each of `others`; returns the differences after the last epoch that both nets have, in points."""
    what, last = COMPARED.get(claim.id, VAL), {}
    of_base = stack_errors(base.histories(), what)
    mean = of_base.mean(axis=0)
    draw_band(axes, of_base - mean, LIGHT, 1.0)
    for other, (colour, dashes) in zip(others, LOOKS, strict=False):
        found = stack_errors(other.histories(), what)
        epochs = min(found.shape[1], len(mean))
        differences = found[:, :epochs] - mean[:epochs]
        draw_band(axes, differences, colour, 0.25)
        line, name = differences.mean(axis=0), f"{other.key} − {base.key}"
        axes.plot(np.arange(1, epochs + 1), line, color=colour, linestyle=dashes, label=name, **BOLD)
        last[f"{name} ({what})"] = float(line[-1])
    axes.axhline(0, color=DARK, linewidth=1.0)
    draw_drops(axes, base.histories()[0])
    axes.set_title(fill(f"{claim.id} {claim.words.partition(';')[0]}", TITLE_LETTERS), fontsize=8)
    axes.set(xlabel="epoch", ylabel=f"{what} (points)")
    axes.locator_params(axis="x", integer=True)
    axes.legend(frameon=True, framealpha=0.7, edgecolor="none", handlelength=1.8)
    return last


def stack_errors(histories: list[pd.DataFrame], what: str) -> np.ndarray:
    """An error, or the gap between two, in percent (seeds, epochs)."""
    val = 100 * stack_seeds(histories, "val_top1_error")
    train = 100 * stack_seeds(histories, "train_top1_error")
    return np.asarray({VAL: val, TRAIN: train, GAP: val - train}[what])


def draw_band(axes: Axes, values: np.ndarray, colour: str, alpha: float) -> None:
    """From the lowest to the highest of several seeds (seeds, epochs)."""
    if len(values) > 1:
        epochs = np.arange(1, values.shape[1] + 1)
        axes.fill_between(epochs, values.min(axis=0), values.max(axis=0), color=colour, alpha=alpha, linewidth=0)


def list_bands(trained: dict[str, ExperimentResults]) -> list[Line2D | Patch]:
    bands = [
        Patch(color=LIGHT, label="base net, lowest to highest seed"),
        Patch(facecolor=BLUE, alpha=0.25, label="variant, lowest to highest seed"),
    ]
    drops = Line2D([], [], color=GREY, linestyle=":", label="learning rate drops")
    return [*(bands if any(len(each.nets) > 1 for each in trained.values()) else []), drops]
