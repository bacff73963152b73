import math

import pytest
from small_nets import ONE_GPU, PAPER, scaled_net, tiny_net

from alexnet2012.config.nets import WEIGHT_NAMES, ConvConfig, NetConfig, PoolConfig
from alexnet2012.errors import ConfigError
from alexnet2012.model.geometry import count_neurons, describe, list_layers, paper_fan_in


def rows(net: NetConfig, classes: int = 1000) -> dict:
    return {row["name"]: row for row in describe(net, classes)["layers"]}


@pytest.mark.parametrize(
    ("net", "classes", "parameters"),
    [
        (PAPER, 1000, 60_965_224),
        (ONE_GPU, 1000, 59_798_312),
        (scaled_net("up"), 10, 708_970),
        (scaled_net("down"), 10, 545_130),
    ],
    ids=["paper", "one-gpu", "scaled-up", "scaled-down"],
)
def test_parameters_are_exact(net, classes, parameters):
    assert describe(net, classes)["parameters"] == parameters


def test_parameters_of_each_layer_of_the_paper():
    parameters = {name: row["parameters"] for name, row in rows(PAPER).items() if row["parameters"]}
    assert parameters == {
        "conv1": 96 * (11 * 11 * 3 + 1),
        "conv2": 256 * (5 * 5 * 48 + 1),
        "conv3": 384 * (3 * 3 * 256 + 1),
        "conv4": 384 * (3 * 3 * 192 + 1),
        "conv5": 256 * (3 * 3 * 192 + 1),
        "fc6": 4096 * (9216 + 1),
        "fc7": 4096 * (4096 + 1),
        "fc8": 1000 * (4096 + 1),
    }


def test_parameters_of_the_one_gpu_net_by_layer():
    parameters = {name: row["parameters"] for name, row in rows(ONE_GPU).items() if row["parameters"]}
    assert parameters == {
        "conv1": 48 * (11 * 11 * 3 + 1),
        "conv2": 128 * (5 * 5 * 48 + 1),
        "conv3": 192 * (3 * 3 * 128 + 1),
        "conv4": 192 * (3 * 3 * 192 + 1),
        "conv5": 256 * (3 * 3 * 192 + 1),
        "fc6": 4096 * (9216 + 1),
        "fc7": 4096 * (4096 + 1),
        "fc8": 1000 * (4096 + 1),
    }


def test_neurons_of_the_paper():
    # 290,400 + 186,624 + 64,896 + 64,896 + 43,264 + 4,096 + 4,096 + 1,000
    assert count_neurons(PAPER, 1000) == 659_272


def test_sizes_of_the_paper_layer_by_layer():
    layers = rows(PAPER)
    maps = [name for name, row in layers.items() if row["kind"] in ("conv", "pool")]
    assert maps == ["conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5"]
    assert [layers[name]["output"] for name in maps] == [
        [96, 55, 55],
        [96, 27, 27],
        [256, 27, 27],
        [256, 13, 13],
        [384, 13, 13],
        [384, 13, 13],
        [256, 13, 13],
        [256, 6, 6],
    ]
    assert [layers[name]["output"] for name in ("fc6", "fc7", "fc8")] == [[4096], [4096], [1000]]


def test_layers_stand_in_the_paper_order():
    first = ["conv1", "lrn1", "pool1", "conv2", "lrn2", "pool2"]
    assert list(rows(PAPER)) == [*first, "conv3", "conv4", "conv5", "pool5", "fc6", "fc7", "fc8"]
    assert list(rows(NetConfig(lrn=None)))[:5] == ["conv1", "pool1", "conv2", "pool2", "conv3"]


def test_the_towers_of_each_layer():
    layers = rows(PAPER)
    assert {name: layers[name]["towers"] for name in WEIGHT_NAMES} == {
        "conv1": 1,
        "conv2": 2,
        "conv3": 1,
        "conv4": 2,
        "conv5": 2,
        "fc6": 1,
        "fc7": 1,
        "fc8": 1,
    }
    assert layers["lrn1"]["towers"] == layers["lrn2"]["towers"] == 2
    assert {row["towers"] for row in rows(ONE_GPU).values()} == {1}


def test_fan_in_at_the_paper_sizes_is_that_of_figure_2():
    fan_in = {
        "conv1": 11 * 11 * 3,
        "conv2": 5 * 5 * 48,
        "conv3": 3 * 3 * 256,
        "conv4": 3 * 3 * 192,
        "conv5": 3 * 3 * 192,
        "fc6": 6 * 6 * 256,
        "fc7": 4096,
        "fc8": 4096,
    }
    assert paper_fan_in(PAPER) == fan_in
    assert paper_fan_in(ONE_GPU) == {**fan_in, "conv3": 3 * 3 * 128}


def test_a_stride_that_skips_pixels_is_refused():
    with pytest.raises(ConfigError, match="net.conv1: stride 4 would skip pixels between kernels of 3"):
        list_layers(NetConfig(conv1=ConvConfig(kernels=96, kernel_px=3, stride=4)), 10)


def test_sizes_round_up_where_the_stride_does_not_divide():
    layers = {layer.name: layer for layer in list_layers(PAPER, 1000)}
    # The last window of conv1 covers 216..226 of 0..223; the pools of 55, 27 and 13 by 3/2 fit exactly.
    assert layers["conv1"].overhang_px == 54 * 4 + 11 - 224 == 3
    assert [layers[name].overhang_px for name in ("pool1", "pool2", "pool5")] == [0, 0, 0]


@pytest.mark.parametrize(("rounding", "sizes"), [("up", [12, 6, 3]), ("down", [11, 5, 2])])
def test_pools_round_as_told(rounding, sizes):
    layers = rows(scaled_net(rounding), 10)
    assert [layers[name]["output"][1] for name in ("pool1", "pool2", "pool5")] == sizes


