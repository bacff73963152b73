"""The claim about the time that the net takes on two GPUs (§3.2)."""

import math

from alexnet2012 import paper
from alexnet2012.evaluation.statistics import MANY_SEEDS, estimate_over_seeds
from alexnet2012.reporting.net import Net
from alexnet2012.reporting.outcomes import (
    Measurement,
    Unmeasurable,
    conditions,
    list_ratios,
    nets_of,
    scope_of,
    shared_seeds,
    sign_of_ratios,
)
from alexnet2012.reporting.results import Results


def measure_two_gpus(claim: paper.Claim, results: Results, dataset: str) -> Measurement:
    """C20: the time for an image of the one-GPU net, in times of the two-GPU net; the geometric mean over seeds.

    Three seeds or more: Student's t of the logarithms; fewer: the ratios alone. Raises Unmeasurable off GPUs: what two
    CPU processes take says nothing of them.
    """
    found = {key: results.find(dataset, key) for key in claim.variants}
    missing = [key for key, experiment in found.items() if experiment is None]
    if missing:
        raise Unmeasurable(f"needs GPUs, and on them an experiment of {', '.join(missing)}")
    one, two = found.values()
    seeds = shared_seeds(one, two)
    ones, twos = nets_of(one, seeds), nets_of(two, seeds)
    speeds = f"{list_speeds(twos)} images/s as two processes, {list_speeds(ones)} of {one.key}"
    if any(net.training.get("device") != "cuda" for net in (*ones, *twos)):
        raise Unmeasurable(f"needs GPUs; on CPUs {speeds}")
    if any(net.training.get("processes") != 2 for net in twos):
        raise Unmeasurable(f"{two.key} was trained on one GPU; run it with --resources gpu=2")
    ratios = [images_per_second(fast) / images_per_second(slow) for fast, slow in zip(twos, ones, strict=True)]
    settled = {"beside": speeds, "unit": "x", "scope": scope_of(results, [one, two], seeds)}
    words = conditions([one, two], f"time for an image, {one.key} over {two.key}", seeds)
    if len(seeds) >= MANY_SEEDS:
        logarithms = estimate_over_seeds([math.log(each) for each in ratios])
        return Measurement(logarithms, conditions=words, **settled)
    words = f"{words}; no test of fewer than {MANY_SEEDS} seeds"
    return Measurement(text=list_ratios(ratios, seeds), conditions=words, sign=sign_of_ratios(ratios), **settled)


def images_per_second(net: Net) -> float:
    """Of training alone, the median over epochs."""
    history = net.history()
    if history is None:
        raise Unmeasurable(f"{net.run_folder} has no history.parquet; train this net anew")
    return float(history["images_per_second"].median())


def list_speeds(nets: list[Net]) -> str:
    return ", ".join(f"{images_per_second(net):,.0f}" for net in nets)
