"""The author's CIFAR-10 nets, which are lists of layers."""

import pytest
import torch
from pydantic import ValidationError
from small_nets import build, draw_images, variant
from torch.nn import functional

from alexnet2012.config.nets import LayeredNetConfig, PoolLayer
from alexnet2012.config.schema import TrainingConfig
from alexnet2012.errors import ConfigError
from alexnet2012.model.geometry import describe
from alexnet2012.model.layered import LocallyConnected, make_net, pool
from alexnet2012.model.lrn import local_response_norm
from alexnet2012.training.schedule import Scheduler, list_multiples
from alexnet2012.training.sgd import list_rules


@pytest.fixture
def net_of():
    """A variant's net with weights, ready for evaluation."""
    return lambda name: build(variant(name), 10, seed=3).eval()


def test_sizes_of_the_four_layer_net_round_up():
    table = describe(variant("four-layer-relu"), 10)["layers"]
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


@pytest.mark.parametrize(("name", "activation"), [("four-layer-relu", torch.relu), ("four-layer-tanh", torch.tanh)])
def test_the_four_layer_net_by_torchs_functions(net_of, name, activation):
    """conv, max pool, activation; then twice conv, activation, average pool; softmax layer (original-code.md)."""
    net, images = net_of(name), draw_images(2, 32)
    maps = activation(functional.max_pool2d(net.conv1(images), 3, 2, ceil_mode=True))
    for conv in (net.conv2, net.conv3):
        maps = functional.avg_pool2d(activation(conv(maps)), 3, 2, ceil_mode=True)
    torch.testing.assert_close(net(images), net.fc4(maps.flatten(1)))


@pytest.mark.parametrize("name", ["cifar-11pct", "cifar-13pct-lrn", "cifar-13pct"])
def test_the_locally_connected_nets_normalise_after_their_first_pooling_and_before_their_second(net_of, name):
    net, images = net_of(name), draw_images(2, 24)

    def norm(maps):
        return maps if name == "cifar-13pct" else local_response_norm(maps, n=9, k=1.0, alpha=0.001 / 9, beta=0.75)

    maps = norm(functional.max_pool2d(torch.relu(net.conv1(images)), 3, 2, ceil_mode=True))
    maps = functional.max_pool2d(norm(torch.relu(net.conv2(maps))), 3, 2, ceil_mode=True)
    for local in (net.local3, net.local4):
        maps = torch.relu(local(maps))
    torch.testing.assert_close(net(images), net.fc5(maps.flatten(1)), rtol=1e-4, atol=1e-6)


def test_a_locally_connected_layer_has_weights_of_its_own_at_each_position():
    layer, generator = LocallyConnected(3, 4, 3, padding=1, positions=25), torch.Generator().manual_seed(0)
    with torch.no_grad():
        layer.weight.normal_(generator=generator)
        layer.bias.normal_(generator=generator)
    maps = torch.randn(2, 3, 5, 5, generator=generator)
    padded, expected = functional.pad(maps, (1, 1, 1, 1)), torch.empty(2, 4, 5, 5)
    for y in range(5):
        for x in range(5):
            window = padded[:, :, y : y + 3, x : x + 3].reshape(2, -1)
            expected[:, :, y, x] = window @ layer.weight[5 * y + x] + layer.bias[5 * y + x]
    torch.testing.assert_close(layer(maps), expected)


# Of 0..15 in four rows: rows 0..2 and 2..3 against columns 0..2 and 2..3.
@pytest.mark.parametrize(("of", "values"), [("average", [5.0, 6.5, 11.0, 12.5]), ("max", [10.0, 11.0, 14.0, 15.0])])
def test_the_last_windows_are_clipped_and_an_average_counts_what_is_inside(of, values):
    assert pool(torch.arange(16.0).view(1, 1, 4, 4), PoolLayer(type="pool", of=of)).flatten().tolist() == values


def test_initial_weights_of_each_layer(net_of):
    net, expected = net_of("cifar-13pct"), {"conv1": 1e-4, "conv2": 0.01, "local3": 0.04, "local4": 0.04, "fc5": 0.01}
    stds = {name: float(getattr(net, name).weight.detach().std()) for name in expected}
    assert stds == pytest.approx(expected, rel=0.03)
    assert all(float(getattr(net, name).bias.detach().abs().max()) == 0 for name in expected)


def test_biases_learn_twice_as_fast_and_only_the_upper_weights_decay(net_of):
    net, training = net_of("cifar-11pct"), TrainingConfig(bias_rate=2.0, weight_decay=0.004, decay_biases=False)
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


CONV = {"type": "conv", "name": "conv1", "kernels": 2, "init_std": 1.0}
LAST = {"type": "fc", "name": "fc9", "init_std": 0.01}


@pytest.mark.parametrize("kind", [{"type": "pool", "of": "max", "size": 9}, CONV | {"kernel_px": 9}])
def test_impossible_sizes_are_refused(kind):
    with pytest.raises(ConfigError, match=r"^net.layers\[0\]: "):
        make_net(LayeredNetConfig(crop_px=8, layers=[kind, LAST]), 10)


@pytest.mark.parametrize("layers", [[LAST, LAST], [LAST | {"neurons": 7}], [{"type": "activation"}]])
def test_a_list_of_layers_must_end_in_the_classes(layers):
    with pytest.raises(ValidationError):
        LayeredNetConfig(crop_px=8, layers=layers)
