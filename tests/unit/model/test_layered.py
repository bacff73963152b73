from pathlib import Path

import pytest
import torch
from small_nets import draw_images
from torch.nn import functional

from alexnet2012.config.nets import LayeredNetConfig, PoolLayer
from alexnet2012.config.plan import describe_target
from alexnet2012.config.schema import TrainingConfig
from alexnet2012.errors import ConfigError
from alexnet2012.model.alexnet import count_parameters
from alexnet2012.model.geometry import describe
from alexnet2012.model.layered import LocallyConnected, initialise, make_net, pool
from alexnet2012.model.lrn import local_response_norm
from alexnet2012.training.schedule import Scheduler, list_multiples
from alexnet2012.training.sgd import list_rules

VARIANTS = Path(__file__).parents[3] / "config" / "variants.yaml"
LAST = {"type": "fc", "name": "fc9", "init_std": 0.01}


def build(name: str):
    net = make_net(describe_target(name, VARIANTS, None), 10)
    initialise(net, torch.Generator().manual_seed(3))
    return net.eval()


@pytest.mark.parametrize("name", ["four-layer-relu", "cifar-13pct", "cifar-11pct"])
def test_the_net_has_the_tables_parameters(name):
    net = build(name)
    assert count_parameters(net) == describe(net.config, 10)["parameters"]


def test_sizes_of_the_four_layer_net_round_up():
    table = describe(describe_target("four-layer-relu", VARIANTS, None), 10)["layers"]
    assert [(row["name"], row["output"]) for row in table] == [
        ("conv1", [32, 32, 32]),
        ("pool1", [32, 16, 16]),
        ("conv2", [32, 16, 16]),
        ("pool2", [32, 8, 8]),
        ("conv3", [64, 8, 8]),
        ("pool3", [64, 4, 4]),
        ("fc4", [10]),
    ]
    # 75*32*32^2, 800*32*16^2, 800*64*8^2, 1024*10
    assert [row["multiply_adds"] for row in table if row["parameters"]] == [2_457_600, 6_553_600, 3_276_800, 10_240]


@pytest.mark.parametrize("name", ["four-layer-relu", "four-layer-tanh"])
def test_the_four_layer_net_by_torchs_functions(name):
    """conv, max pool, activation; then twice conv, activation, average pool; softmax layer (original-code.md)."""
    net, images = build(name), draw_images(2, 32)
    activation = torch.relu if name.endswith("relu") else torch.tanh
    maps = activation(functional.max_pool2d(net.conv1(images), 3, 2, ceil_mode=True))
    for conv in (net.conv2, net.conv3):
        maps = functional.avg_pool2d(activation(conv(maps)), 3, 2, ceil_mode=True)
    torch.testing.assert_close(net(images), net.fc4(maps.flatten(1)))


def test_the_11pct_net_normalises_after_its_first_pooling_and_before_its_second():
    net, images = build("cifar-11pct"), draw_images(2, 24)

    def norm(maps):
        return local_response_norm(maps, n=9, k=1.0, alpha=0.001 / 9, beta=0.75)

    maps = norm(functional.max_pool2d(torch.relu(net.conv1(images)), 3, 2, ceil_mode=True))
    maps = functional.max_pool2d(norm(torch.relu(net.conv2(maps))), 3, 2, ceil_mode=True)
    for local in (net.local3, net.local4):
        maps = torch.relu(local(maps))
    torch.testing.assert_close(net(images), net.fc5(maps.flatten(1)), rtol=1e-4, atol=1e-6)


def test_the_pure_pair_differs_in_lrn_alone():
    plain, normal = (describe_target(name, VARIANTS, None) for name in ("cifar-13pct", "cifar-13pct-lrn"))
    assert plain.lrn is None and (normal.lrn.n, normal.lrn.k, normal.lrn.beta) == (9, 1.0, 0.75)
    assert normal.lrn.alpha == pytest.approx(0.001 / 9)
    assert normal.model_copy(update={"lrn": None}) == plain


