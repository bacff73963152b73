import numpy as np
import pytest
import torch
from small_nets import build, draw_images, tiny_net
from torch import Tensor
from torch.nn import functional

from alexnet2012.config.nets import ConvConfig, LRNConfig, NetConfig
from alexnet2012.model.alexnet import AlexNet


def reference_logits(model: AlexNet, images: Tensor, masks: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """The two-tower net of §3.5 written out with one convolution a tower; dropout is `masks`, or times 1/2."""
    config, weights = model.config, dict(model.named_parameters())
    activation = torch.relu if config.activation == "relu" else torch.tanh
    towers = {"conv1": 1, "conv2": 2, "conv3": 2 if config.separate_towers else 1, "conv4": 2, "conv5": 2, "conv6": 1}

    def convolve(name: str, maps: Tensor, stride: int, pad: int) -> Tensor:
        kernels, biases = (weights[f"{name}.{kind}"].chunk(towers[name]) for kind in ("weight", "bias"))
        parts = zip(maps.chunk(towers[name], dim=1), kernels, biases, strict=True)
        return activation(torch.cat([functional.conv2d(*each, stride, pad) for each in parts], dim=1))

    def normalise(maps: Tensor) -> Tensor:
        halves = []
        for half in maps.chunk(2, dim=1):
            sums = [half[:, max(0, i - 2) : i + 3].square().sum(dim=1) for i in range(half.shape[1])]
            halves.append(half / (2 + 1e-4 * torch.stack(sums, dim=1)) ** 0.75)
        return torch.cat(halves, dim=1)

    def pool(maps: Tensor) -> Tensor:
        over = (maps.shape[2] - 3) % 2
        return functional.max_pool2d(functional.pad(maps, (0, over, 0, over), value=-torch.inf), 3, 2)

    right = model.layers["conv1"].overhang_px
    maps = pool(normalise(convolve("conv1", functional.pad(images, (0, right, 0, right)), config.conv1.stride, 0)))
    for name in ("conv2", "conv3", "conv4", "conv5"):
        maps = maps if name in config.removed else convolve(name, maps, 1, 1)
        maps = normalise(maps) if name == "conv2" and name not in config.removed else maps
        maps = pool(maps) if name in ("conv2", "conv5") else maps
    neurons = (convolve("conv6", maps, 1, 1) if config.sixth_layer else maps).flatten(1)
    for index, name in enumerate(("fc6", "fc7")):
        neurons = activation(neurons @ weights[f"{name}.weight"].T + weights[f"{name}.bias"])
        neurons = neurons * 0.5 if masks is None else neurons * masks[index]
    return neurons @ weights["fc8.weight"].T + weights["fc8.bias"]


@pytest.mark.parametrize(
    "changes",
    [
        {},  # conv1's last windows hang over by 3 pixels
        {"crop_px": 53},  # by 2
        {"crop_px": 55},  # not at all
        {"activation": "tanh"},
        {"sixth_layer": True},
        {"separate_towers": True},  # net 150 of the 2012 code
        *({"removed": [name]} for name in ("conv2", "conv3", "conv4", "conv5")),
    ],
    ids=str,
)
def test_the_net_is_that_of_the_paper_written_out(changes):
    net = tiny_net(**changes)
    model, images = build(net).double(), draw_images(4, net.crop_px, dtype=torch.float64)
    with torch.no_grad():
        expected, found = reference_logits(model, images), model.eval()(images)
    assert expected.abs().min() > 1e-6
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(("dtype", "precision"), [(torch.float64, 1e-8), (torch.float32, 1e-5)])
def test_a_training_pass_has_the_gradients_of_the_paper_written_out(dtype, precision):
    """In float32 by compiled loops and oneDNN: all of a step but its update."""
    model, images = build(tiny_net()).train(), draw_images(4, 56, dtype=torch.float64)
    random = torch.Generator().manual_seed(5)
    masks = tuple((torch.rand(4, 6, generator=random) < 0.5).double() for _ in range(2))
    labels = torch.tensor([0, 2, 1, 2])

    def differentiate(logits: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(functional.cross_entropy(logits, labels), list(model.parameters()))

    found = differentiate(model.to(dtype)(images.to(dtype), tuple(mask.to(dtype) for mask in masks)))
    expected = differentiate(reference_logits(model.double(), images, masks))
    for (name, _), own, other in zip(model.named_parameters(), found, expected, strict=True):
        assert other.abs().max() > 0, name
        assert (own - other).abs().max() <= precision * other.abs().max(), name


def test_no_relu_on_the_logits():
    model = build(tiny_net()).eval()
    with torch.no_grad():
        model.fc8.weight.zero_()
        model.fc8.bias.copy_(torch.tensor([-1.5, 2.0, -3.0]))
        assert model(draw_images(2, 56)).tolist() == [[-1.5, 2.0, -3.0]] * 2


def countable(dropout: float) -> AlexNet:
    """fc6 gives six ones whatever the image, fc7 their sum six times, fc8 the sum of those."""
    model = build(tiny_net(dropout=dropout))
    with torch.no_grad():
        for name, weight, bias in (("fc6", 0.0, 1.0), ("fc7", 1.0, 0.0), ("fc8", 1.0, 0.0)):
            getattr(model, name).weight.fill_(weight)
            getattr(model, name).bias.fill_(bias)
    return model


def test_dropout_in_training_is_a_mask_without_rescaling():
    model = countable(0.5).train()
    first = torch.tensor([[1.0, 0, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]])
    second = torch.tensor([[0.0, 1, 0, 0, 0, 0], [1, 1, 0, 0, 1, 0]])
    # Image 0: three ones reach each of fc7's neurons, one of which is kept. Image 1: six ones, three kept.
    assert model(draw_images(2, 56), (first, second))[:, 0].tolist() == [3.0, 18.0]
    ones = torch.ones(2, 6)
    assert model(draw_images(2, 56), (ones, first))[:, 0].tolist() == [18.0, 36.0]
    with pytest.raises(ValueError, match="dropout masks"):
        model(draw_images(2, 56))


@pytest.mark.parametrize(("probability", "logit"), [(0.5, 9.0), (0.25, 20.25), (0.0, 36.0)])
def test_at_test_all_neurons_are_scaled_twice(probability, logit):
    # 6 * (1 - p) reaches each of fc7's six neurons, times 1 - p again, six of them summed: 36 * (1 - p)^2
    model, images, zeros = countable(probability).eval(), draw_images(2, 56), torch.zeros(2, 6)
    assert model(images)[:, 0].tolist() == [logit, logit]
    assert model(images, (zeros, zeros))[:, 0].tolist() == [logit, logit]  # masks say nothing at test


def test_response_normalisation_comes_after_the_relu_within_the_tower_before_the_pool():
    # conv1 gives constant maps 100, -100, ... | 300, -300, ...: a window must see no negatives, no other tower.
    model = build(tiny_net(lrn=LRNConfig()))
    kept = []
    model.conv2.register_forward_hook(lambda _, inputs, output: kept.append(inputs[0].clone()))
    with torch.no_grad():
        model.conv1.weight.zero_()
        model.conv1.bias.copy_(torch.tensor([100.0, -100, 100, -100, 300, -300, 0, 0]))
        model.eval()(torch.zeros(1, 3, 56, 56))
    maps = kept[0][0]
    assert maps.shape == (8, 7, 7)
    # Channels 0 and 2 see each other: 2 + 1e-4 * (100^2 + 100^2) = 4. Channel 4 sees itself: 2 + 1e-4 * 300^2 = 11.
    expected = [100 / 4**0.75, 0, 100 / 4**0.75, 0, 300 / 11**0.75, 0, 0, 0]
    np.testing.assert_allclose(maps[:, 3, 3].numpy(), expected, rtol=1e-6)
    assert (maps == maps[:, :1, :1]).all()


def test_the_last_windows_of_conv1_hang_over_the_right_and_bottom_edge():
    """The paper's conv1 with two kernels, and next to nothing behind it."""
    few = {f"conv{k}": ConvConfig(kernels=2, kernel_px=3, pad=1) for k in (2, 3, 4, 5)}
    model = build(NetConfig(conv1=ConvConfig(kernels=2, kernel_px=11, stride=4), fc_neurons=2, **few)).eval()
    kernel, images, kept = torch.arange(1.0, 122.0).reshape(11, 11), torch.zeros(3, 3, 224, 224), []
    images[0, 0, 223, 223] = images[1, 0, 0, 0] = images[2, 0, 223, 0] = 1.0
    # A clone: the ReLU that follows works in place.
    model.conv1.register_forward_hook(lambda _, inputs, output: kept.append(output.clone()))
    with torch.no_grad():
        model.conv1.weight.copy_(kernel.expand(2, 3, 11, 11))
        model(images)
    assert kept[0].shape == (3, 2, 55, 55)
    # Window 54 begins at 54 * 4 = 216, so pixel 223 is its eighth; window 53 ends at 222.
    answers = [(54, 54, kernel[7, 7]), (0, 0, kernel[0, 0]), (54, 0, kernel[7, 0])]
    for outputs, (row, column, value) in zip(kept[0][:, 0], answers, strict=True):
        assert outputs.nonzero().tolist() == [[row, column]]
        assert outputs[row, column] == value


def test_the_net_draws_nothing_and_changes_no_image():
    model, images, masks = build(tiny_net()).train(), draw_images(3, 56), (torch.ones(3, 6), torch.ones(3, 6))
    given, state = images.clone(), torch.get_rng_state()
    first, second = model(images, masks), model(images, masks)
    first.sum().backward()
    assert torch.equal(first, second) and torch.equal(images, given)
    assert torch.equal(torch.get_rng_state(), state)
    assert all((mask == 1).all() for mask in masks)
