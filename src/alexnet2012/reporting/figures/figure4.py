"""Figure 4: what the net says of test images, and which training images its features find alike (§6.1, C22)."""

from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from alexnet2012.claims.measurement import length
from alexnet2012.files import read_json
from alexnet2012.reporting.figures.lettering import letter
from alexnet2012.reporting.figures.style import (
    BLUE,
    DARK,
    GREY,
    LIGHT,
    ORANGE,
    WIDTH,
    Drawing,
    describe_scope,
    new_figure,
    show_image,
)
from alexnet2012.reporting.results import ExperimentResults, Results
from alexnet2012.reporting.trained_nets import TrainedNet

TEST_COLUMNS = 4
LONGEST_NAME = 16  # letters that fit beside an image
SHOWN = 20  # letters that no font has, in the caption
SPACES = {"features": "by features (fc7)", "pixels": "by pixels"}


def draw_figure4(results: Results, dataset: str) -> Drawing | None:
    """Figure 4 of the first analysed seed of cnn; None where none was analysed, or the data with the classes' names are
    gone."""
    experiment = results.find(dataset, "cnn")
    if experiment is None or (found := find_analysed(experiment)) is None:
        return None
    net, examples, neighbours = found
    manifest = net.data_folder / dataset / "manifest.json"
    if not manifest.is_file():
        return None
    classes = letter(read_json(manifest)["classes"], LONGEST_NAME)
    split = experiment.splits[-1]
    figure = new_figure(WIDTH, 7.2)
    figure.set_layout_engine(
        "constrained", w_pad=0.03, h_pad=0.03, hspace=0.02, wspace=0.02, rect=(0.01, 0, 0.98, 0.99)
    )
    figure.suptitle(f"cnn on {dataset}, {length([net])}, seed {net.seed}")
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=(3, 4), hspace=0.03)[:, 0]
    with rc_context({"font.family": classes.fonts}):
        draw_predictions(above, examples, classes.names, split)
    draw_neighbours(below, examples, neighbours)
    lost = f"{classes.missing[:SHOWN]}{'…' if len(classes.missing) > SHOWN else ''}"
    note = f" No installed font has {lost}: these letters are spelled as Python does." if lost else ""
    queries = f"{neighbours['queries']:,} queries from {split} among {neighbours['gallery']:,} training images"
    return Drawing(
        figure,
        "Figure 4: what the net has learnt",
        f"Above: images of {split} with their label and the five that the net finds most probable, the true one blue. "
        f"Below: five queries with the training images nearest to them by the features of the last hidden layer and by "
        f"pixels, those of another class framed; precision at {neighbours['k']} of {queries}. "
        f"Net: cnn on {describe_scope(results, experiment)}; shown is seed {net.seed}.{note}",
        f"{len(examples['test_images'])} images of {split} with bars for the five most probable labels, and "
        f"{len(examples['query_images'])} queries each beside its nearest training images: precision at "
        f"{neighbours['k']} is {100 * neighbours['features_precision']:.1f} % by features and "
        f"{100 * neighbours['pixels_precision']:.1f} % by pixels.",
    )


def find_analysed(
    experiment: ExperimentResults,
) -> tuple[TrainedNet, dict[str, np.ndarray], dict[str, Any]] | None:
    """The first net that was analysed, with its examples and what its features find near to each other."""
    for net in experiment.nets:
        if (examples := net.examples()) and (analysis := net.analysis()):
            return net, examples, analysis["neighbours"]
    return None


def draw_predictions(part: SubFigure, examples: dict[str, np.ndarray], classes: list[str], split: str) -> None:
    """Each image, and beside it its label and what the net finds most probable."""
    part.suptitle(f"Images of {split}, their label and the most probable labels", fontsize=9)
    images, labels = examples["test_images"], examples["test_labels"]
    rows = -(-len(images) // TEST_COLUMNS)
    panels = part.subplots(rows, 2 * TEST_COLUMNS, squeeze=False, width_ratios=[1, 1.2] * TEST_COLUMNS)
    for place, (picture, bars) in enumerate(panels.reshape(-1, 2)):
        if place >= len(images):
            picture.remove()
            bars.remove()
            continue
        show_image(picture, images[place])
        draw_bars(bars, examples["test_top5"][place], examples["test_probabilities"][place], labels[place], classes)


def draw_bars(axes: Axes, top: np.ndarray, probabilities: np.ndarray, label: int, classes: list[str]) -> None:
    """The label, and below it the most probable ones, a bar of length 1 for certainty; names stand on the bars."""
    axes.set_title(classes[label], color=BLUE, pad=3, loc="left")
    colours = [BLUE if each == label else ORANGE for each in top]
    axes.barh(range(len(top)), probabilities, height=0.9, color=colours, alpha=0.55)
    for place, each in enumerate(top):
        axes.text(0.02, place, classes[each], va="center", fontsize=8, color=DARK)
    axes.set(xlim=(0, 1), ylim=(len(top) - 0.4, -0.6), xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[["bottom", "left"]].set(color=LIGHT)


def draw_neighbours(part: SubFigure, examples: dict[str, np.ndarray], neighbours: dict[str, Any]) -> None:
    queries, shown = len(examples["query_images"]), examples["features_images"].shape[1]
    ratios = (1.25, shown + 0.4, 0.35, shown + 0.4)
    own, first, _, second = part.subfigures(1, 4, squeeze=False, width_ratios=ratios, wspace=0.0)[0]
    spaces = (first, second)
    own.suptitle("query", fontsize=9)
    for axes, image in zip(own.subplots(queries, 1, squeeze=False)[:, 0], examples["query_images"], strict=True):
        show_image(axes, image)
    for column, (space, words) in zip(spaces, SPACES.items(), strict=True):
        precision = 100 * neighbours[f"{space}_precision"]
        column.suptitle(f"nearest {words}; precision at {neighbours['k']}: {precision:.1f} %", fontsize=9)
        panels = column.subplots(queries, shown, squeeze=False)
        for query, near in np.ndindex(queries, shown):
            alike = examples[f"{space}_labels"][query, near] == examples["query_labels"][query]
            show_image(panels[query, near], examples[f"{space}_images"][query, near], None if alike else ORANGE)
    part.supxlabel("framed: of another class than the query's", fontsize=8, color=GREY)
