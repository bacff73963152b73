"""Response normalisation beside torch's: `pytest tests/benchmarks --benchmark-only`; plain `pytest` skips it.

Compare the medians within a group: both contenders run in one process, on one thread.
"""

import pytest
import torch
from torch.nn.functional import local_response_norm as torch_local_response_norm

from alexnet2012.model.lrn import local_response_norm

SHAPES = [(32, 96, 55, 55), (32, 256, 27, 27), (128, 16, 24, 24), (128, 48, 12, 12)]


def ours(maps):
    return local_response_norm(maps, n=5, k=2.0, alpha=1e-4, beta=0.75)


def theirs(maps):
    return torch_local_response_norm(maps, size=5, k=2.0, alpha=5e-4, beta=0.75)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
@pytest.mark.parametrize("contender", [ours, theirs])
def test_forward_and_backward(benchmark, shape, contender):
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(shape, generator=generator).requires_grad_()
    gradient = torch.randn(shape, generator=generator)

    def step():
        maps.grad = None
        contender(maps).backward(gradient)

    benchmark.group = f"LRN forward + backward {shape}"
    benchmark.pedantic(step, warmup_rounds=1, rounds=7)
    assert maps.grad.shape == shape
