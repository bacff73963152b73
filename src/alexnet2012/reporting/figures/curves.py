"""How every run trained: its errors by epoch."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from alexnet2012.claims.measurement import length
from alexnet2012.reporting.figures.style import BLUE, GREY, ORANGE, PERCENT_TICKS, THIN, Drawing, new_figure
from alexnet2012.reporting.format import count_seeds
from alexnet2012.reporting.results import ExperimentResults, Results
from alexnet2012.reporting.trained_nets import count_learned

COLUMNS = 4
COLOURS = {"train_top1_error": BLUE, "val_top1_error": ORANGE}
LABELS = {"train_top1_error": "training images", "val_top1_error": "val"}
MUCH_LONGER = 2  # times the epochs of the first variant: such runs would press the others into a corner


def draw_curves(results: Results, dataset: str) -> Drawing | None:
    """A panel for each variant, a line for each seed; None where no run keeps its history."""
    trained = [each for each in results.on(dataset) if each.histories()]
    if not trained:
        return None
    rows = arrange(trained)
    columns = max(len(row) for row, _ in rows)
    figure = new_figure(max(2.4 * columns + 0.4, 4.6), 1.9 * len(rows) + 0.8)
    grid = figure.subplots(len(rows), columns, squeeze=False, sharey=True)
    for panels, (row, last_epoch) in zip(grid, rows, strict=True):
        for axes, experiment in zip(panels, row, strict=False):
            draw_panel(axes, experiment)
            axes.set_xlabel("epoch", labelpad=1)
            axes.set_xlim(0, last_epoch)
        panels[0].set_ylabel("top-1 error (%)")
        for axes in panels[len(row) :]:
            axes.remove()
    grid[0, 0].set_ylim(0, 100 * min(1.0, 1.05 * highest(trained)))
    grid[0, 0].yaxis.set_major_formatter(PERCENT_TICKS)
    figure.suptitle(f"Training curves on {dataset}")
    handles = [Line2D([], [], color=COLOURS[column], label=LABELS[column]) for column in COLOURS]
    handles.append(Line2D([], [], color=GREY, linestyle=":", label="learning rate drops"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    nets = [net for each in trained for net in each.nets]
    what = f"{count(len(trained), 'variant')}, {count(len(nets), 'run')} of {length(nets)}"
    return Drawing(
        figure,
        "Training curves",
        f"Top-1 error by epoch, centre crop in evaluation mode, on the training images and on val of {dataset}: "
        f"{what}, a thin line for each seed. In brackets the mean error on val after the last epoch; dotted lines mark "
        "drops of the learning rate.",
    )


def arrange(experiments: list[ExperimentResults]) -> list[tuple[list[ExperimentResults], int]]:
    """Rows of panels, each with the last epoch on its axis: the same for all rows, but for variants that trained much
    longer than the first one, which have rows of their own."""
    limit = MUCH_LONGER * epochs_of(experiments[0])
    short = [each for each in experiments if epochs_of(each) <= limit]
    long = [each for each in experiments if epochs_of(each) > limit]
    return [
        (group[start : start + COLUMNS], max(map(epochs_of, group)))
        for group in (short, long)
        for start in range(0, len(group), COLUMNS)
    ]


def epochs_of(experiment: ExperimentResults) -> int:
    return max(int(net.training["epochs"]) for net in experiment.nets)


def highest(experiments: list[ExperimentResults]) -> float:
    histories = [history for each in experiments for history in each.histories()]
    return max(float(history[column].max()) for history in histories for column in COLOURS)


def draw_panel(axes: Axes, experiment: ExperimentResults) -> None:
    histories = experiment.histories()
    for history in histories:
        for epoch in find_drops(history["learning_rate"].to_numpy(), history["epoch"].to_numpy()):
            axes.axvline(epoch, color=GREY, linestyle=":", linewidth=0.8, alpha=0.7)
        for column, colour in COLOURS.items():
            axes.plot(history["epoch"], 100 * history[column], color=colour, **THIN)
    final = np.mean([history["val_top1_error"].iloc[-1] for history in histories])
    learned = count_learned(experiment.nets)
    values = "; ".join(part for part in (f"{100 * final:.1f} %", learned) if part)
    axes.set_title(f"{experiment.key}, {count_seeds(experiment.seeds)} ({values})", fontsize=8)
    axes.tick_params(labelleft=True)
    axes.locator_params(axis="x", integer=True)


def find_drops(rates: np.ndarray, epochs: np.ndarray) -> list[int]:
    """The epochs after which the learning rate was lower."""
    return [int(epoch) for epoch, before, after in zip(epochs, rates, rates[1:], strict=False) if after < before]


def count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"
