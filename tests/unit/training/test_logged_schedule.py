"""Trainings as the 2012 source's notes log them: rates by layer and epoch, what is frozen, when colour noise ends."""

from pathlib import Path

import pytest
import torch
import yaml
from pydantic import ValidationError
from torch import nn

from alexnet2012.config.nets import ConvConfig, NetConfig
from alexnet2012.config.plan import load_variants, make_plan
from alexnet2012.config.resolve import lay_over_recipe
from alexnet2012.config.schedules import LoggedSchedule
from alexnet2012.config.schema import TrainingConfig
from alexnet2012.errors import ConfigError
from alexnet2012.model.alexnet import AlexNet
from alexnet2012.training.schedule import Scheduler, augmentation, learning_rate, list_multiples
from alexnet2012.training.sgd import PaperSGD, list_rules

VARIANTS = Path(__file__).parents[3] / "config" / "variants.yaml"
SMALL = NetConfig(
    crop_px=12, **{f"conv{k}": ConvConfig(kernels=8, kernel_px=3, pad=1) for k in range(1, 6)}, fc_neurons=4
)
# Of the notes: from which epoch on (the first is 1) the weights of conv1 and of all others learn at which rate; whether
# there is colour noise; the biases of conv1, conv2 and the rest.
LOGGED = {
    "net145-2010": (
        93,
        [(1, 1e-2, 1e-2), (24, 1e-3, 1e-3), (52, 1e-4, 1e-4), (69, 1e-5, 1e-4), (73, 0, 1e-4), (79, 0, 1e-5)],
        68,
        (0.002, 0.002, 0.002),
    ),
    "net145": (
        91,
        [(1, 1e-2, 1e-2), (26, 1e-3, 1e-3), (52, 1e-4, 1e-4), (68, 1e-5, 1e-4), (73, 0, 1e-4), (80, 0, 1e-5)],
        67,
        (0.02, 0.02, 0.02),
    ),
    "net145-half": (
        96,
        [(1, 1e-2, 1e-2), (21, 1e-3, 1e-3), (49, 1e-4, 1e-4), (67, 1e-5, 1e-4), (73, 0, 1e-4)],
        66,
        (0.002, 0.002, 0.02),
    ),
}


def training_of(name: str) -> TrainingConfig:
    return TrainingConfig.model_validate(lay_over_recipe(load_variants(VARIANTS), name).training)


@pytest.mark.parametrize("name", LOGGED)
def test_each_group_has_its_logged_rate_in_every_epoch(name):
    """The scheduler is saved and made anew after each epoch."""
    epochs, steps, last_noisy, (of_conv1, of_conv2, of_rest) = LOGGED[name]
    net, training = AlexNet(SMALL, 3), training_of(name)
    scheduler, epoch = Scheduler(training.schedule), 0
    while not scheduler.finished:
        epoch += 1
        _, conv1, rest = next(each for each in reversed(steps) if each[0] <= epoch)
        biases = {"conv1": of_conv1 if conv1 else 0, "conv2": of_conv2}  # a frozen layer's too
        base = learning_rate(training, scheduler)
        rules = list_rules(net, training, list_multiples(training, scheduler))
        for parameter, weight in net.named_parameters():
            layer, kind = parameter.split(".")
            expected = biases.get(layer, of_rest) if kind == "bias" else (conv1 if layer == "conv1" else rest)
            assert base * rules[weight][0] == pytest.approx(expected, rel=1e-12), (epoch, parameter)
            assert rules[weight][1] == (0.0 if kind == "bias" else 0.0005)
        how = augmentation(training, scheduler)
        assert (how.colour_std, how.colour_divisor) == ((0.1, 1.1) if epoch <= last_noisy else (0.0, 1.0)), epoch
        assert (how.chunk, how.crops, how.reflections) == (32, True, True)
        scheduler.observe(0.5)
        scheduler = Scheduler(training.schedule, **scheduler.progress)
    assert epoch == epochs
    assert scheduler.drops_done == training.schedule.drops
    assert (training.order, training.recipe) == ("fixed", "code2012")


def test_a_frozen_layer_is_not_touched_not_even_by_its_velocity():
    moving, frozen = (nn.Parameter(torch.tensor([1.0])) for _ in range(2))
    optimiser = PaperSGD([moving, frozen], 0.1, 0.9, 0.5)
    for rule in ({}, {frozen: (0.0, 0.5)}):
        optimiser.rules = rule
        before = frozen.item(), optimiser.velocities.get(frozen, torch.zeros(1)).item()
        moving.grad, frozen.grad = torch.ones(1), torch.ones(1)
        optimiser.step()
    assert (frozen.item(), optimiser.velocities[frozen].item()) == before
    assert moving.item() < frozen.item() < 1


def test_a_shorter_training_moves_every_change():
    short = training_of("net145").schedule.stretch(20)
    # 25, 51, 67, 72 and 79 of 91 epochs
    assert [each.after for each in short.changes] == [0, 5, 11, 15, 16, 17]
    assert short.max_epochs == 20 and short.drops == 3
    merged = training_of("net145").schedule.stretch(4)
    assert [each.after for each in merged.changes] == [0, 1, 2, 3]
    assert merged.changes[-1].weights == {"conv1": 0.0, "rest": 0.00001} and merged.changes[-1].colour_noise is False


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_too_few_epochs_for_its_rates_are_refused(epochs):
    with pytest.raises(ValueError, match=f"^{epochs} epochs"):
        training_of("net145").schedule.stretch(epochs)


def plan_with(**experiment):
    values = yaml.safe_load((VARIANTS.with_name("cifar10.yaml")).read_text(encoding="utf-8"))
    line = {"dataset": "cifar10", "variant": "net145", "seeds": [0], "tables": ["table2"], **experiment}
    values |= {"experiments": [line], "claims": [], "full": []}
    return make_plan(values, "some.yaml", VARIANTS)


@pytest.mark.parametrize(("line", "epochs"), [({"epochs": 20}, 20), ({}, 91)])
def test_an_experiment_gives_the_length(line, epochs):
    (run,) = plan_with(**line).runs
    assert run.training.schedule == training_of("net145").schedule.stretch(epochs)


@pytest.mark.parametrize("line", [{"epochs": 3}, {"variant": "cnn", "epochs": 9}])
def test_lengths_that_cannot_be_had_are_refused(line):
    with pytest.raises(ConfigError, match=r"^some.yaml: experiments\[0\]: .*epochs"):
        plan_with(**line)


FIRST = {"after": 0, "weights": {"rest": 0.1}, "biases": {"rest": 0.2}}


@pytest.mark.parametrize(
    "changes",
    [
        [{**FIRST, "after": 1}],
        [{"after": 0, "weights": {"rest": 0.1}}],
        [{**FIRST, "weights": {"rest": 0.0}}],
        [FIRST, {"after": 4}, {"after": 4}],
        [FIRST, {"after": 9}],  # of nine epochs
        [FIRST, {"after": 2, "weights": {"rest": -1.0}}],
        [FIRST, {"after": 2, "weights": {"rest": 0.0}}],  # a layer is frozen by its own name
    ],
)
def test_schedules_that_nobody_can_have_logged_are_refused(changes):
    with pytest.raises(ValidationError):
        LoggedSchedule.model_validate({"kind": "logged", "max_epochs": 9, "changes": changes})
    LoggedSchedule.model_validate({"kind": "logged", "max_epochs": 9, "changes": [FIRST]})
