from pathlib import Path

import pytest
import torch
from small_nets import build, draw_images, tiny_net
from torch.nn import functional

from alexnet2012.config.nets import NetConfig, PoolConfig
from alexnet2012.config.plan import describe_target, load_variants
from alexnet2012.model.alexnet import count_parameters
from alexnet2012.model.geometry import describe, paper_fan_in
from alexnet2012.model.lrn import local_response_norm

VARIANTS = Path(__file__).parents[3] / "config" / "variants.yaml"
CIFAR10 = VARIANTS.with_name("cifar10.yaml")
WHOLE = 60_965_224
# With 1,000 classes at the paper's sizes; with CIFAR-10's ten for the author's CIFAR-10 nets.
COUNTS = {
    "cnn": WHOLE,
    "cnn-two-devices": WHOLE,
    "one-gpu": 59_798_312,
    "no-lrn": WHOLE,
    "pool-2x2": WHOLE,
    "no-colour": WHOLE,
    "no-dropout": WHOLE,
    "no-crops": WHOLE,
    # less 256 x (5*5*48 + 1); conv3 sees 96 maps instead of 256
    "no-conv2": WHOLE - 307_456 - 384 * 9 * 160,
    # less 384 x (3*3*256 + 1); conv4 sees 128 maps of its tower instead of 192
    "no-conv3": WHOLE - 885_120 - 384 * 9 * 64,
    "no-conv4": WHOLE - 384 * (9 * 192 + 1),
    # less 256 x (3*3*192 + 1); fc6 sees 6x6 of 384 maps instead of 256
    "no-conv5": WHOLE - 256 * (9 * 192 + 1) + 4096 * 36 * 128,
    "no-weight-decay": WHOLE,
    "tanh": WHOLE,
    # and 256 x (3*3*256 + 1)
    "cnn-sixth-layer": 61_555_304,
    "1-cnn-star": 61_555_304,
    "net145": WHOLE,
    "net145-2010": WHOLE,
    "net145-half": 59_798_312,
    "net147": WHOLE,
    "net148": WHOLE,
    # conv3 sees 128 maps of its tower instead of 256
    "net150": WHOLE - 384 * 9 * 128,
    # 32 (75 + 1) + 32 (800 + 1) + 64 (800 + 1) + 10 (1024 + 1)
    "four-layer-relu": 89_578,
    "four-layer-tanh": 89_578,
    # 64 (75 + 1) + 64 (1600 + 1) + 36 positions x 32 x ((576 + 1) + (288 + 1)) + 10 (1152 + 1)
    "cifar-13pct": 1_116_490,
    "cifar-13pct-lrn": 1_116_490,
    # 64 kernels in the first local layer: 36 x (64 (576 + 1) + 32 (576 + 1))
    "cifar-11pct": 2_112_970,
}


def classes_of(net) -> int:
    return 1000 if net.kind == "alexnet" else 10


def test_every_variant_has_its_count_here():
    baselines = {"sift-fv", "sparse-coding"}
    assert set(COUNTS) == set(load_variants(VARIANTS).variants) - baselines


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_of_each_variant(name):
    net = describe_target(name, VARIANTS, None)
    assert describe(net, classes_of(net))["parameters"] == COUNTS[name]


def test_every_variant_names_claims_of_the_ledger():
    for name, variant in load_variants(VARIANTS).variants.items():
        assert variant.claims or variant.recipe == "code2012", name
        assert all(claim in {f"C{k:02d}" for k in range(1, 27)} for claim in variant.claims), name


def maps_of(name: str, config: Path | None) -> list[tuple[str, list[int]]]:
    table = describe(describe_target(name, VARIANTS, config), 10)["layers"]
    return [(layer["name"], layer["output"]) for layer in table if layer["kind"] != "fc"]


def test_pooling_two_by_two_keeps_the_papers_dimensions():
    assert [output for name, output in maps_of("pool-2x2", None) if name.startswith("pool")] == [
        [96, 27, 27],
        [256, 13, 13],
        [256, 6, 6],
    ]
    assert maps_of("pool-2x2", None) == maps_of("cnn", None)
    assert maps_of("pool-2x2", CIFAR10) == maps_of("cnn", CIFAR10)


def test_a_removed_convolution_goes_with_its_norm_and_leaves_its_pooling():
    assert [name for name, _ in maps_of("no-conv2", None)] == [
        *("conv1", "lrn1", "pool1", "pool2", "conv3", "conv4", "conv5", "pool5")
    ]
    assert dict(maps_of("no-conv2", None))["pool2"] == [96, 13, 13]
    assert [name for name, _ in maps_of("no-conv5", None)][-2:] == ["conv4", "pool5"]
    assert dict(maps_of("no-conv5", None))["pool5"] == [384, 6, 6]


@pytest.mark.parametrize("removed", ["conv2", "conv3", "conv4", "conv5"])
def test_a_net_without_a_convolution_has_the_tables_parameters_and_runs(removed):
    net = tiny_net(removed=[removed])
    model = build(net)
    assert removed not in dict(model.named_modules())
    assert count_parameters(model) == describe(net, 3)["parameters"]
    logits = model.eval()(draw_images(2, net.crop_px))
    assert logits.shape == (2, 3) and torch.isfinite(logits).all()


def test_without_conv3_each_tower_of_conv4_sees_its_own_half_of_layer_2():
    model = build(tiny_net(removed=["conv3"]))
    assert model.conv4.weight.shape == (8, 12 // 2, 3, 3)
    assert model.conv4.groups == 2


def test_initial_weights_of_a_shortened_net_follow_the_papers_shortened_net():
    assert paper_fan_in(NetConfig(removed=["conv2"]))["conv3"] == 9 * 96
    assert paper_fan_in(NetConfig(removed=["conv3"]))["conv4"] == 9 * 128
    assert paper_fan_in(NetConfig(removed=["conv5"]))["fc6"] == 36 * 384
    assert "conv4" not in paper_fan_in(NetConfig(removed=["conv4"]))


def test_tanh_stands_for_every_relu():
    """Layer by layer with torch's functions; conv1's and conv2's tanh is normalised."""
    net = tiny_net(activation="tanh", towers=1, dropout=0.0, pool=PoolConfig(size=2, stride=2, rounding="down"))
    model, images = build(net).eval(), draw_images(2, net.crop_px) / 100
    maps = images
    for name in ("conv1", "conv2", "conv3", "conv4", "conv5"):
        maps = torch.tanh(getattr(model, name)(maps))
        if name in ("conv1", "conv2"):
            maps = local_response_norm(maps, net.lrn.n, net.lrn.k, net.lrn.alpha, net.lrn.beta)
        if name in ("conv1", "conv2", "conv5"):
            maps = functional.max_pool2d(maps, 2, 2)
    neurons = torch.tanh(model.fc7(torch.tanh(model.fc6(maps.flatten(1)))))
    torch.testing.assert_close(model(images), model.fc8(neurons))
    assert not torch.allclose(model(images), build(tiny_net(towers=1, dropout=0.0)).eval()(images))
