"""The error of one net by the number of crops that its answer averages (§4.1, C03)."""

import numpy as np

from alexnet2012.reporting.figures.style import BLUE, BOLD, THIN, Drawing, describe_scope, new_figure, subtitle
from alexnet2012.reporting.results import Results

BY_CROPS = "errors_by_crops"


def draw_crops(results: Results, dataset: str) -> Drawing | None:
    """A thin line for each seed and their mean; None where predictions do not say these errors, as older ones."""
    experiment = results.find(dataset, "cnn")
    if experiment is None:
        return None
    split = experiment.splits[-1]
    if any(BY_CROPS not in net.predictions[split] for net in experiment.nets):
        return None
    errors = 100 * np.array([net.predictions[split][BY_CROPS] for net in experiment.nets])
    crops = np.arange(1, errors.shape[1] + 1)
    mean = errors.mean(axis=0)
    figure = new_figure(6.0, 4.0)
    axes = figure.subplots()
    if len(errors) > 1:
        axes.plot(crops, errors.T, color=BLUE, label=["each seed", *[None] * (len(errors) - 1)], **THIN)
    axes.plot(crops, mean, color=BLUE, marker="o", markersize=4, label="mean" if len(errors) > 1 else None, **BOLD)
    axes.set(xlabel="crops averaged", ylabel=f"top-1 error on {split} (%)", xticks=crops)
    gain = mean[0] - mean[-1]
    change = f"{abs(gain):.2f} points {'lower' if gain >= 0 else 'higher'} with {len(crops)} crops than with one"
    axes.set_title(f"cnn on {subtitle(results, experiment)}:\n{change}")
    if len(errors) > 1:
        axes.legend()
    return Drawing(
        figure,
        "Error by number of crops",
        f"Top-1 error on {split} when the first 1 to {len(crops)} crops are averaged: the centre, its mirror image, "
        f"then each corner and its mirror image. Net: cnn on {describe_scope(results, experiment)}; "
        f"the error is {change}.",
        f"Line of the top-1 error by the number of crops, from {mean[0]:.1f} % with one to {mean[-1]:.1f} % with "
        f"{len(crops)}.",
    )
