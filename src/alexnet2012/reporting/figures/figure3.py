"""Figure 3: the kernels of the first layer, the towers apart, and how coloured each is (§6.1, C21)."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from safetensors import safe_open

from alexnet2012.reporting.figures.style import (
    BLUE,
    ORANGE,
    WIDTH,
    Drawing,
    describe_scope,
    new_figure,
    show_image,
    subtitle,
)
from alexnet2012.reporting.results import ExperimentResults, Results
from alexnet2012.reporting.trained_nets import TrainedNet

COLUMNS = 16  # of kernels, as in the paper
PANEL = 3.2  # inches, beside the kernels
GAP_PX = 1
COLOURS = (BLUE, ORANGE)
GREY_VALUE = 0.5


def draw_figure3(results: Results, dataset: str) -> Drawing | None:
    """Kernels of cnn's first seed beside the chroma of all seeds' kernels; None without a trained cnn."""
    experiment = results.find(dataset, "cnn")
    if experiment is None or (kernels := read_kernels(experiment.nets[0])) is None:
        return None
    chroma = read_chroma(experiment)
    first = experiment.nets[0]
    panel = PANEL if chroma else 0.0
    rows = sum(math.ceil(len(tower) / COLUMNS) for tower in kernels)
    figure = new_figure(WIDTH - PANEL + panel, max(2.9, 1.2 + 0.45 * rows))
    figure.suptitle(f"Kernels of conv1, {subtitle(results, experiment)}")
    ratios = (WIDTH - PANEL, panel)
    parts = figure.subfigures(1, 2, squeeze=False, width_ratios=ratios)[0] if chroma else [figure]
    draw_kernels(parts[0], kernels, first, chroma.get(first.seed))
    if chroma:
        draw_chroma(parts[1].subplots(), chroma)
    size = kernels[0].shape[-1]
    towers = "tower 1 above, tower 2 below" if len(kernels) == 2 else "one tower"
    return Drawing(
        figure,
        "Figure 3: kernels of the first layer",
        f"The {sum(map(len, kernels))} kernels of conv1, {size}x{size} pixels, of seed {first.seed} ({towers}), each "
        f"scaled by its own largest weight, zero mid-grey"
        + ("; beside them the chroma energy of every kernel, by seed and tower. " if chroma else ". ")
        + f"Net: cnn on {describe_scope(results, experiment)}.",
        f"The {sum(map(len, kernels))} kernels of the first layer as small colour images ({towers})"
        + (", and their chroma energy as dots for each seed and tower." if chroma else "."),
    )


def read_kernels(net: TrainedNet) -> list[np.ndarray] | None:
    """Float32 (n, 3, size, size) of each tower; None where the run keeps no weights of conv1 and conv2."""
    path = net.run_file("model.safetensors")
    if path is None:
        return None
    with safe_open(path, framework="numpy") as weights:
        if not {"conv1.weight", "conv2.weight"} <= set(weights.keys()):
            return None
        kernels = weights.get_tensor("conv1.weight")
        # Figure 2: conv2 sees the maps of its own tower alone, so that its depth tells the number of towers.
        depth = weights.get_slice("conv2.weight").get_shape()[1]
    return np.split(kernels, len(kernels) // depth)


def read_chroma(experiment: ExperimentResults) -> dict[int | None, dict[str, Any]]:
    """The chroma of both towers by seed, of the nets that were analysed and have two."""
    found = {net.seed: (net.analysis() or {}).get("chroma") for net in experiment.nets}
    return {seed: chroma for seed, chroma in found.items() if chroma}


def draw_kernels(part: FigureBase, towers: list[np.ndarray], net: TrainedNet, chroma: dict[str, Any] | None) -> None:
    rows = [math.ceil(len(tower) / COLUMNS) for tower in towers]
    panels = part.subplots(len(towers), 1, squeeze=False, height_ratios=rows)[:, 0]
    for index, (axes, tower) in enumerate(zip(panels, towers, strict=True)):
        show_image(axes, tile(tower))
        name = f"tower {index + 1}, seed {net.seed}" if len(towers) > 1 else f"seed {net.seed}"
        mean = f": mean chroma energy {chroma['means'][index]:.2f}" if chroma else ""
        axes.set_title(name + mean)


def tile(kernels: np.ndarray) -> np.ndarray:
    """Kernels (n, 3, size, size) as one image (height, width, 3) in 0..1, in rows, white between them."""
    size = kernels.shape[-1]
    columns = min(COLUMNS, len(kernels))
    step = size + GAP_PX
    image = np.ones((math.ceil(len(kernels) / columns) * step - GAP_PX, columns * step - GAP_PX, 3))
    for index, kernel in enumerate(kernels):
        top, left = (place * step for place in divmod(index, columns))
        image[top : top + size, left : left + size] = to_colours(kernel)
    return image


def to_colours(kernel: np.ndarray) -> np.ndarray:
    """A kernel (3, size, size) as RGB (size, size, 3) in 0..1: its largest weight spans the range, zero is mid-grey."""
    largest = np.abs(kernel).max() or 1.0
    return GREY_VALUE + GREY_VALUE * kernel.transpose(1, 2, 0) / largest


def draw_chroma(axes: Axes, chroma: dict[int | None, dict[str, Any]]) -> None:
    """A dot for each kernel, a bar for each tower's mean, the seeds side by side."""
    for place, found in enumerate(chroma.values()):
        for tower, (energies, mean) in enumerate(zip(found["towers"], found["means"], strict=True)):
            middle, colour = place + 0.4 * tower - 0.2, COLOURS[tower]
            spread = np.linspace(-0.1, 0.1, len(energies))
            axes.scatter(middle + spread, energies, s=9, color=colour, alpha=0.7, linewidth=0)
            label = f"tower {tower + 1}" if place == 0 else ""
            axes.hlines(mean, middle - 0.17, middle + 0.17, color=colour, linewidth=2, label=label)
    names = [f"{seed}\np {probability(found['p'])}" for seed, found in chroma.items()]
    axes.set_xticks(range(len(chroma)), names)
    axes.set(xlabel="seed, p of a permutation test; bars: means", ylabel="chroma energy (share)", ylim=(-0.03, 1.03))
    axes.grid(False, axis="x")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def probability(p: float) -> str:
    return "< .001" if p < 0.001 else f"{p:.3f}".lstrip("0")
