"""Convolutions whose stride is folded into the channels, against torch's own."""

import pytest
import torch
from torch.nn import functional

from alexnet2012.config.nets import ConvConfig, NetConfig
from alexnet2012.model.convolution import Convolution, fold
from alexnet2012.model.geometry import conv_layer


def build(size_px: int, kernel_px: int, stride: int, pad: int, channels: int = 3, groups: int = 1) -> Convolution:
    conv = ConvConfig(kernels=6, kernel_px=kernel_px, stride=stride, pad=pad)
    overhang = conv_layer(NetConfig(conv1=conv, towers=1), "conv1", channels, size_px).overhang_px
    torch.manual_seed(0)
    return Convolution(channels, 6, kernel_px, stride, pad, groups, overhang).double()


def plain(conv: Convolution, maps: torch.Tensor) -> torch.Tensor:
    """Zeros where the last windows hang over, then torch's convolution."""
    padded = functional.pad(maps, (0, conv.overhang_px, 0, conv.overhang_px))
    return functional.conv2d(padded, conv.weight, conv.bias, conv.stride, conv.padding, groups=conv.groups)


@pytest.mark.parametrize(
    ("size_px", "kernel_px", "stride", "pad"),
    [
        (224, 11, 4, 0),  # the paper's: hangs over by 3
        (227, 11, 4, 0),  # fits
        (28, 5, 2, 0),
        (29, 5, 2, 2),
        (17, 4, 4, 0),  # the kernel is a whole number of steps
        (20, 3, 3, 1),
        (16, 7, 5, 3),
        (11, 11, 4, 0),  # one position
    ],
)
def test_a_folded_stride_is_the_same_convolution(size_px, kernel_px, stride, pad):
    conv = build(size_px, kernel_px, stride, pad)
    assert conv.folds
    images = torch.randn(2, 3, size_px, size_px, dtype=torch.float64, requires_grad=True)
    found, expected = conv(images), plain(conv, images)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-12)
    weights = torch.randn_like(expected)
    wanted = (images, conv.weight, conv.bias)
    for one, other in zip(
        torch.autograd.grad((found * weights).sum(), wanted),
        torch.autograd.grad((expected * weights).sum(), wanted),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("channels", "stride", "groups"), [(3, 1, 1), (4, 2, 1), (6, 2, 2), (6, 4, 3)])
def test_other_layers_are_torchs_with_their_overhang(channels, stride, groups):
    conv = build(14, 5, stride, 1, channels, groups)
    assert not conv.folds
    maps = torch.randn(2, channels, 14, 14, dtype=torch.float64)
    assert torch.equal(conv(maps), plain(conv, maps))


def test_folding_puts_the_pixels_under_a_step_into_the_channels():
    maps = torch.arange(2 * 4 * 4.0).reshape(1, 2, 4, 4)
    folded = fold(maps, 2)
    assert folded.shape == (1, 8, 2, 2)
    # Rows of the step, then its columns, then the old channels: pixels (2, 0), (2, 1), (3, 0), (3, 1) of both.
    assert folded[0, :, 1, 0].tolist() == [8, 24, 9, 25, 12, 28, 13, 29]


def test_the_weights_keep_their_shape():
    assert build(224, 11, 4, 0).weight.shape == (6, 3, 11, 11)
