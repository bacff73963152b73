"""The nets of the 2012 source: net 145 in its own order of operations, and its variations 147, 148 and 150."""

from pathlib import Path

import pytest
import torch
from small_nets import build, draw_images, tiny_net
from torch import Tensor
from torch.nn import functional

from alexnet2012.config.nets import MapNormConfig, NetConfig
from alexnet2012.config.plan import describe_target
from alexnet2012.model.geometry import describe, paper_fan_in
from alexnet2012.model.lrn import normalise_within_maps

VARIANTS = Path(__file__).parents[3] / "config" / "variants.yaml"
NETS = ("net145", "net145-2010", "net145-half", "net147", "net148", "net150")
NORM = MapNormConfig()


def of_the_source(name: str) -> NetConfig:
    return describe_target(name, VARIANTS, None)


def outputs(name: str) -> list[int]:
    """Sides of the maps after conv1, pool1, conv2, pool2, conv3, conv4, conv5 and pool5."""
    layers = describe(of_the_source(name), 1000)["layers"]
    return [layer["output"][1] for layer in layers if layer["kind"] in ("conv", "pool")]


@pytest.mark.parametrize("name", ["net145", "net145-2010", "net145-half", "net148", "net150"])
def test_maps_are_as_large_as_the_papers(name):
    assert outputs(name) == [55, 27, 27, 13, 13, 13, 13, 6]


def test_net_147_pools_without_overlap_rounded_up():
    assert outputs("net147") == [55, 28, 26, 13, 13, 13, 11, 6]


def test_normalisations_follow_conv1_and_twice_conv2():
    kinds = {
        name: [
            layer["name"]
            for layer in describe(of_the_source(name), 1000)["layers"]
            if layer["kind"][:3] in ("lrn", "nor")
        ]
        for name in ("net145", "net148")
    }
    assert kinds == {"net145": ["lrn1", "lrn2", "norm2"], "net148": []}


def test_towers_of_net_150_meet_in_the_fully_connected_layers_only():
    towers = {layer["name"]: layer["towers"] for layer in describe(of_the_source("net150"), 1000)["layers"]}
    assert [towers[name] for name in ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6")] == [1, 2, 2, 2, 2, 1]
    assert paper_fan_in(of_the_source("net150"))["conv3"] == 9 * 128


def test_upper_convolutions_begin_three_times_as_wide_and_biases_as_in_the_paper():
    net = build(of_the_source("net145"), classes=10)
    for name, std in {"conv1": 0.01, "conv2": 0.01, "conv3": 0.03, "conv4": 0.03, "conv5": 0.03, "fc6": 0.01}.items():
        weight = getattr(net, name).weight
        assert float(weight.detach().std()) == pytest.approx(std, rel=0.02), name
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
    own = of_the_source("net145").model_dump(include={"lrn", "normalised_linear", "map_norm", "layer_init_std"})
    net = build(NetConfig.model_validate(tiny_net().model_dump() | own)).eval()
    images = draw_images(3, net.config.crop_px)
    with torch.no_grad():
        for layer in ("conv1", "conv2"):
            getattr(net, layer).weight.mul_(20)  # so that what the norms divide by is far from constant
        expected = in_the_sources_order(net, images)
        torch.testing.assert_close(net(images), expected, rtol=1e-4, atol=1e-5)
        other = build(tiny_net()).eval()
        other.load_state_dict(net.state_dict())
        assert not torch.allclose(other(images), expected, rtol=1e-2)


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


def test_the_second_normalisation_has_the_gradient_of_its_formula():
    maps = (20 * torch.randn(1, 2, 5, 5, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda given: normalise_within_maps(given, NORM), maps)


@pytest.mark.parametrize("towers", [1, 2])
def test_the_sixth_layer_stands_over_the_last_pooling_and_sees_both_towers(towers):
    net = build(tiny_net(sixth_layer=True, towers=towers, dropout=0.0)).eval()
    assert net.conv6.weight.shape == (4, 4, 3, 3)  # as many kernels as conv5, every map of pool5
    images, seen = draw_images(2, net.config.crop_px), {}
    net.conv6.register_forward_hook(lambda module, inputs, output: seen.update(input=inputs[0], output=output.clone()))
    net.fc6.register_forward_hook(lambda module, inputs, output: seen.update(fc6=inputs[0]))
    net(images)
    assert seen["input"].shape[2:] == (1, 1)  # 3 pixels, pooled
    torch.testing.assert_close(seen["fc6"], functional.relu(seen["output"]).flatten(1))
