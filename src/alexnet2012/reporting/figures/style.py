"""What all figures share: size, type and colours; words for what a figure shows; files that are the same each time."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alexnet2012.claims.measurement import scope_of
from alexnet2012.files import replacing
from alexnet2012.reporting.format import count_seeds, in_brackets, list_seeds
from alexnet2012.reporting.results import ExperimentResults, Results, learned_of

WIDTH = 8.8  # inches, 845 pixels of a page: the widest that GitHub and the report show without making letters smaller
# Okabe and Ito's colours, which the colour-blind tell apart.
BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
DARK, GREY, LIGHT = "#222222", "#777777", "#D9D9D9"
THIN: dict[str, Any] = {"linewidth": 0.8, "alpha": 0.6}
BOLD: dict[str, Any] = {"linewidth": 2.0}
PERCENT_TICKS = "{x:g}"
FONT = "DejaVu Sans"  # matplotlib brings it along
DPI = 160
MARGIN = 0.08  # inches
STYLE = {
    "font.family": FONT,
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LIGHT,
    "grid.linewidth": 0.5,
    "xtick.color": DARK,
    "ytick.color": DARK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.titlesize": 11,
    "figure.facecolor": "white",  # not transparent: a white card on a dark page, with a margin
    "figure.constrained_layout.h_pad": MARGIN,
    "figure.constrained_layout.w_pad": MARGIN,
    "text.parse_math": False,  # a $ in a class's name is a $
    "savefig.dpi": DPI,
}


@dataclass(frozen=True)
class Drawing:
    """A drawn figure with what the report says of it; `alt`: what is seen, for those who do not see it."""

    figure: Figure
    title: str
    caption: str
    alt: str


@contextmanager
def in_style() -> Iterator[None]:
    """The house style over matplotlib's defaults, whatever the user's own settings are."""
    with style.context(["default", STYLE], after_reset=True):
        yield


def new_figure(width: float, height: float) -> Figure:
    """Sizes in inches. It belongs to no window and no global state, and is drawn by Agg."""
    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Figure, path: Path) -> None:
    """A PNG without matplotlib's version, so that equal figures are equal files."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


def show_image(axes: Axes, image: np.ndarray, colour: str | None = None) -> None:
    """An image (height, width, 3), uint8 or in 0..1, without ticks, in a frame of `colour` if one is given."""
    axes.imshow(image, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set(visible=colour is not None, color=colour, linewidth=2)


def describe_scope(results: Results, experiment: ExperimentResults) -> str:
    """What a figure of one experiment holds for: "photos, scaled net, 20 epochs, seeds 0, 1, 2"."""
    scope = scope_of(results, [experiment])
    words = ", ".join((scope.dataset, scope.net, scope.length, name_seeds(experiment.seeds)))
    return words + in_brackets(learned_of(results, experiment))


def name_seeds(seeds: list[int]) -> str:
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {list_seeds(seeds)}"


def subtitle(results: Results, experiment: ExperimentResults) -> str:
    """The same in short, for the picture itself."""
    scope = scope_of(results, [experiment])
    words = ", ".join((scope.dataset, scope.length, count_seeds(experiment.seeds)))
    return words + in_brackets(learned_of(results, experiment))
