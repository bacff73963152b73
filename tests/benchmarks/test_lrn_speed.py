"""Response normalisation beside torch's: `pytest tests/benchmarks --benchmark-only`; plain `pytest` skips it."""

import math

import pytest
from contest import Contender, in_both
from judging import compare_speed, floor_of_bytes
from sizes import CORES, ROUNDS, pick

# The paper's two shapes, on all cores; the rehearsal's, on one, as its trainings run. Threads, repeats a call, goal.
LARGE, SMALL = (CORES, 1, 6.0), (1, pick(20, 2), 3.0)
SHAPES = [
    pytest.param([pick(128, 4), 96, 55, 55], *LARGE, id="96x55x55"),
    pytest.param([pick(128, 4), 256, 27, 27], *LARGE, id="256x27x27"),
    pytest.param([pick(128, 4), 16, 24, 24], *SMALL, id="16x24x24"),
    pytest.param([pick(128, 4), 48, 12, 12], *SMALL, id="48x12x12"),
]


@pytest.mark.benchmark(group="response normalisation")
@pytest.mark.parametrize(("shape", "threads", "repeats", "goal"), pick(SHAPES, SHAPES[1:3]))
def test_forward_and_backward(compete, record, shape, threads, repeats, goal):
    arguments = {"shape": shape, "repeats": repeats}
    ours = Contender("ours, channels_last", "contenders.lrn:make_ours", arguments, "job", threads)
    theirs = in_both(Contender("torch's LocalResponseNorm", "contenders.lrn:make_torch", arguments, "plain", threads))
    found, measured = compete([ours, *theirs], threads, rounds=2 * ROUNDS + 1)
    fastest, *rivals = found
    # Forward reads the maps and writes as many; backward reads the maps and the gradient and writes another.
    floor = floor_of_bytes(fastest, repeats * 5 * 4 * math.prod(shape), measured)
    record(
        f"LRN forward + backward, {'x'.join(map(str, shape))}",
        "calls",
        found,
        [compare_speed(fastest, each, goal) for each in rivals],
        floor,
    )


def test_both_compute_the_same():
    import torch
    from contenders.lrn import ours, torchs

    maps = 50 * torch.randn(2, 16, 5, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(maps), torchs()(maps), rtol=1e-4, atol=1e-5)
