"""Our training step as a contender of several contests, and what it costs at the least."""

from typing import Any

from contest import Contender
from sizes import CORES, pick

from alexnet2012.config.nets import NetConfig
from alexnet2012.model.geometry import list_layers

BATCH, CLASSES, NEURONS = pick(128, 4), 1000, pick(4096, 64)
FULL_NET = {"fc_neurons": NEURONS}
# A learning rate that keeps the loss of random images finite; its value costs nothing.
STILL = {"learning_rate": 1e-6}
FULL_RUN = {"size_px": 256, "net": FULL_NET, "training": {**STILL, "batch_size": BATCH, "torch_threads": CORES}}
NO_LRN_RUN = {**FULL_RUN, "net": {**FULL_NET, "lrn": None}}


def make_run(size_px: int, net: dict[str, Any], training: dict[str, Any], device: str = "cpu") -> dict[str, Any]:
    """The values of a RunConfig, for a net on images of `size_px`."""
    return {
        "name": "benchmark",
        "variant": "cnn",
        "seed": 0,
        "dataset_name": "random",
        "dataset": {"kind": "imagefolder", "folder": "none", "size_px": size_px},
        "net": net,
        "training": training,
        "runtime": {"device": device},
    }


def our_step(name: str, sizes: dict[str, Any], classes: int = CLASSES, steps: int = 1) -> Contender:
    arguments = {"run": make_run(**sizes), "classes": classes, "steps": steps}
    return Contender(name, "contenders.steps:make_ours", arguments, "job", sizes["training"]["torch_threads"])


def count_flops(net: NetConfig, classes: int, images: float) -> float:
    """Of a step: forward, and as much again for the weights' gradient and for the input's, which conv1 does not need.

    The full net on 128 images: 2 x (3 x 724,406,816 - 105,415,200) x 128 = 529 GFLOP.
    """
    layers = list_layers(net, classes)
    multiply_adds = 3 * sum(layer.multiply_adds for layer in layers) - layers[0].multiply_adds
    return 2.0 * multiply_adds * images
