"""Claims about the nets themselves: what they have learnt (§6.1, figures 3 and 4), and the sizes of the paper's."""

import math
from typing import Any

import numpy as np

from alexnet2012 import paper
from alexnet2012.claims.measurement import Arithmetic, Measurement, Unmeasurable, measured, take_experiments
from alexnet2012.config.nets import CONV_NAMES, NetConfig
from alexnet2012.evaluation.statistics import estimate_difference
from alexnet2012.model.geometry import count_neurons, describe
from alexnet2012.reporting.results import ExperimentResults, Results


def measure_specialisation(claim: paper.Claim, results: Results, dataset: str) -> Measurement:
    """C21: how much chroma each tower's kernels have; every run must show a difference, so the largest p counts.

    A permutation test of no difference can support the claim or leave it open, but never contradict it.
    """
    (net,) = take_experiments(results, dataset, *claim.variants)
    chroma = {seed: found["chroma"] for seed, found in analyses(net).items()}
    if None in chroma.values():
        raise Unmeasurable(f"{net.key} has one tower here, and one cannot specialise; give net.towers: 2")
    means = ", ".join(
        f"{min(found['means']):.3f} and {max(found['means']):.3f} (seed {seed})" for seed, found in chroma.items()
    )
    what = "chroma of the two towers' first kernels, permutation test, the largest p; it cannot contradict the claim"
    p = max(float(found["p"]) for found in chroma.values())
    return measured(results, [net], what, seeds=list(chroma), text=f"mean chroma of the two towers {means}", p=p)


def measure_neighbours(claim: paper.Claim, results: Results, dataset: str) -> Measurement:
    """C22: precision at k of same-class neighbours, in the last hidden layer minus among the pixels."""
    (net,) = take_experiments(results, dataset, *claim.variants)
    found = {seed: analysis["neighbours"] for seed, analysis in analyses(net).items()}
    features, pixels = (
        [np.asarray(each[f"{name}_hits"]) / each["k"] for each in found.values()] for name in ("features", "pixels")
    )
    gain = estimate_difference(features, pixels, "queries")
    first = next(iter(found.values()))
    what = (
        f"precision at {first['k']} of same-class neighbours, features minus pixels, {first['queries']:,} queries "
        f"among {first['gallery']:,} images"
    )
    beside = f"precision {100 * np.mean(features):.1f} against {100 * np.mean(pixels):.1f} %"
    return measured(results, [net], what, gain, seeds=list(found), beside=beside)


def analyses(experiment: ExperimentResults) -> dict[int, dict[str, Any]]:
    """The analyses of an experiment's nets by seed; raises Unmeasurable where none was made."""
    made = {seed: net.analysis() for seed, net in zip(experiment.seeds, experiment.nets, strict=True)}
    found = {seed: each for seed, each in made.items() if each is not None}
    if not found:
        raise Unmeasurable(f"no analysis of {experiment.key}; run snakemake")
    return found


ARITHMETIC = "arithmetic, the paper's net"


def count_sizes(claim: paper.Claim, results: Results, dataset: str) -> Arithmetic:
    """C24: parameters and neurons, which are the paper's two figures if they are so when cut off after two digits."""
    counts = (
        describe(NetConfig(), paper.CLASS_COUNT)["parameters"],
        count_neurons(NetConfig(), paper.CLASS_COUNT),
    )
    kept = all(
        cut_off(count) == stated for count, stated in zip(counts, (paper.PARAMETERS, paper.NEURONS), strict=True)
    )
    rounded = " and ".join(f"{round(count, 1 - math.floor(math.log10(count))):,}" for count in counts)
    return Arithmetic(
        text=f"{counts[0]:,} parameters and {counts[1]:,} neurons",
        conditions=f"{ARITHMETIC}; the paper's are cut off after two digits, rounded they would be {rounded}",
        sign="supported" if kept else "contradicted",
    )


def count_conv_shares(claim: paper.Claim, results: Results, dataset: str) -> Arithmetic:
    """C25: each convolutional layer's share of the parameters."""
    table = describe(NetConfig(), paper.CLASS_COUNT)
    shares = {
        layer["name"]: layer["parameters"] / table["parameters"]
        for layer in table["layers"]
        if layer["name"] in CONV_NAMES
    }
    listed = ", ".join(f"{name} {share:.2%}" for name, share in shares.items()).replace("%", " %")
    kept = max(shares.values()) <= paper.CONV_SHARE
    return Arithmetic(text=listed, conditions=ARITHMETIC, sign="supported" if kept else "contradicted")


def cut_off(count: int, digits: int = 2) -> int:
    """60,965,224 as 60,000,000."""
    unit: int = 10 ** (math.floor(math.log10(count)) - digits + 1)
    return count // unit * unit
