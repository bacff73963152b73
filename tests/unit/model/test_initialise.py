import math

import pytest
import torch
from small_nets import PAPER, scaled_net, tiny_net

from alexnet2012.config.nets import WEIGHT_NAMES, NetConfig
from alexnet2012.model.alexnet import AlexNet, count_parameters
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


def test_the_paper_net_holds_the_paper_parameters(paper_net):
    assert count_parameters(paper_net) == 60_965_224


@pytest.mark.parametrize("name", WEIGHT_NAMES)
def test_weights_at_the_paper_sizes_are_normal_of_deviation_001(paper_net, name):
    weights = getattr(paper_net, name).weight.detach().flatten()[:4_000_000]
    assert weights.std().item() == pytest.approx(0.01, rel=0.01)
    assert abs(weights.mean().item()) < 4 * 0.01 / math.sqrt(len(weights))
    # 68.27 % within one deviation, and some beyond four: neither uniform nor truncated
    assert (weights.abs() < 0.01).double().mean().item() == pytest.approx(0.6827, abs=0.01)
    assert weights.abs().max() > 0.037


@pytest.mark.parametrize("name", WEIGHT_NAMES)
def test_biases_are_one_or_zero_as_the_paper_says(paper_net, name):
    assert (getattr(paper_net, name).bias == (1.0 if name in BIAS_ONE else 0.0)).all()


def test_other_fan_ins_keep_the_variance():
    model = AlexNet(scaled_net(), 10)
    initialise(model, torch.Generator().manual_seed(0))
    deviations = {
        "conv1": 0.01 * math.sqrt(363 / 75),
        "conv2": 0.02,  # 1200 / 300
        "conv3": 0.02,  # 2304 / 576
        "conv4": 0.02,  # 1728 / 432
        "conv5": 0.02,
        "fc6": 0.04,  # 9216 / 576
        "fc7": 0.01 * math.sqrt(8),  # 4096 / 512
        "fc8": 0.01 * math.sqrt(8),
    }
    for name, deviation in deviations.items():
        weights = getattr(model, name).weight.detach()
        # Four standard errors of a deviation estimated from so many weights.
        assert weights.std().item() == pytest.approx(deviation, rel=4 / math.sqrt(2 * weights.numel())), name


def test_the_same_generator_gives_the_same_weights():
    models = []
    for seed in (3, 3, 4):
        model = AlexNet(scaled_net(), 10)
        initialise(model, torch.Generator().manual_seed(seed))
        models.append(model.state_dict())
    for name in models[0]:
        assert torch.equal(models[0][name], models[1][name])
        if name.endswith("weight"):
            assert (models[0][name] == models[2][name]).double().mean() < 0.01


def test_the_whole_of_a_net_comes_from_the_generator():
    model = AlexNet(tiny_net(), 3)
    state = torch.get_rng_state()
    generator = torch.Generator().manual_seed(0)
    initialise(model, generator)
    assert torch.equal(torch.get_rng_state(), state)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    initialise(model, generator)  # the stream goes on: no layer repeats
    assert all((model.state_dict()[name] != before[name]).any() for name in before if name.endswith("weight"))


def test_the_deviation_and_the_biases_follow_the_configuration():
    plain, wider = AlexNet(tiny_net(), 3), AlexNet(tiny_net(init_std=0.02, bias_one=["conv1", "fc8"]), 3)
    for model in (plain, wider):
        initialise(model, torch.Generator().manual_seed(0))
    for name in WEIGHT_NAMES:
        torch.testing.assert_close(getattr(wider, name).weight, 2 * getattr(plain, name).weight, rtol=1e-6, atol=0)
        assert (getattr(wider, name).bias == (1.0 if name in ("conv1", "fc8") else 0.0)).all()


def test_the_one_gpu_net_starts_from_001_too():
    # Its conv3 sees half as many maps as the two-tower net's, and is the paper's own all the same.
    model = AlexNet(NetConfig(towers=1, halved=["conv1", "conv2", "conv3", "conv4"], fc_neurons=8), 2)
    initialise(model, torch.Generator().manual_seed(0))
    for name in ("conv1", "conv2", "conv3", "conv4", "conv5"):
        assert getattr(model, name).weight.std().item() == pytest.approx(0.01, rel=0.02), name
