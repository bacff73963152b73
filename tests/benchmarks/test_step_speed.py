"""Training steps beside torch's parts, beside our net without response normalisation, beside torchvision's AlexNet."""

from pathlib import Path

import pytest
from contest import Contender, Contest, in_both
from judging import compare_speed, compare_time, floor_of_flops
from our_steps import BATCH, CLASSES, FULL_NET, FULL_RUN, NEURONS, NO_LRN_RUN, STILL, our_step
from sizes import CORES, ROUNDS, pick

from alexnet2012.config.nets import NetConfig
from alexnet2012.config.plan import describe_target
from alexnet2012.model.geometry import count_flops

CONFIG = Path(__file__).parents[2] / "config"


@pytest.mark.benchmark(group="training step, full net")
def test_full_net_beside_torchs_parts(compete, record):
    arguments = {"sizes": "full", "neurons": NEURONS, "crop_px": 224, "batch": BATCH}
    parts = in_both(Contender("torch's LRN and SGD", "contenders.steps:make_torch_parts", arguments, "plain", CORES))
    found, measured = compete([our_step("our net", FULL_RUN), *parts], CORES, rounds=2 * ROUNDS + 1)
    step, plain, same = found
    record(
        f"training step of the full net, batch {BATCH}",
        "images",
        found,
        [compare_speed(step, plain, 2.4), compare_speed(step, same, 1.35)],
        floor_of_flops(step, count_flops(NetConfig.model_validate(FULL_NET), CLASSES, BATCH), measured),
    )


@pytest.mark.benchmark(group="training step, full net")
def test_full_net_beside_no_lrn_and_torchvision(hold, record):
    own, bare = our_step("our net", FULL_RUN), our_step("our net without LRN", NO_LRN_RUN)
    arguments = {"crop_px": 224, "batch": BATCH}
    plain, same = in_both(
        Contender("torchvision's AlexNet, no LRN", "contenders.steps:make_torchvision", arguments, "plain", CORES)
    )
    with Contest([own, bare, plain, same]) as contest:
        hold(contest, rounds=2 * ROUNDS + 1)
        found = contest.results()
    step = found[own.label]
    record(
        f"training step of the full net, batch {BATCH}, with LRN and without",
        "images",
        found.values(),
        [
            compare_time(step, found[bare.label], 1.06, "times the seconds"),
            compare_speed(step, found[plain.label], 1.0),
            compare_speed(step, found[same.label], None),
        ],
        note="torchvision's net has 0.71 billion multiply-adds an image and no LRN, ours 0.72 billion",
    )


@pytest.mark.benchmark(group="training step, scaled net")
def test_scaled_net_beside_torchs_parts(compete, record):
    net = describe_target("cnn", CONFIG / "variants.yaml", CONFIG / "config.yaml")
    batch, steps = pick(128, 16), pick(10, 1)
    training = {**STILL, "batch_size": batch, "torch_threads": 1}
    own = our_step("our net", {"size_px": 32, "net": net.model_dump(), "training": training}, 10, steps)
    arguments = {"sizes": "scaled", "neurons": net.fc_neurons, "crop_px": net.crop_px, "batch": batch, "steps": steps}
    parts = in_both(Contender("torch's LRN and SGD", "contenders.steps:make_torch_parts", arguments, "plain", 1))
    found, measured = compete([own, *parts], rounds=2 * ROUNDS + 1)
    step, plain, same = found
    record(
        f"training step of the rehearsal's scaled net, batch {batch}",
        "images",
        found,
        [compare_speed(step, plain, 1.6), compare_speed(step, same, None)],
        floor_of_flops(step, count_flops(net, 10, steps * batch), measured),
    )


def test_torchs_parts_make_the_same_nets():
    from contenders.plain_net import SIZES, PlainAlexNet

    from alexnet2012.model.alexnet import count_parameters

    counts = {name: count_parameters(PlainAlexNet(**sizes)) for name, sizes in SIZES.items()}
    assert counts == {"full": 60_965_224, "scaled": 388_906}
