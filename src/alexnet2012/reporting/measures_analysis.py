"""Claims about what the nets have learnt, from the analyses of their kernels and features (§6.1, figures 3 and 4)."""

import numpy as np

from alexnet2012 import paper
from alexnet2012.evaluation.statistics import estimate_difference
from alexnet2012.reporting.outcomes import Measurement, Unmeasurable, conditions, scope_of, take
from alexnet2012.reporting.results import Experiment, Results


def measure_specialisation(claim: paper.Claim, results: Results, dataset: str) -> Measurement:
    """C21: how much chroma each tower's kernels have; every run must show a difference, so the largest p counts.

    A permutation test of no difference can support the claim or leave it open, but never contradict it.
    """
    (net,) = take(results, dataset, *claim.variants)
    chroma = {seed: found["chroma"] for seed, found in analyses(net).items()}
    if None in chroma.values():
        raise Unmeasurable(f"{net.key} has one tower here, and one cannot specialise; give net.towers: 2")
    means = ", ".join(
        f"{min(found['means']):.3f} and {max(found['means']):.3f} (seed {seed})" for seed, found in chroma.items()
    )
    what = "chroma of the two towers' first kernels, permutation test, the largest p; it cannot contradict the claim"
    return Measurement(
        text=f"mean chroma of the two towers {means}",
        conditions=conditions([net], what, list(chroma)),
        scope=scope_of(results, [net], list(chroma)),
        p=max(float(found["p"]) for found in chroma.values()),
    )


def measure_neighbours(claim: paper.Claim, results: Results, dataset: str) -> Measurement:
    """C22: precision at k of same-class neighbours, in the last hidden layer minus among the pixels."""
    (net,) = take(results, dataset, *claim.variants)
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
    return Measurement(
        gain,
        beside=f"precision {100 * np.mean(features):.1f} against {100 * np.mean(pixels):.1f} %",
        conditions=conditions([net], what, list(found)),
        scope=scope_of(results, [net], list(found)),
    )


def analyses(experiment: Experiment) -> dict[int, dict]:
    """The analyses of an experiment's nets by seed; raises Unmeasurable where none was made."""
    found = {net.seed: net.analysis() for net in experiment.nets}
    found = {seed: each for seed, each in found.items() if each is not None}
    if not found:
        raise Unmeasurable(f"no analysis of {experiment.key}; run snakemake")
    return found
