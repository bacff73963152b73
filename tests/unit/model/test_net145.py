"""The nets of the 2012 source: net 145 in its own order of operations, and its variations 147, 148 and 150."""

import pytest
import torch
from small_nets import build, draw_images, tiny_net, variant
from torch import Tensor
from torch.nn import functional

from alexnet2012.config.nets import MapNormConfig, NetConfig
from alexnet2012.model.geometry import list_layers, paper_fan_in
from alexnet2012.model.lrn import normalise_within_maps

NORM = MapNormConfig()
SAME = [55, 27, 27, 13, 13, 13, 13, 6]


@pytest.mark.parametrize(
    ("name", "sides", "norms"),
    [
        ("net145", SAME, ["lrn1", "lrn2", "norm2"]),
        ("net145-2010", SAME, ["lrn1", "lrn2", "norm2"]),
        ("net145-half", SAME, ["lrn1", "lrn2", "norm2"]),
        ("net147", [55, 28, 26, 13, 13, 13, 11, 6], ["lrn1", "lrn2", "norm2"]),  # pools without overlap, rounded up
        ("net148", SAME, []),
        ("net150", SAME, ["lrn1", "lrn2", "norm2"]),
    ],
)
def test_sides_of_the_maps_and_normalisations(name, sides, norms):
    layers = list_layers(variant(name), 1000)
    assert [layer.output[1] for layer in layers if layer.kind in ("conv", "pool")] == sides
    assert [layer.name for layer in layers if layer.kind in ("lrn", "norm")] == norms


def test_towers_of_net_150_meet_in_the_fully_connected_layers_only():
    towers = {layer.name: layer.towers for layer in list_layers(variant("net150"), 1000)}
    assert [towers[name] for name in ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6")] == [1, 2, 2, 2, 2, 1]
    assert paper_fan_in(variant("net150"))["conv3"] == 9 * 128


def test_upper_convolutions_begin_three_times_as_wide_and_biases_as_in_the_paper():
    net = build(variant("net145").model_copy(update={"fc_neurons": 8}), classes=10)
    for name, std in {"conv1": 0.01, "conv2": 0.01, "conv3": 0.03, "conv4": 0.03, "conv5": 0.03}.items():
        assert float(getattr(net, name).weight.detach().std()) == pytest.approx(std, rel=0.02), name
    ones = [name for name in net.layers if hasattr(net, name) and float(getattr(net, name).bias.detach().mean()) == 1]
    assert ones == ["conv2", "conv4", "conv5", "fc6", "fc7"]


def in_the_sources_order(net, images: Tensor) -> Tensor:
    """Logits by torch's own functions: norm of conv1's linear output, ReLU after each pooling, both norms of conv2."""

    def across(maps: Tensor) -> Tensor:
        parts = maps.chunk(net.config.towers, 1)
        return torch.cat([functional.local_response_norm(part, 5, alpha=1e-4, beta=0.75, k=2.0) for part in parts], 1)

    def within(maps: Tensor) -> Tensor:
        kernel = torch.ones(maps.shape[1], 1, 5, 5)
        sums = functional.conv2d(maps.square(), kernel, padding=2, groups=maps.shape[1])
        return maps / (1 + 0.001 / 25 * sums) ** 0.75

    def pool(maps: Tensor) -> Tensor:
        return functional.max_pool2d(maps, 3, 2, ceil_mode=True)

    maps = functional.relu(pool(across(net.conv1(images))))
    maps = functional.relu(pool(within(across(functional.relu(net.conv2(maps))))))
    maps = functional.relu(net.conv4(functional.relu(net.conv3(maps))))
    maps = functional.relu(pool(net.conv5(maps)))
    neurons = functional.relu(net.fc6(maps.flatten(1))) / 2
    return net.fc8(functional.relu(net.fc7(neurons)) / 2)


def test_net_145_computes_what_the_source_computes():
    own = variant("net145").model_dump(include={"lrn", "normalised_linear", "map_norm", "layer_init_std"})
    net = build(NetConfig.model_validate(tiny_net().model_dump() | own)).eval()
    images = draw_images(3, net.config.crop_px)
    with torch.no_grad():
        for layer in ("conv1", "conv2"):
            getattr(net, layer).weight.mul_(20)  # so that what the norms divide by is far from constant
        torch.testing.assert_close(net(images), in_the_sources_order(net, images), rtol=1e-4, atol=1e-5)


def test_the_second_normalisation_is_the_sum_over_a_clipped_window():
    """In float64, pixel by pixel; the divisor does not shrink at the border."""
    maps = 30 * torch.randn(2, 3, 7, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = torch.empty_like(maps)
    for y in range(7):
        for x in range(6):
            window = maps[:, :, max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
            expected[:, :, y, x] = maps[:, :, y, x] / (1 + 0.001 / 25 * window.square().sum((2, 3))) ** 0.75
    torch.testing.assert_close(normalise_within_maps(maps, NORM), expected)
    torch.testing.assert_close(normalise_within_maps(maps.float(), NORM).double(), expected, rtol=1e-5, atol=1e-5)
