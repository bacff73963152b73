"""Fully connected layers by oneDNN, against torch's own."""

import pytest
import torch
from torch import Tensor, nn

from alexnet2012.model.convolution import Linear


@pytest.fixture
def pair() -> tuple[Linear, nn.Linear]:
    """Ours and torch's with the same weights."""
    torch.manual_seed(0)
    ours, theirs = Linear(432, 384), nn.Linear(432, 384)
    theirs.load_state_dict(ours.state_dict())  # the names and shapes of its parameters are torch's
    return ours, theirs


def gradients(layer: nn.Linear, inputs: Tensor, weights: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad((layer(inputs) * weights).sum(), (inputs, layer.weight, layer.bias))


@pytest.mark.parametrize("images", [1, 128])
def test_float32_equals_torchs_in_float64_up_to_rounding(pair, images):
    ours, theirs = pair[0], pair[1].double()
    inputs, weights = torch.randn(images, 432, requires_grad=True), torch.randn(images, 384)
    wide = inputs.detach().double().requires_grad_()
    found = [ours(inputs), *gradients(ours, inputs, weights)]
    expected = [theirs(wide), *gradients(theirs, wide, weights.double())]
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == torch.float32 and not one.is_mkldnn
        assert (one - other).abs().max() <= 1e-6 * other.abs().max()
    with torch.inference_mode():
        assert torch.equal(ours(inputs), found[0])


def test_float64_and_bfloat16_are_torchs(pair):
    ours, theirs = pair
    inputs = torch.randn(5, 432)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ours(inputs), theirs(inputs))
    assert torch.equal(ours.double()(inputs.double()), theirs.double()(inputs.double()))


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this build of torch has no oneDNN")
def test_onednn_multiplies_float32(pair):
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        pair[0](torch.randn(5, 432))
    assert "aten::mkldnn_linear" in {each.key for each in profile.key_averages()}
