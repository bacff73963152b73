import numpy as np
import pytest
import torch
from small_nets import build, draw_images, scaled_net
from torch import Tensor
from torch.nn import functional

from alexnet2012.config.nets import ConvConfig, NetConfig
from alexnet2012.model.alexnet import AlexNet
from alexnet2012.model.layered import initialise


def first_layer_at_224() -> AlexNet:
    """The paper's conv1 with two kernels, and next to nothing behind it."""
    few = {f"conv{k}": ConvConfig(kernels=2, kernel_px=3, pad=1) for k in (2, 3, 4, 5)}
    return AlexNet(NetConfig(conv1=ConvConfig(kernels=2, kernel_px=11, stride=4), fc_neurons=2, **few), 2).eval()


def conv1_outputs(model: AlexNet, images: Tensor) -> Tensor:
    kept = []
    # A clone: the ReLU that follows works in place.
    hook = model.conv1.register_forward_hook(lambda _, inputs, output: kept.append(output.clone()))
    with torch.no_grad():
        model(images)
    hook.remove()
    return kept[0]


def test_the_last_windows_of_conv1_hang_over_the_right_and_bottom_edge():
    model = first_layer_at_224()
    kernel = torch.arange(1.0, 122.0).reshape(11, 11)
    with torch.no_grad():
        model.conv1.weight.copy_(kernel.expand(2, 3, 11, 11))
        model.conv1.bias.zero_()
    images = torch.zeros(3, 3, 224, 224)
    images[0, 0, 223, 223] = 1.0
    images[1, 0, 0, 0] = 1.0
    images[2, 0, 223, 0] = 1.0
    outputs = conv1_outputs(model, images)
    assert outputs.shape == (3, 2, 55, 55)
    for image, (row, column, value) in enumerate(
        # Window 54 begins at 54 * 4 = 216, so pixel 223 is its eighth; window 53 ends at 222.
        [(54, 54, kernel[7, 7]), (0, 0, kernel[0, 0]), (54, 0, kernel[7, 0])]
    ):
        assert outputs[image, 0].nonzero().tolist() == [[row, column]]
        assert outputs[image, 0, row, column] == value


def test_conv1_is_a_plain_convolution_but_for_its_last_row_and_column():
    model = first_layer_at_224().double()
    initialise(model, torch.Generator().manual_seed(0))
    images = draw_images(1, 224, dtype=torch.float64)
    outputs = conv1_outputs(model, images)[0].numpy()
    unpadded = functional.conv2d(images, model.conv1.weight, model.conv1.bias, 4)[0].detach().numpy()
    assert unpadded.shape == (2, 54, 54)
    np.testing.assert_allclose(outputs[:, :54, :54], unpadded, rtol=1e-10, atol=1e-10)
    weight = model.conv1.weight.detach().numpy()
    for row, column in [(54, 54), (54, 10), (10, 54)]:
        patch = images[0, :, 4 * row : 4 * row + 11, 4 * column : 4 * column + 11].numpy()
        inside = weight[:, :, : patch.shape[1], : patch.shape[2]]
        np.testing.assert_allclose(outputs[:, row, column], (inside * patch).sum(axis=(1, 2, 3)), rtol=1e-9)


@pytest.mark.parametrize(("name", "own_half"), [("conv2", True), ("conv3", False), ("conv4", True), ("conv5", True)])
def test_which_layers_see_only_their_own_half(name, own_half):
    module = getattr(build(scaled_net(), 10), name)
    channels = module.in_channels
    maps = torch.rand(1, channels, 6, 6, generator=torch.Generator().manual_seed(1))
    changed = maps.clone()
    changed[:, channels // 2 :] += 1.0
    with torch.no_grad():
        moved = (module(maps) != module(changed)).flatten(2).any(dim=2)[0]
    first, second = moved.chunk(2)
    assert second.all()
    assert first.any() != own_half
    assert first.all() != own_half


def test_conv1_sees_all_three_colours_in_both_towers():
    module = build(scaled_net(), 10).conv1
    maps = torch.zeros(1, 3, 5, 5)
    with torch.no_grad():
        for colour in range(3):
            changed = maps.clone()
            changed[:, colour] = 1.0
            assert (module(changed) != module(maps)).flatten().tolist() == [True] * 24
