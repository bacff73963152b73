import math

import pytest
import torch
from small_nets import ONE_GPU, PAPER, build, scaled_net, tiny_net

from alexnet2012.config.nets import WEIGHT_NAMES
from alexnet2012.model.alexnet import AlexNet
from alexnet2012.model.layered import initialise

BIAS_ONE = {"conv2", "conv4", "conv5", "fc6", "fc7"}


@pytest.fixture(scope="module")
def paper_net():
    # 244 MB, built on the meta device first so that torch's own initialisation costs nothing.
    with torch.device("meta"):
        model = AlexNet(PAPER, 1000)
    model.to_empty(device="cpu")
    initialise(model, torch.Generator().manual_seed(7))
    return model


@pytest.mark.parametrize("name", WEIGHT_NAMES)
def test_at_the_paper_sizes_weights_are_normal_of_deviation_001_and_biases_one_or_zero(paper_net, name):
    layer = getattr(paper_net, name)
    weights = layer.weight.detach().flatten()[:4_000_000]
    assert weights.std().item() == pytest.approx(0.01, rel=0.01)
    assert abs(weights.mean().item()) < 4 * 0.01 / math.sqrt(len(weights))
    # 68.27 % within one deviation, and some beyond four: neither uniform nor truncated
    assert (weights.abs() < 0.01).double().mean().item() == pytest.approx(0.6827, abs=0.01)
    assert weights.abs().max() > 0.037
    assert (layer.bias == (1.0 if name in BIAS_ONE else 0.0)).all()


SCALED = {
    "conv1": 0.01 * math.sqrt(363 / 75),
    "conv2": 0.02,  # 1200 / 300
    "conv3": 0.02,  # 2304 / 576
    "conv4": 0.02,  # 1728 / 432
    "conv5": 0.02,
    "fc6": 0.04,  # 9216 / 576
    "fc7": 0.01 * math.sqrt(8),  # 4096 / 512
    "fc8": 0.01 * math.sqrt(8),
}
# conv3 sees half as many maps as the two-tower net's, and is the paper's own all the same.
UNSCALED = dict.fromkeys(("conv1", "conv2", "conv3", "conv4", "conv5"), 0.01)


@pytest.mark.parametrize(
    ("net", "deviations"),
    [(scaled_net(), SCALED), (ONE_GPU.model_copy(update={"fc_neurons": 8}), UNSCALED)],
    ids=["scaled", "one-gpu"],
)
def test_other_fan_ins_keep_the_variance(net, deviations):
    model = build(net, 10)
    for name, deviation in deviations.items():
        weights = getattr(model, name).weight.detach()
        # Four standard errors of a deviation estimated from so many weights.
        assert weights.std().item() == pytest.approx(deviation, rel=4 / math.sqrt(2 * weights.numel())), name


def test_the_whole_of_a_net_comes_from_the_generator():
    state = torch.get_rng_state()
    model, generator = build(tiny_net(), seed=3), torch.Generator().manual_seed(3)
    first = {name: weight.clone() for name, weight in model.state_dict().items()}
    torch.set_rng_state(state)
    initialise(model, generator)
    assert all(torch.equal(weight, first[name]) for name, weight in model.state_dict().items())
    initialise(model, generator)  # the stream goes on: no layer repeats
    weights = {name: weight for name, weight in model.state_dict().items() if name.endswith("weight")}
    assert all((weight == first[name]).double().mean() < 0.01 for name, weight in weights.items())
    assert torch.equal(torch.get_rng_state(), state)


def test_the_deviation_and_the_biases_follow_the_configuration():
    plain, wider = build(tiny_net()), build(tiny_net(init_std=0.02, bias_one=["conv1", "fc8"]))
    for name in WEIGHT_NAMES:
        torch.testing.assert_close(getattr(wider, name).weight, 2 * getattr(plain, name).weight, rtol=1e-6, atol=0)
        assert (getattr(wider, name).bias == (1.0 if name in ("conv1", "fc8") else 0.0)).all()