def test_the_2012_net_of_pooling_2x2_ends_at_six():
    # original-code.md: 55 -> 28 -> 26 -> 13 -> 13 -> 11 -> 6, conv2 with pad 1 and conv5 with pad 0
    net = NetConfig(
        pool=PoolConfig(size=2, stride=2),
        conv2=ConvConfig(kernels=256, kernel_px=5, pad=1),
        conv5=ConvConfig(kernels=256, kernel_px=3, pad=0),
    )
    layers = rows(net)
    names = ("conv1", "pool1", "conv2", "pool2", "conv4", "conv5", "pool5")
    assert [layers[name]["output"][1] for name in names] == [55, 28, 26, 13, 13, 11, 6]
    assert describe(net, 1000)["parameters"] == 60_965_224


def test_multiply_adds_of_the_paper():
    layers = rows(PAPER)
    assert layers["conv1"]["multiply_adds"] == 55 * 55 * 96 * 363 == 105_415_200
    assert layers["conv2"]["multiply_adds"] == 27 * 27 * 256 * 1200
    assert layers["fc8"]["multiply_adds"] == 4_096_000
    assert {layers[name]["multiply_adds"] for name in ("lrn1", "pool1", "lrn2", "pool2", "pool5")} == {0}
    assert describe(PAPER, 1000)["multiply_adds"] == 724_406_816


def test_the_description_is_plain_rows_and_their_sums():
    table = describe(PAPER, 1000)
    assert set(table) == {"layers", "parameters", "multiply_adds"}
    keys = ["name", "kind", "kernel", "stride", "output", "parameters", "multiply_adds", "towers"]
    assert all(list(row) == keys for row in table["layers"])
    assert table["parameters"] == sum(row["parameters"] for row in table["layers"])
    assert table["multiply_adds"] == sum(row["multiply_adds"] for row in table["layers"])
    assert table["layers"][0] == {
        "name": "conv1",
        "kind": "conv",
        "kernel": 11,
        "stride": 4,
        "output": [96, 55, 55],
        "parameters": 34_944,
        "multiply_adds": 105_415_200,
        "towers": 1,
    }
    assert table["layers"][-1]["name"] == "fc8"
    assert [row["kind"] for row in table["layers"]].count("fc") == 3
    assert (table["layers"][-1]["kernel"], table["layers"][-1]["stride"]) == (None, None)


@pytest.mark.parametrize("name", ["conv1", "conv2", "conv3", "conv4", "conv5"])
def test_an_odd_number_of_kernels_does_not_fit_two_towers(name):
    net = tiny_net(**{name: ConvConfig(kernels=7, kernel_px=3, pad=1, stride=4 if name == "conv1" else 1)})
    with pytest.raises(ConfigError, match=f"net.{name}: 7 kernels cannot be split over 2 towers"):
        list_layers(net, 10)


def test_an_odd_number_of_kernels_cannot_be_halved():
    net = tiny_net(towers=1, halved=["conv3"], conv3=ConvConfig(kernels=7, kernel_px=3, pad=1))
    with pytest.raises(ConfigError, match="net.conv3: 7 kernels cannot be halved"):
        list_layers(net, 10)


def test_halves_must_still_fit_two_towers():
    net = tiny_net(halved=["conv4"], conv4=ConvConfig(kernels=6, kernel_px=3, pad=1))
    with pytest.raises(ConfigError, match="net.conv4: 3 kernels cannot be split over 2 towers"):
        list_layers(net, 10)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"conv1": ConvConfig(kernels=8, kernel_px=57)}, "net.conv1: a 57-pixel kernel does not fit its input of 56"),
        # 14 -> 7: with pad 1 conv2 covers nine pixels, so 9 fits and 10 does not
        ({"conv2": ConvConfig(kernels=12, kernel_px=10, pad=1)}, "net.conv2: a 10-pixel kernel .* input of 7 .* pad 1"),
        ({"conv5": ConvConfig(kernels=4, kernel_px=4)}, "net.conv5: a 4-pixel kernel does not fit its input of 3"),
        ({"pool": PoolConfig(size=15, stride=2)}, "net.pool: a window of 15 does not fit pool1's input of 14"),
        ({"pool": PoolConfig(size=4, stride=2)}, "net.pool: a window of 4 does not fit pool5's input of 2"),
        ({"pool": PoolConfig(size=2, stride=3)}, "net.pool: stride 3 would skip cells between windows of 2"),
    ],
)
def test_sizes_that_cannot_be_built_name_their_layer(changes, found):
    with pytest.raises(ConfigError, match=found):
        list_layers(tiny_net(**changes), 10)


def test_the_largest_kernel_and_pool_that_fit_are_built():
    net = tiny_net(conv2=ConvConfig(kernels=12, kernel_px=9, pad=1), pool=PoolConfig(size=1, stride=1))
    assert rows(net, 10)["conv2"]["output"] == [12, 8, 8]  # no pooling: 14 + 2 - 9 + 1
    only = tiny_net(pool=PoolConfig(size=14, stride=14), conv2=ConvConfig(kernels=12, kernel_px=3, pad=1))
    with pytest.raises(ConfigError, match="pool2's input of 1 "):
        list_layers(only, 10)


def test_every_size_that_is_built_covers_its_input():
    for crop in range(48, 96):  # below 48, conv1's outputs are too few for three pools
        layers = list_layers(tiny_net(crop_px=crop), 10)
        conv1 = layers[0]
        reached = (conv1.output[1] - 1) * 4 + 7
        assert crop <= reached < crop + 4
        assert conv1.overhang_px == reached - crop
        assert conv1.output[1] == 1 + math.ceil((crop - 7) / 4)
