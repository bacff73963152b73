import pytest
import torch
from tiny_training import make_run, pack

from alexnet2012.config.schema import TrainingConfig
from alexnet2012.errors import ConfigError
from alexnet2012.model.alexnet import AlexNet
from alexnet2012.model.layered import initialise
from alexnet2012.training import precision
from alexnet2012.training.loop import Training
from alexnet2012.training.precision import make_forward

CPU = torch.device("cpu")
FAST = {"recipe": "fast", "precision": "bf16"}
COMPILED = TrainingConfig(recipe="fast", compile=True)


@pytest.fixture
def net(tmp_path):
    model = AlexNet(make_run(tmp_path).net, 3)
    initialise(model, torch.Generator().manual_seed(0))
    return model.train()


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(8, 3, 12, 12, generator=generator) * 50
    masks = tuple((torch.rand(8, 16, generator=generator) > 0.2).float() for _ in range(2))
    return images, masks


def test_bfloat16_logits_are_float32_and_near_the_others(net, batch):
    exact, found = net(*batch), make_forward(net, TrainingConfig(**FAST), CPU)(*batch)
    assert found.dtype == torch.float32 and not torch.equal(found, exact)
    # bfloat16 has 8 bits: 2^-8 in each of eight layers
    assert (found - exact).abs().max() < 8 * 2**-8 * exact.abs().max()
    found.sum().backward()
    assert all(weight.grad is not None and weight.grad.dtype == torch.float32 for weight in net.parameters())


def test_the_whole_net_is_one_graph_for_the_compiler(net, batch, monkeypatch):
    """By a backend that runs the traced graph, since another compiler may not be there; fullgraph refuses breaks."""
    traced = torch.compile
    monkeypatch.setattr(precision.torch, "compile", lambda net, **how: traced(net, backend="aot_eager", **how))
    monkeypatch.setattr(precision.shutil, "which", lambda name: "/usr/bin/" + name)
    results = []
    for function in (net, make_forward(net, COMPILED, CPU)):
        logits = function(*batch)
        results.append([logits, *torch.autograd.grad(logits.square().sum(), list(net.parameters()))])
    for one, other in zip(*results, strict=True):
        assert (one - other).abs().max() <= 1e-4 * one.abs().max()


@pytest.mark.parametrize(("named", "missing"), [(None, r"g\+\+"), ("/opt/other/c++", "/opt/other/c")])
def test_a_missing_compiler_is_named_before_anything_runs(net, monkeypatch, named, missing):
    monkeypatch.setattr(precision.shutil, "which", lambda name: None)
    monkeypatch.delenv("CXX", raising=False)
    if named:
        monkeypatch.setenv("CXX", named)
    with pytest.raises(ConfigError, match=missing):
        make_forward(net, COMPILED, CPU)


def test_recipe_fast_trains_on_a_cpu_too(tmp_path):
    run = make_run(tmp_path, training={**FAST, "schedule": {"kind": "fixed", "epochs": [1]}})
    training = Training(run, pack(tmp_path), {}, CPU, None)
    before = training.net.conv1.weight.detach().clone()
    training.train_epoch(lambda: None)
    assert torch.isfinite(torch.tensor(training.state.loss_sum))
    assert not torch.equal(training.net.conv1.weight, before)
    assert all(weight.dtype == torch.float32 for weight in training.net.parameters())
    assert run.training.recipe_in_words == "fast (bf16)"
