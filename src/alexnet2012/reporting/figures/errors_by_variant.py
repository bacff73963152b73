"""The errors of all variants and ensembles, the lowest above, with their intervals and their seeds."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from alexnet2012.config.plan import BASE
from alexnet2012.evaluation.metrics import CROPS
from alexnet2012.evaluation.statistics import Estimate
from alexnet2012.reporting.figures.style import BLUE, DARK, ORANGE, PERCENT_TICKS, WIDTH, Drawing, new_figure
from alexnet2012.reporting.format import CROP_WORDS, count_seeds, estimate, in_brackets
from alexnet2012.reporting.results import ExperimentResults, Results, learned_of

Errors = dict[str, Estimate]  # by crops
COLOURS = {"ten_crop": BLUE, "centre": ORANGE}
SHIFTS = {"ten_crop": -0.17, "centre": 0.17}  # of a row
ROOM = 1.03  # times the largest error of a net that learned; what lies beyond is an arrow at the edge


def draw_errors(results: Results, dataset: str) -> Drawing:
    """A row for each, with ten crops and with the centre crop alone, on test, or on val where test is withheld."""
    experiments = results.on(dataset)
    split = experiments[0].splits[-1]
    found = [(each, {crops: estimate(each, split, 1, crops) for crops in CROPS}) for each in experiments]
    found.sort(key=lambda pair: pair[1]["ten_crop"].value)
    figure = new_figure(WIDTH, 0.25 * len(found) + 1.35)
    figure.suptitle(f"Top-1 error on {split} of {dataset}, by variant")
    axes = figure.subplots()
    limit = ROOM * find_largest(found)
    for place, (experiment, errors) in enumerate(found):
        for crops in CROPS[:1] if experiment.is_baseline else CROPS:  # baselines see the whole image
            draw_error(axes, place, experiment, errors[crops], split, crops, limit)
    axes.set_yticks(range(len(found)), [name_nets(results, experiment) for experiment, _ in found])
    axes.set(
        ylim=(len(found) - 0.4, -0.6),
        xlabel="top-1 error (%)",
        xlim=(None, limit if any(errors["ten_crop"].value * 100 > limit for _, errors in found) else None),
    )
    axes.xaxis.set_major_formatter(PERCENT_TICKS)
    axes.tick_params(axis="y", length=0)
    base = next((errors["ten_crop"].value for each, errors in found if each.key == BASE), None)
    handles = list_kinds(experiments)
    if base is not None:
        label = f"{BASE}, {CROP_WORDS['ten_crop']}"
        handles.append(axes.axvline(100 * base, color=DARK, linewidth=1.0, linestyle="--", zorder=0.5, label=label))
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    best, worst = ((each.key, errors["ten_crop"].value) for each, errors in (found[0], found[-1]))
    return Drawing(
        figure,
        "Errors by variant",
        f"Top-1 error on {split}, the lowest above: the mean over seeds with its 95 % interval (over seeds where there "
        "are three or more, else over images), small dots each net. ⚠: nets that did not learn; an arrow points to an "
        "error that lies beyond the axis.",
        f"Errors of {len(found)} variants and ensembles on {split} of {dataset}, ten crops: from "
        f"{100 * best[1]:.1f} % ({best[0]}) to {100 * worst[1]:.1f} % ({worst[0]})"
        + (f"; {BASE} has {100 * base:.1f} %." if base is not None else "."),
    )


def find_largest(found: list[tuple[ExperimentResults, Errors]]) -> float:
    """The largest error in percent of a net that learned, or of all nets where none did; intervals count as well."""
    learned = [pair for pair in found if all(net.learned is not False for net in pair[0].nets)] or found
    return max(100 * errors[crops].high for _, errors in learned for crops in CROPS)


def draw_error(
    axes: Axes, place: int, experiment: ExperimentResults, found: Estimate, split: str, crops: str, limit: float
) -> None:
    """A large marker with its interval, and a dot for each of several nets."""
    colour, height = COLOURS[crops], place + SHIFTS[crops]
    value, low, high = (100 * each for each in (found.value, found.low, found.high))
    if value > limit:
        axes.plot(limit, height, ">", color=colour, markersize=6, clip_on=False)
        if crops == "ten_crop":
            axes.annotate(f"{value:.1f} %", (limit, place), (-8, 0), textcoords="offset points").set(
                ha="right", va="center", fontsize=8
            )
        return
    face = colour if crops == "ten_crop" else "white"
    axes.plot([low, high], [height, height], color=colour, linewidth=1.5)
    axes.plot(value, height, "o", color=colour, markerfacecolor=face, markersize=5.5)
    if len(experiment.nets) > 1:
        each = [100 * net.predictions[split]["errors"][crops]["top1"] for net in experiment.nets]
        axes.plot(each, np.full(len(each), height), ".", color=DARK, markersize=3)


def name_nets(results: Results, experiment: ExperimentResults) -> str:
    """ "no-lrn, 3 seeds", "5-cnns, average"; with a sign where not all of its nets learned."""
    learned = learned_of(results, experiment)
    what = count_seeds(experiment.seeds) if experiment.seeds else "average"
    return f"{'⚠ ' if learned else ''}{experiment.key}, {what}{in_brackets(learned)}"


def list_kinds(experiments: list[ExperimentResults]) -> list[Line2D]:
    """The legend's markers, of single nets where some variant has several."""
    handles = [
        Line2D([], [], color=BLUE, marker="o", markersize=5.5, label=f"{CROP_WORDS['ten_crop']}, 95 % interval"),
        Line2D([], [], color=ORANGE, marker="o", markerfacecolor="white", markersize=5.5, label=CROP_WORDS["centre"]),
    ]
    dots = Line2D([], [], color=DARK, marker=".", markersize=3, linestyle="", label="each net")
    return [*handles, dots] if any(len(each.nets) > 1 for each in experiments) else handles
