import pytest
import torch
from torch import nn

from alexnet2012.config.schema import TrainingConfig
from alexnet2012.training.sgd import PaperSGD, list_rules, move_on_cpu, move_on_device

LR, MOMENTUM, DECAY = 0.01, 0.9, 0.0005


def parameter(*values: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor(values, dtype=torch.float64))


def gradient_at(step: int, weight: float) -> float:
    return 0.3 * weight + 0.1 * step - 0.4


def run(optimiser: PaperSGD | torch.optim.Optimizer, weights: nn.Parameter, rates: list[float]) -> list[list[float]]:
    """The weights after each step at each of the rates."""
    seen = []
    for step, rate in enumerate(rates):
        if isinstance(optimiser, PaperSGD):
            optimiser.lr = rate
        else:
            optimiser.param_groups[0]["lr"] = rate
        weights.grad = torch.tensor([gradient_at(step, w) for w in weights.tolist()], dtype=torch.float64)
        optimiser.step()
        seen.append(weights.tolist())
    return seen


def test_two_steps_in_numbers():
    weights = parameter(2.0)
    optimiser = PaperSGD([weights], lr=0.1, momentum=0.5, weight_decay=0.01)
    weights.grad = torch.tensor([1.0], dtype=torch.float64)
    optimiser.step()
    # v = -0.01 * 0.1 * 2 - 0.1 * 1 = -0.102
    assert weights.item() == pytest.approx(1.898, rel=1e-14)
    optimiser.lr = 0.01
    optimiser.step()
    # v = 0.5 * -0.102 - 0.01 * 0.01 * 1.898 - 0.01 * 1 = -0.0611898: the old velocity keeps the old rate
    assert weights.item() == pytest.approx(1.8368102, rel=1e-14)


def test_equals_torch_until_the_rate_changes_and_differs_after():
    start, rates = [1.5, -2.0, 0.3], [0.01] * 5 + [0.001] * 5
    ours, theirs = parameter(*start), parameter(*start)
    found = run(PaperSGD([ours], LR, MOMENTUM, DECAY), ours, rates)
    torch_sgd = torch.optim.SGD([theirs], lr=LR, momentum=MOMENTUM, weight_decay=DECAY)
    other = run(torch_sgd, theirs, rates)
    for step in range(5):
        assert found[step] == pytest.approx(other[step], rel=1e-13), step
    # torch's buffer is the velocity over -lr, so that a change of the rate shrinks it at once, ours not: at the change
    # the two velocities differ by 0.9 * (1 - 0.1) of the velocity before it.
    before = [b - a for a, b in zip(found[3], found[4], strict=True)]
    apart = [a - b for a, b in zip(found[5], other[5], strict=True)]
    assert apart == pytest.approx([0.81 * velocity for velocity in before], rel=1e-9)
    assert min(abs(difference) for difference in apart) > 1e-3


def test_a_weight_without_gradient_stays_and_gradients_do_until_they_are_set_to_none():
    still, moving = parameter(1.0), parameter(1.0)
    optimiser = PaperSGD([still, moving], LR, MOMENTUM, DECAY)
    moving.grad = torch.ones(1, dtype=torch.float64)
    optimiser.step()
    assert moving.grad.item() == 1.0
    optimiser.zero_grad()
    assert moving.grad is None
    assert still.item() == 1.0  # not even decayed
    assert still not in optimiser.velocities
    assert moving.item() == pytest.approx(1 - 0.01 - 0.0005 * 0.01, rel=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_updates_of_cpu_and_gpu_are_one_rule(dtype):
    generator = torch.Generator().manual_seed(0)
    shapes = [(3, 5), (7,), (2, 3, 3, 3)]
    sets = []
    for move in (move_on_cpu, move_on_device):
        generator.manual_seed(0)
        weights = [nn.Parameter(torch.randn(shape, generator=generator, dtype=dtype)) for shape in shapes]
        velocities = [torch.zeros_like(weight) for weight in weights]
        with torch.no_grad():
            for _ in range(5):
                for weight in weights:
                    weight.grad = torch.randn(weight.shape, generator=generator, dtype=dtype)
                move(weights, velocities, 0.01, 0.9, 0.5)
        sets.append([*weights, *velocities])
    for one, other in zip(*sets, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5 if dtype == torch.float32 else 1e-13, atol=1e-7)


def test_a_gradient_of_another_layout_is_read_by_its_places():
    weight = nn.Parameter(torch.zeros(2, 3, 2, 2))
    gradient = torch.arange(24.0).reshape(2, 3, 2, 2)
    velocity = torch.zeros_like(weight)
    weight.grad = gradient.contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        move_on_cpu([weight], [velocity], 1.0, 0.9, 0.0)
    assert torch.equal(weight.detach(), -gradient)


def test_a_velocity_of_other_weights_is_refused():
    weight = nn.Parameter(torch.zeros(4))
    weight.grad = torch.ones(4)
    with pytest.raises(ValueError, match=r"\(3,\) .* \(4,\)"):
        move_on_cpu([weight], [torch.zeros(3)], 0.1, 0.9, 0.0)


def test_a_weight_may_have_a_rate_and_a_decay_of_its_own():
    plain, own, alone = parameter(1.0, -2.0), parameter(3.0), parameter(3.0)
    together = PaperSGD([plain, own], LR, MOMENTUM, DECAY, {own: (2.0, 0.0)})
    reference, apart = PaperSGD([alone], 2 * LR, MOMENTUM, 0.0), parameter(1.0, -2.0)
    usual = PaperSGD([apart], LR, MOMENTUM, DECAY)
    for _ in range(3):
        for weights in (plain, apart, own, alone):
            weights.grad = torch.full_like(weights, 0.5)
        for optimiser in (together, reference, usual):
            optimiser.step()
    assert own.tolist() == alone.tolist() and plain.tolist() == apart.tolist()
    assert own.item() == pytest.approx(3 - 0.01 * (1 + 1.9 + 2.71), rel=1e-12)


@pytest.mark.parametrize(("decayed", "of_biases"), [(True, 0.0005), (False, 0.0)])
def test_biases_decay_as_weights_do_unless_told_otherwise(decayed, of_biases):
    net, training = nn.ModuleDict({"fc6": nn.Linear(2, 2)}), TrainingConfig(bias_rate=2.0, decay_biases=decayed)
    net.config = None
    rules = list_rules(net, training, {"rest": (1.0, 2.0)})
    assert rules == {net["fc6"].weight: (1.0, 0.0005), net["fc6"].bias: (2.0, of_biases)}
