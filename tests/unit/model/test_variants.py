import pytest
import torch
from small_nets import VARIANTS, variant

from alexnet2012.config.nets import NetConfig
from alexnet2012.config.plan import load_variants
from alexnet2012.model.alexnet import count_parameters
from alexnet2012.model.geometry import describe, paper_fan_in
from alexnet2012.model.layered import make_net

CIFAR10 = VARIANTS.with_name("cifar10.yaml")
WHOLE = 60_965_224
# With 1,000 classes at the paper's sizes; with CIFAR-10's ten for the author's CIFAR-10 nets.
COUNTS = {
    **dict.fromkeys(("cnn", "cnn-two-devices", "no-lrn", "pool-2x2", "no-colour", "no-dropout", "no-crops"), WHOLE),
    **dict.fromkeys(
        ("lrn-alpha-over-n", "no-weight-decay", "tanh", "net145", "net145-2010", "net147", "net148"), WHOLE
    ),
    **dict.fromkeys(("one-gpu", "net145-half"), 59_798_312),
    # less 256 x (5*5*48 + 1); conv3 sees 96 maps instead of 256
    "no-conv2": WHOLE - 307_456 - 384 * 9 * 160,
    # less 384 x (3*3*256 + 1); conv4 sees 128 maps of its tower instead of 192
    "no-conv3": WHOLE - 885_120 - 384 * 9 * 64,
    "no-conv4": WHOLE - 384 * (9 * 192 + 1),
    # less 256 x (3*3*192 + 1); fc6 sees 6x6 of 384 maps instead of 256
    "no-conv5": WHOLE - 256 * (9 * 192 + 1) + 4096 * 36 * 128,
    # and 256 x (3*3*256 + 1)
    **dict.fromkeys(("cnn-sixth-layer", "1-cnn-star"), 61_555_304),
    # conv3 sees 128 maps of its tower instead of 256
    "net150": WHOLE - 384 * 9 * 128,
    # 32 (75 + 1) + 32 (800 + 1) + 64 (800 + 1) + 10 (1024 + 1)
    **dict.fromkeys(("four-layer-relu", "four-layer-tanh"), 89_578),
    # 64 (75 + 1) + 64 (1600 + 1) + 36 positions x 32 x ((576 + 1) + (288 + 1)) + 10 (1152 + 1)
    **dict.fromkeys(("cifar-13pct", "cifar-13pct-lrn"), 1_116_490),
    # 64 kernels in the first local layer: 36 x (64 (576 + 1) + 32 (576 + 1))
    "cifar-11pct": 2_112_970,
}


def test_every_variant_has_its_count_here():
    assert set(COUNTS) == set(load_variants(VARIANTS).variants) - {"sift-fv", "sparse-coding"}


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_of_each_variant_and_its_table(name):
    net = variant(name)
    classes = 1000 if net.kind == "alexnet" else 10
    table = describe(net, classes)
    with torch.device("meta"):  # shapes alone: 239 MB are not needed to count
        model = make_net(net, classes)
    assert count_parameters(model) == table["parameters"] == COUNTS[name]
    for row in table["layers"]:
        if row["parameters"]:
            assert count_parameters(getattr(model, row["name"])) == row["parameters"], row["name"]


def outputs(name: str, config=None) -> dict[str, list[int]]:
    """The output of each layer before the fully connected ones."""
    table = describe(variant(name, config), 10)["layers"]
    return {layer["name"]: layer["output"] for layer in table if layer["kind"] != "fc"}


@pytest.mark.parametrize("config", [None, CIFAR10])
def test_pooling_two_by_two_keeps_the_papers_dimensions(config):
    assert outputs("pool-2x2", config) == outputs("cnn", config)


def test_a_removed_convolution_goes_with_its_norm_and_leaves_its_pooling():
    without_2, without_5 = outputs("no-conv2"), outputs("no-conv5")
    assert list(without_2) == ["conv1", "lrn1", "pool1", "pool2", "conv3", "conv4", "conv5", "pool5"]
    assert list(without_5)[-2:] == ["conv4", "pool5"]
    assert (without_2["pool2"], without_5["pool5"]) == ([96, 13, 13], [384, 6, 6])


@pytest.mark.parametrize(
    ("removed", "following", "fan_in"),
    [("conv2", "conv3", 9 * 96), ("conv3", "conv4", 9 * 128), ("conv4", "conv5", 9 * 192), ("conv5", "fc6", 36 * 384)],
)
def test_a_shortened_net_begins_as_the_papers_shortened_net(removed, following, fan_in):
    reference = paper_fan_in(NetConfig(removed=[removed]))
    assert removed not in reference and reference[following] == fan_in
