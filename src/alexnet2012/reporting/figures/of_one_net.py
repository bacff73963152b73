"""Figures of one net, which its run in MLflow shows: the confusion matrix and the kernels of its first layer."""

import math

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from alexnet2012.data.packed import PackedDataset
from alexnet2012.files import NET_FIGURES
from alexnet2012.reporting.figures.figure3 import COLUMNS, draw_kernels, read_kernels
from alexnet2012.reporting.figures.lettering import letter
from alexnet2012.reporting.figures.style import WIDTH, in_style, new_figure, save_figure
from alexnet2012.reporting.own_data import count_answers, probabilities_of
from alexnet2012.reporting.trained_nets import TrainedNet

MOST_CLASSES = 200  # of a confusion matrix
MOST_NAMED = 20  # classes with their names and counts in it
ROOM = 16  # letters of a name


def draw_net(net: TrainedNet, dataset: PackedDataset) -> None:
    """Write NET_FIGURES beside the weights of `net`, those for which weights, probabilities and classes allow it."""
    assert net.run_folder is not None, "an ensemble has no weights"
    confusions, kernels = (net.run_folder / name for name in NET_FIGURES)
    predicted = bool(net.predictions) and probabilities_of(net, list(net.predictions)[-1]).is_file()
    with in_style():
        if predicted and len(dataset.classes) <= MOST_CLASSES:
            save_figure(draw_confusions(net, dataset), confusions)
        if towers := read_kernels(net):
            figure = new_figure(WIDTH * 0.6, 0.6 + 0.45 * sum(math.ceil(len(each) / COLUMNS) for each in towers))
            draw_kernels(figure, towers, net, None)
            save_figure(figure, kernels)


def draw_confusions(net: TrainedNet, dataset: PackedDataset) -> Figure:
    """The images of each class (rows) by the net's answer, ten crops; shades are shares of the class."""
    counts = count_answers(net, dataset).table
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    classes, is_named = letter(dataset.classes, ROOM), len(counts) <= MOST_NAMED
    figure = new_figure(WIDTH, 0.9 * WIDTH)
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, label="share of the class", shrink=0.8)
    with rc_context({"font.family": classes.fonts}):
        if is_named:
            places = range(len(counts))
            axes.set_xticks(places, classes.names, rotation=90)
            axes.set_yticks(places, classes.names)
            for row, column in np.argwhere(counts):
                colour = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, f"{counts[row, column]}", ha="center", va="center", color=colour, fontsize=7)
    axes.grid(False)
    split = list(net.predictions)[-1]
    name = f"{net.training['variant']}, seed {net.seed}, {counts.sum():,} {split} images of {dataset.name}"
    axes.set(title=name, xlabel="answer" if is_named else "answer (class number)", ylabel="true class")
    return figure