def test_without_a_norm_its_layers_do_nothing():
    images = draw_images(2, 24)
    plain, normal = build("cifar-13pct"), build("cifar-13pct-lrn")
    maps = torch.relu(plain.conv1(images))
    maps = functional.max_pool2d(torch.relu(plain.conv2(functional.max_pool2d(maps, 3, 2, ceil_mode=True))), 3, 2)
    assert maps.shape[-1] == 5  # rounded down; the net itself rounds up to 6
    assert not torch.equal(plain(images), normal(images))


def test_a_locally_connected_layer_has_weights_of_its_own_at_each_position():
    layer, generator = LocallyConnected(3, 4, 3, padding=1, positions=25), torch.Generator().manual_seed(0)
    with torch.no_grad():
        layer.weight.normal_(generator=generator)
        layer.bias.normal_(generator=generator)
    maps = torch.randn(2, 3, 5, 5, generator=generator)
    padded = functional.pad(maps, (1, 1, 1, 1))
    expected = torch.empty(2, 4, 5, 5)
    for y in range(5):
        for x in range(5):
            window = padded[:, :, y : y + 3, x : x + 3].reshape(2, -1)
            expected[:, :, y, x] = window @ layer.weight[5 * y + x] + layer.bias[5 * y + x]
    torch.testing.assert_close(layer(maps), expected)


def test_the_last_windows_are_clipped_and_an_average_counts_what_is_inside():
    maps = torch.arange(16.0).view(1, 1, 4, 4)
    average = pool(maps, PoolLayer(type="pool", of="average"))
    # rows 0..2 and 2..3 against columns 0..2 and 2..3
    assert average.flatten().tolist() == [5.0, 6.5, 11.0, 12.5]
    assert pool(maps, PoolLayer(type="pool", of="max")).flatten().tolist() == [10.0, 11.0, 14.0, 15.0]


def test_initial_weights_of_each_layer():
    net = build("cifar-13pct")
    expected = {"conv1": 1e-4, "conv2": 0.01, "local3": 0.04, "local4": 0.04, "fc5": 0.01}
    stds = {name: float(getattr(net, name).weight.detach().std()) for name in expected}
    assert stds == pytest.approx(expected, rel=0.03)
    assert all(float(getattr(net, name).bias.detach().abs().max()) == 0 for name in expected)


def test_biases_learn_twice_as_fast_and_only_the_upper_weights_decay():
    net = build("cifar-11pct")
    training = TrainingConfig(bias_rate=2.0, weight_decay=0.004, decay_biases=False)
    rules = list_rules(net, training, list_multiples(training, Scheduler(training.schedule)))
    found = {name: rules[parameter] for name, parameter in net.named_parameters()}
    assert {name: rule for name, rule in found.items() if name.endswith("weight")} == {
        "conv1.weight": (1.0, 0.0),
        "conv2.weight": (1.0, 0.0),
        "local3.weight": (1.0, 0.004),
        "local4.weight": (1.0, 0.004),
        "fc5.weight": (1.0, 0.01),
    }
    assert {rule for name, rule in found.items() if name.endswith("bias")} == {(2.0, 0.0)}


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([{"type": "pool", "of": "max", "size": 9}, LAST], r"net.layers\[0\]: a window of 9 .* 8 pixels"),
        ([{"type": "pool", "of": "max", "size": 2, "stride": 3}, LAST], r"net.layers\[0\]: stride 3 .* windows of 2"),
        ([{"type": "conv", "name": "conv1", "kernels": 2, "kernel_px": 9, "init_std": 1.0}, LAST], "9-pixel kernel"),
    ],
)
def test_impossible_sizes_are_refused(layers, words):
    with pytest.raises(ConfigError, match=words):
        make_net(LayeredNetConfig(crop_px=8, layers=layers), 10)


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([LAST, LAST], "unique names of layers, found fc9, fc9"),
        ([LAST | {"neurons": 7}], "the last layer must be of type fc without neurons"),
        ([{"type": "activation"}], "the last layer must be"),
    ],
)
def test_a_list_of_layers_must_end_in_the_classes(layers, words):
    with pytest.raises(ValueError, match=words):
        LayeredNetConfig(crop_px=8, layers=layers)
