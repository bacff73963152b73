"""Ten-crop evaluation of the full net beside a script with torchvision's TenCrop, and beside its forward passes."""

import pytest
from contest import Contender, in_both
from judging import compare_speed, compare_time, floor_of_flops
from our_steps import CLASSES, NEURONS
from sizes import CORES, pick

from alexnet2012.config.nets import NetConfig
from alexnet2012.config.schema import RuntimeConfig
from alexnet2012.model.geometry import list_layers

BATCH = pick(RuntimeConfig().evaluation_batch, 2)
IMAGES = BATCH
VIEWS = 100  # of the script in one pass: ten images


@pytest.mark.benchmark(group="evaluation")
def test_ten_crops(compete, record, packed, photographs):
    arguments = {"folder": str(packed), "neurons": NEURONS, "images": IMAGES, "batch": BATCH}
    ours = Contender("predict_crops", "contenders.evaluation:make_ours", arguments, "job", CORES)
    forward = Contender("ten forward passes alone", "contenders.evaluation:make_forward", arguments, "job", CORES)
    script = {"folder": str(photographs), "neurons": NEURONS, "images": IMAGES, "views": VIEWS, "workers": CORES}
    rivals = in_both(
        Contender("TenCrop + DataLoader, torch's LRN", "contenders.evaluation:make_script", script, "plain", CORES)
    )
    found, measured = compete([ours, forward, *rivals], CORES)
    own, passes, plain, same = found
    multiply_adds = sum(layer.multiply_adds for layer in list_layers(NetConfig(fc_neurons=NEURONS), CLASSES))
    record(
        f"ten-crop evaluation of the full net, {IMAGES} images",
        "images",
        found,
        [
            compare_speed(own, plain, 1.3),
            compare_speed(own, same, None),
            compare_time(own, passes, 1.05, "times the seconds"),
        ],
        floor_of_flops(own, 2.0 * multiply_adds * 10 * IMAGES, measured),
        note=f"ours {BATCH} crops in a pass, the script {VIEWS}, with {CORES} workers on the JPEGs that were packed",
    )
