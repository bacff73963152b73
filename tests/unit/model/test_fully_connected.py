"""Fully connected layers by oneDNN, against torch's own."""

import pytest
import torch
from small_nets import build, draw_images, scaled_net
from torch import Tensor, nn
from torch.nn import functional

from alexnet2012.model.convolution import Linear


def pair(inputs: int = 432, outputs: int = 384) -> tuple[Linear, nn.Linear]:
    """Ours and torch's with the same weights."""
    torch.manual_seed(0)
    ours, theirs = Linear(inputs, outputs), nn.Linear(inputs, outputs)
    theirs.load_state_dict(ours.state_dict())  # the names and shapes of its parameters are torch's
    return ours, theirs


def gradients(layer: nn.Linear, inputs: Tensor, weights: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad((layer(inputs) * weights).sum(), (inputs, layer.weight, layer.bias))


@pytest.mark.parametrize("images", [1, 3, 128])
def test_float32_equals_torchs_in_float64_up_to_rounding(images):
    ours, theirs = pair()
    theirs = theirs.double()
    inputs, weights = torch.randn(images, 432, requires_grad=True), torch.randn(images, 384)
    wide = inputs.detach().double().requires_grad_()
    found = [ours(inputs), *gradients(ours, inputs, weights)]
    expected = [theirs(wide), *gradients(theirs, wide, weights.double())]
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == torch.float32 and not one.is_mkldnn
        assert (one - other).abs().max() <= 1e-6 * other.abs().max()


def test_float64_and_bfloat16_are_torchs():
    ours, theirs = pair()
    inputs = torch.randn(5, 432)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ours(inputs), theirs(inputs))
    assert torch.equal(ours.double()(inputs.double()), theirs.double()(inputs.double()))


def test_evaluation_gives_the_same_as_training():
    ours, _ = pair()
    inputs = torch.randn(5, 432)
    with torch.inference_mode():
        found = ours(inputs)
    assert torch.equal(found, ours(inputs))


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this build of torch has no oneDNN")
def test_onednn_multiplies_float32():
    ours, _ = pair()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        ours(torch.randn(5, 432))
    assert "aten::mkldnn_linear" in {each.key for each in profile.key_averages()}


def test_the_gradients_of_a_net_are_those_of_float64():
    """Compiled loops, oneDNN and the order of their sums: all of a step but its update."""
    net = build(scaled_net())
    images, labels = draw_images(4, scaled_net().crop_px), torch.arange(4) % 3
    random = torch.Generator().manual_seed(1)
    masks = tuple((torch.rand(4, scaled_net().fc_neurons, generator=random) >= 0.5).float() for _ in range(2))

    def differentiate(dtype: torch.dtype) -> list[Tensor]:
        typed = net.to(dtype)
        loss = functional.cross_entropy(typed(images.to(dtype), tuple(mask.to(dtype) for mask in masks)), labels)
        return list(torch.autograd.grad(loss, list(typed.parameters())))

    narrow, wide = differentiate(torch.float32), differentiate(torch.float64)
    for one, other in zip(narrow, wide, strict=True):
        assert other.abs().max() > 0
        assert (one - other).abs().max() <= 1e-5 * other.abs().max()
