"""Claims that the paper's own net settles, without any run."""

import math

from alexnet2012 import paper
from alexnet2012.config.nets import CONV_NAMES, NetConfig
from alexnet2012.model.geometry import count_neurons, describe
from alexnet2012.reporting.outcomes import Measurement
from alexnet2012.reporting.results import Results

PAPER_CLASSES = 1000
ARITHMETIC = "arithmetic, the paper's net"


def count_sizes(claim: paper.Claim, results: Results, dataset: str) -> Measurement:
    """C24: parameters and neurons, which are the paper's two figures if they are so when cut off after two digits."""
    counts = describe(NetConfig(), PAPER_CLASSES)["parameters"], count_neurons(NetConfig(), PAPER_CLASSES)
    kept = all(
        cut_off(count) == stated for count, stated in zip(counts, (paper.PARAMETERS, paper.NEURONS), strict=True)
    )
    rounded = " and ".join(f"{round(count, 1 - math.floor(math.log10(count))):,}" for count in counts)
    return Measurement(
        text=f"{counts[0]:,} parameters and {counts[1]:,} neurons",
        conditions=f"{ARITHMETIC}; the paper's are cut off after two digits, rounded they would be {rounded}",
        sign="supported" if kept else "contradicted",
    )


def count_conv_shares(claim: paper.Claim, results: Results, dataset: str) -> Measurement:
    """C25: each convolutional layer's share of the parameters."""
    table = describe(NetConfig(), PAPER_CLASSES)
    shares = {
        layer["name"]: layer["parameters"] / table["parameters"]
        for layer in table["layers"]
        if layer["name"] in CONV_NAMES
    }
    listed = ", ".join(f"{name} {share:.2%}" for name, share in shares.items()).replace("%", " %")
    kept = max(shares.values()) <= paper.CONV_SHARE
    return Measurement(text=listed, conditions=ARITHMETIC, sign="supported" if kept else "contradicted")


def cut_off(count: int, digits: int = 2) -> int:
    """60,965,224 as 60,000,000."""
    unit = 10 ** (math.floor(math.log10(count)) - digits + 1)
    return count // unit * unit
