"""Our training step as a contender of several contests."""

from typing import Any

from contest import Contender
from sizes import CORES, pick

BATCH, CLASSES, NEURONS = pick(128, 4), 1000, pick(4096, 64)
FULL_NET = {"fc_neurons": NEURONS}
# A learning rate that keeps the loss of random images finite; its value costs nothing.
STILL = {"learning_rate": 1e-6}
FULL_RUN = {"size_px": 256, "net": FULL_NET, "training": {**STILL, "batch_size": BATCH, "torch_threads": CORES}}
NO_LRN_RUN = {**FULL_RUN, "net": {**FULL_NET, "lrn": None}}


def make_run(size_px: int, net: dict[str, Any], training: dict[str, Any]) -> dict[str, Any]:
    """The values of a RunConfig, for a net on images of `size_px`."""
    return {
        "name": "benchmark",
        "variant": "cnn",
        "seed": 0,
        "dataset_name": "random",
        "dataset": {"kind": "imagefolder", "folder": "none", "size_px": size_px},
        "net": net,
        "training": training,
        "runtime": {"device": "cpu"},
    }


def our_step(name: str, sizes: dict[str, Any], classes: int = CLASSES, steps: int = 1) -> Contender:
    arguments = {"run": make_run(**sizes), "classes": classes, "steps": steps}
    return Contender(name, "contenders.steps:make_ours", arguments, "job", sizes["training"]["torch_threads"])
