"""Figure 1: how fast a four-layer net learns with ReLUs and with tanh (§3.1, C11)."""

import math

import numpy as np
from matplotlib.axes import Axes

from alexnet2012.reporting.figures.style import (
    BLUE,
    DARK,
    ORANGE,
    PERCENT_TICKS,
    Drawing,
    name_seeds,
    new_figure,
)
from alexnet2012.reporting.outcomes import count_seeds, length
from alexnet2012.reporting.results import Experiment, Results

RELU, TANH = "four-layer-relu", "four-layer-tanh"
LINES = {RELU: ("ReLU", BLUE, "-"), TANH: ("tanh", ORANGE, "--")}


def draw(results: Results, dataset: str) -> Drawing | None:
    """Training error by epoch of both nets, a line for each seed; None unless both were trained."""
    pair = [results.find(dataset, key) for key in LINES]
    if None in pair or any(net.history() is None for each in pair for net in each.nets):
        return None
    relu, tanh = pair
    targets = [net.training["target"]["train_error"] for each in pair for net in each.nets if "target" in net.training]
    figure = new_figure(6.4, 4.2)
    axes = figure.subplots()
    for each in pair:
        draw_lines(axes, each)
    if targets:
        axes.axhline(100 * targets[0], color=DARK, linewidth=0.8, linestyle=":")
        axes.annotate(
            f"{100 * targets[0]:.0f} %", (1, 100 * targets[0]), (-2, 3), ("axes fraction", "data"), "offset points"
        ).set(ha="right", va="bottom", fontsize=8)
    axes.set(xlabel="epoch", ylabel="training error (%)", ylim=(0, None), xlim=(0, None))
    axes.yaxis.set_major_formatter(PERCENT_TICKS)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(loc="upper right")
    speed = describe_ratio(relu, tanh)
    axes.set_title(f"Four-layer nets on {dataset}: {speed}" if speed else f"Four-layer nets on {dataset}")
    return Drawing(
        figure,
        "Figure 1: ReLU against tanh",
        f"Training error (evaluation mode) of a four-layer net on {dataset} by epoch, with ReLUs (solid) and with tanh "
        f"(dashed), each at the learning rate that a search of its own chose; a line for each of {names(relu, tanh)}. "
        f"{speed[0].upper() + speed[1:] + '; ' if speed else ''}the paper's factor is about six.",
    )


def draw_lines(axes: Axes, experiment: Experiment) -> None:
    name, colour, dashes = LINES[experiment.key]
    chosen = dict.fromkeys(net.history()["learning_rate"][0] for net in experiment.nets)
    rates = ", ".join(f"{rate:g}" for rate in chosen)
    label = f"{name}, learning rate {rates} ({count_seeds(experiment.seeds)})"
    for net in experiment.nets:
        history = net.history()
        axes.plot(
            history["epoch"],
            100 * history["train_top1_error"],
            color=colour,
            linestyle=dashes,
            linewidth=1.0,
            alpha=0.85,
            label=label,
        )
        label = None  # the first line stands for all


def describe_ratio(relu: Experiment, tanh: Experiment) -> str:
    """How many times as many epochs tanh took to the target, the geometric mean over the seeds that both have.

    Where tanh did not get there, the epochs that it had are a bound; empty where ReLU did not.
    """
    fast, slow = ({net.seed: net.training for net in each.nets if "target" in net.training} for each in (relu, tanh))
    shared = sorted(fast.keys() & slow.keys())
    if not shared or any(fast[seed]["target"]["epochs"] is None for seed in shared):
        return ""
    bound = any(slow[seed]["target"]["epochs"] is None for seed in shared)
    taken = [
        (slow[seed]["target"]["epochs"] or slow[seed]["epochs"], fast[seed]["target"]["epochs"]) for seed in shared
    ]
    ratio = math.exp(np.mean([math.log(tanh_epochs / relu_epochs) for tanh_epochs, relu_epochs in taken]))
    goal = f"{100 * fast[shared[0]]['target']['train_error']:.0f} %"
    return f"tanh takes {'over ' if bound else ''}{ratio:.1f} times the epochs of ReLU to {goal}"


def names(relu: Experiment, tanh: Experiment) -> str:
    seeds = name_seeds(sorted({*relu.seeds, *tanh.seeds}))
    return f"{seeds}, {length([*relu.nets, *tanh.nets])}"
