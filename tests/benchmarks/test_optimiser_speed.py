"""The paper's update rule beside torch.optim.SGD, foreach, on the full net's 61 million weights."""

import pytest
from contest import Contender, in_both
from judging import compare_speed, floor_of_bytes
from our_steps import NEURONS
from sizes import CORES, ROUNDS


@pytest.mark.benchmark(group="optimiser")
def test_an_update(compete, record):
    from contenders.plain_net import FULL, PlainAlexNet

    from alexnet2012.model.alexnet import count_parameters

    arguments = {"neurons": NEURONS}
    weights = count_parameters(PlainAlexNet(**FULL | arguments))
    ours = Contender("PaperSGD", "contenders.optimiser:make_ours", arguments, "job", CORES)
    theirs = in_both(
        Contender("torch.optim.SGD, foreach", "contenders.optimiser:make_torch", arguments, "plain", CORES)
    )
    found, measured = compete([ours, *theirs], CORES, rounds=2 * ROUNDS + 1)
    own, *rivals = found
    record(
        f"optimiser step, {weights / 1e6:.0f} M weights",
        "calls",
        found,
        [compare_speed(own, each, 1.0) for each in rivals],
        # Weights, gradients and velocities are read, weights and velocities written.
        floor_of_bytes(own, 5 * 4 * weights, measured),
    )
