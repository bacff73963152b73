"""Figure 1: how fast a four-layer net learns with ReLUs and with tanh (§3.1, C11)."""

from textwrap import fill

from matplotlib.axes import Axes

from alexnet2012 import paper
from alexnet2012.claims.ledger import measure_number
from alexnet2012.claims.measurement import Measurement, describe_values, length
from alexnet2012.claims.measures_cifar import goal
from alexnet2012.reporting.figures.style import BLUE, DARK, ORANGE, PERCENT_TICKS, Drawing, name_seeds, new_figure
from alexnet2012.reporting.format import count_seeds, in_brackets
from alexnet2012.reporting.results import ExperimentResults, Results
from alexnet2012.reporting.trained_nets import TrainedNet

RELU, TANH = "four-layer-relu", "four-layer-tanh"
CLAIM = next(claim for claim in paper.CLAIMS if claim.id == "C11")
TITLE_LETTERS = 80  # of a line
LINES = {RELU: ("ReLU", BLUE, "-"), TANH: ("tanh", ORANGE, "--")}


def draw_figure1(results: Results, dataset: str) -> Drawing | None:
    """Training error by epoch of both nets, a line for each seed; None unless both were trained."""
    relu, tanh = (results.find(dataset, key) for key in LINES)
    if relu is None or tanh is None or not (relu.histories() and tanh.histories()):
        return None
    nets = [*relu.nets, *tanh.nets]
    targets = [net.training["target"]["train_error"] for net in nets if "target" in net.training]
    figure = new_figure(6.4, 4.2)
    axes = figure.subplots()
    for each in (relu, tanh):
        draw_lines(axes, each)
    if targets:
        axes.axhline(100 * targets[0], color=DARK, linewidth=0.8, linestyle=":")
        axes.annotate(
            f"{100 * targets[0]:.0f} %", (1, 100 * targets[0]), (-2, 3), ("axes fraction", "data"), "offset points"
        ).set(ha="right", va="bottom", fontsize=8)
    axes.set(xlabel="epoch", ylabel="training error (%)", ylim=(0, None), xlim=(0, None))
    axes.yaxis.set_major_formatter(PERCENT_TICKS)
    axes.locator_params(axis="x", integer=True)
    axes.legend(loc="upper right")
    ratio = describe_ratio(results, dataset, relu.nets[0])
    axes.set_title(f"Four-layer nets on {dataset}" + (f"\n{fill(ratio, TITLE_LETTERS)}" if ratio else ""))
    found = ratio[:1].upper() + ratio[1:]
    seeds = name_seeds(sorted({*relu.seeds, *tanh.seeds}))
    return Drawing(
        figure,
        "Figure 1: ReLU against tanh",
        f"Training error (evaluation mode) of a four-layer net on {dataset} by epoch, with ReLUs (solid) and with tanh "
        f"(dashed), each at the learning rate that a search of its own chose; a line for each of {seeds}, "
        f"{length(nets)}.{found and f' {found}; the paper has about six.'}",
        f"Training error by epoch of four-layer nets with ReLUs and with tanh. {found or length(nets)}.",
    )


def draw_lines(axes: Axes, experiment: ExperimentResults) -> None:
    name, colour, dashes = LINES[experiment.key]
    histories = experiment.histories()
    chosen = dict.fromkeys(history["learning_rate"][0] for history in histories)
    rates = ", ".join(f"{rate:g}" for rate in chosen)
    label = f"{name}, learning rate {rates} ({count_seeds(experiment.seeds)})"
    for history in histories:
        axes.plot(
            history["epoch"],
            100 * history["train_top1_error"],
            color=colour,
            linestyle=dashes,
            linewidth=1.0,
            alpha=0.85,
            label=label,
        )
        label = ""  # the first line stands for all


def describe_ratio(results: Results, dataset: str, relu: TrainedNet) -> str:
    """The ledger's number of C11 in words; empty where it has none."""
    outcome = measure_number(CLAIM, results, dataset)
    if not isinstance(outcome, Measurement):
        return ""
    return f"epochs to {goal(relu)}, tanh over ReLU: {describe_values(outcome)}{in_brackets(outcome.scope.learned)}"
