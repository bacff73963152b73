import math

import pytest
from small_nets import ONE_GPU, PAPER, scaled_net, tiny_net

from alexnet2012.config.nets import ConvConfig, PoolConfig
from alexnet2012.errors import ConfigError
from alexnet2012.model.geometry import count_neurons, describe, list_layers, paper_fan_in

# Of each layer in order: its output, the inputs of one output, and the groups of maps that do not mix.
FIGURE_2 = {
    "conv1": ([96, 55, 55], 11 * 11 * 3, 1),
    "lrn1": ([96, 55, 55], 0, 2),
    "pool1": ([96, 27, 27], 0, 2),
    "conv2": ([256, 27, 27], 5 * 5 * 48, 2),
    "lrn2": ([256, 27, 27], 0, 2),
    "pool2": ([256, 13, 13], 0, 2),
    "conv3": ([384, 13, 13], 3 * 3 * 256, 1),
    "conv4": ([384, 13, 13], 3 * 3 * 192, 2),
    "conv5": ([256, 13, 13], 3 * 3 * 192, 2),
    "pool5": ([256, 6, 6], 0, 2),
    "fc6": ([4096], 6 * 6 * 256, 1),
    "fc7": ([4096], 4096, 1),
    "fc8": ([1000], 4096, 1),
}


def test_the_layers_of_the_paper_are_those_of_figure_2():
    layers = list_layers(PAPER, 1000)
    assert [layer.name for layer in layers] == list(FIGURE_2)
    assert {layer.name: (layer.output, layer.fan_in, layer.towers) for layer in layers} == FIGURE_2
    assert all(layer.parameters == layer.output[0] * (layer.fan_in + 1) for layer in layers if layer.fan_in)
    # The last window of conv1 covers 216..226 of 0..223; all others fit exactly.
    assert {layer.name: layer.overhang_px for layer in layers if layer.overhang_px} == {"conv1": 3}
    # 290,400 + 186,624 + 64,896 + 64,896 + 43,264 + 4,096 + 4,096 + 1,000
    assert count_neurons(PAPER, 1000) == 659_272


def test_the_one_gpu_net_halves_four_layers_and_has_one_tower():
    layers = {layer.name: layer for layer in list_layers(ONE_GPU, 1000)}
    kernels = {name: layers[name].output[0] for name in ("conv1", "conv2", "conv3", "conv4", "conv5")}
    assert kernels == {"conv1": 48, "conv2": 128, "conv3": 192, "conv4": 192, "conv5": 256}
    fan_in = {name: each for name, (_, each, _) in FIGURE_2.items() if each}
    assert paper_fan_in(PAPER) == fan_in
    assert {name: layer.fan_in for name, layer in layers.items() if layer.fan_in} == fan_in | {"conv3": 3 * 3 * 128}
    assert {layer.towers for layer in layers.values()} == {1}


def test_the_description_is_plain_rows_and_their_sums():
    table = describe(PAPER, 1000)
    keys = ["name", "kind", "kernel", "stride", "output", "parameters", "multiply_adds", "towers"]
    assert all(list(row) == keys for row in table["layers"])
    assert list(table["layers"][0].values()) == ["conv1", "conv", 11, 4, [96, 55, 55], 34_944, 55 * 55 * 96 * 363, 1]
    assert table["layers"][-1]["multiply_adds"] == 4_096_000
    assert (table["parameters"], table["multiply_adds"]) == (60_965_224, 724_406_816)
    assert table["multiply_adds"] == sum(row["multiply_adds"] for row in table["layers"])


@pytest.mark.parametrize(
    ("rounding", "sizes", "parameters"), [("up", [12, 6, 3], 708_970), ("down", [11, 5, 2], 545_130)]
)
def test_pools_round_as_told(rounding, sizes, parameters):
    table = describe(scaled_net(rounding), 10)
    assert [row["output"][1] for row in table["layers"] if row["kind"] == "pool"] == sizes
    assert table["parameters"] == parameters


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"conv1": ConvConfig(kernels=8, kernel_px=57)}, "net.conv1"),
        ({"conv1": ConvConfig(kernels=8, kernel_px=3, stride=4)}, "net.conv1"),
        ({"conv2": ConvConfig(kernels=12, kernel_px=10, pad=1)}, "net.conv2"),  # of 14 -> 7 pixels; 9 fit with the pad
        ({"conv5": ConvConfig(kernels=4, kernel_px=4)}, "net.conv5"),
        ({"pool": PoolConfig(size=15, stride=2)}, "net.pool"),
        ({"pool": PoolConfig(size=4, stride=2)}, "net.pool"),  # fits but for pool5's 2 pixels
        ({"pool": PoolConfig(size=2, stride=3)}, "net.pool"),
        ({"conv3": ConvConfig(kernels=7, kernel_px=3, pad=1)}, "net.conv3"),
        ({"conv3": ConvConfig(kernels=7, kernel_px=3, pad=1), "halved": ["conv3"], "towers": 1}, "net.conv3"),
        ({"conv4": ConvConfig(kernels=6, kernel_px=3, pad=1), "halved": ["conv4"]}, "net.conv4"),  # 3 on two towers
    ],
)
def test_sizes_that_cannot_be_built_name_their_place(changes, place):
    with pytest.raises(ConfigError, match=f"^{place}: "):
        list_layers(tiny_net(**changes), 10)


def test_every_size_that_is_built_covers_its_input():
    for crop in range(48, 96):  # below 48, conv1's outputs are too few for three pools
        conv1 = list_layers(tiny_net(crop_px=crop), 10)[0]
        reached = (conv1.output[1] - 1) * 4 + 7
        assert crop <= reached == crop + conv1.overhang_px < crop + 4
        assert conv1.output[1] == 1 + math.ceil((crop - 7) / 4)
