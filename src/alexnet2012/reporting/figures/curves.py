"""How the base net trained: its loss and its errors by epoch."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from alexnet2012.reporting.figures.style import (
    BLUE,
    BOLD,
    GREY,
    ORANGE,
    PERCENT_TICKS,
    THIN,
    WIDTH,
    Drawing,
    describe_scope,
    new_figure,
    subtitle,
)
from alexnet2012.reporting.results import Results

COLOURS = {"train_top1_error": BLUE, "val_top1_error": ORANGE}
LABELS = {"train_top1_error": "training images", "val_top1_error": "val"}


def draw_curves(results: Results, dataset: str) -> Drawing | None:
    """Training loss and both errors of the base net, a thin line for each seed and a bold one for their mean; where
    cnn was not trained, of the first net that was. None where that keeps no history."""
    experiment = results.find_base(dataset)
    if experiment is None or not (histories := experiment.histories()):
        return None
    figure = new_figure(WIDTH, 3.6)
    figure.suptitle(f"{experiment.key} on {subtitle(results, experiment)}")
    losses, errors = figure.subplots(1, 2)
    draw_seeds(losses, stack_seeds(histories, "train_loss"), BLUE)
    for column, colour in COLOURS.items():
        draw_seeds(errors, 100 * stack_seeds(histories, column), colour)
    losses.set(ylabel="training loss", ylim=(0, None))
    errors.set(ylabel="top-1 error (%)", ylim=(0, None))
    errors.yaxis.set_major_formatter(PERCENT_TICKS)
    for axes in (losses, errors):
        axes.set(xlabel="epoch", xlim=(0, None))
        axes.locator_params(axis="x", integer=True)
        draw_drops(axes, histories[0])
    handles = [Line2D([], [], color=COLOURS[column], label=LABELS[column], **BOLD) for column in COLOURS]
    handles.append(Line2D([], [], color=GREY, linestyle=":", label="learning rate drops"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    train, val = (100 * stack_seeds(histories, column)[:, -1].mean() for column in COLOURS)
    last = f"after the last epoch the error is {train:.1f} % on training images and {val:.1f} % on val"
    return Drawing(
        figure,
        "Learning curves of the base net",
        f"Left: the training loss, as it was minimised. Right: top-1 error, centre crop in evaluation "
        f"mode; {last}. Thin: each seed; bold: their mean. Net: {experiment.key} on "
        f"{describe_scope(results, experiment)}.",
        f"Training loss, training error and validation error of {experiment.key} by epoch: {last}.",
    )


def stack_seeds(histories: list[pd.DataFrame], column: str) -> np.ndarray:
    """A column of all histories (seeds, epochs), as far as the shortest goes."""
    epochs = min(map(len, histories))
    return np.array([history[column].to_numpy()[:epochs] for history in histories])


def draw_seeds(axes: Axes, values: np.ndarray, colour: str) -> None:
    """Thin lines for the seeds (seeds, epochs) and a bold one for their mean."""
    epochs = np.arange(1, values.shape[1] + 1)
    if len(values) > 1:
        axes.plot(epochs, values.T, color=colour, **THIN)
    axes.plot(epochs, values.mean(axis=0), color=colour, **BOLD)


def draw_drops(axes: Axes, history: pd.DataFrame) -> None:
    """A dotted line after each epoch behind which the learning rate was lower."""
    rates = history["learning_rate"].to_numpy()
    for epoch in history["epoch"].to_numpy()[:-1][np.diff(rates) < 0]:
        axes.axvline(epoch, color=GREY, linestyle=":", linewidth=1.0)
