import numpy as np
import pytest
import torch
from small_nets import ONE_GPU, PAPER, build, draw_images, scaled_net, tiny_net
from torch import Tensor
from torch.nn import functional

from alexnet2012.config.nets import LRNConfig
from alexnet2012.model.alexnet import AlexNet, count_parameters
from alexnet2012.model.geometry import describe


def reference_logits(model: AlexNet, images: Tensor, masks: tuple[Tensor, Tensor] | None, scale: float) -> Tensor:
    """The two-tower net of §3.5 written out with one convolution a tower; dropout is `masks`, or times `scale`."""
    weights = dict(model.named_parameters())

    def convolve(name: str, maps: Tensor, towers: int, stride: int, pad: int) -> Tensor:
        kernels, biases = weights[f"{name}.weight"].chunk(towers), weights[f"{name}.bias"].chunk(towers)
        parts = [
            functional.conv2d(part, kernel, bias, stride, pad)
            for part, kernel, bias in zip(maps.chunk(towers, dim=1), kernels, biases, strict=True)
        ]
        return torch.cat(parts, dim=1).clamp(min=0)

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
    maps = convolve("conv1", functional.pad(images, (0, right, 0, right)), 1, model.config.conv1.stride, 0)
    maps = pool(normalise(maps))
    maps = pool(normalise(convolve("conv2", maps, 2, 1, 1)))
    maps = convolve("conv3", maps, 1, 1, 1)
    maps = convolve("conv4", maps, 2, 1, 1)
    neurons = pool(convolve("conv5", maps, 2, 1, 1)).flatten(1)
    for index, name in enumerate(("fc6", "fc7")):
        neurons = (neurons @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]).clamp(min=0)
        neurons = neurons * scale if masks is None else neurons * masks[index]
    return neurons @ weights["fc8.weight"].T + weights["fc8.bias"]


@pytest.mark.parametrize(
    ("net", "classes", "parameters"),
    [(scaled_net("up"), 10, 708_970), (scaled_net("down"), 10, 545_130), (tiny_net(), 3, None)],
    ids=["scaled-up", "scaled-down", "tiny"],
)
def test_the_net_has_the_parameters_of_its_table(net, classes, parameters):
    model = AlexNet(net, classes)
    table = describe(net, classes)
    assert count_parameters(model) == table["parameters"]
    if parameters is not None:
        assert count_parameters(model) == parameters
    for row in table["layers"]:
        if row["parameters"]:
            assert count_parameters(getattr(model, row["name"])) == row["parameters"], row["name"]


def test_the_one_gpu_net_has_the_parameters_of_its_table():
    with torch.device("meta"):  # shapes alone: 239 MB are not needed to count
        model = AlexNet(ONE_GPU, 1000)
    assert count_parameters(model) == 59_798_312
    assert {name: tuple(module.weight.shape) for name, module in model.named_children()} == {
        "conv1": (48, 3, 11, 11),
        "conv2": (128, 48, 5, 5),
        "conv3": (192, 128, 3, 3),
        "conv4": (192, 192, 3, 3),
        "conv5": (256, 192, 3, 3),
        "fc6": (4096, 9216),
        "fc7": (4096, 4096),
        "fc8": (1000, 4096),
    }


def test_the_paper_net_runs_at_the_paper_sizes():
    with torch.device("meta"):
        model = AlexNet(PAPER, 1000)
    assert count_parameters(model) == 60_965_224
    seen = {}
    for name, module in model.named_children():
        module.register_forward_hook(
            lambda _, inputs, output, name=name: seen.update({name: (tuple(inputs[0].shape), tuple(output.shape))})
        )
    # Eight layers on the meta device compute their shapes alone; the normalisation too.
    with torch.no_grad():
        assert model.eval()(torch.empty(2, 3, 224, 224, device="meta")).shape == (2, 1000)
    assert seen == {
        "conv1": ((2, 3, 224, 224), (2, 96, 55, 55)),
        "conv2": ((2, 96, 27, 27), (2, 256, 27, 27)),
        "conv3": ((2, 256, 13, 13), (2, 384, 13, 13)),
        "conv4": ((2, 384, 13, 13), (2, 384, 13, 13)),
        "conv5": ((2, 384, 13, 13), (2, 256, 13, 13)),
        "fc6": ((2, 9216), (2, 4096)),
        "fc7": ((2, 4096), (2, 4096)),
        "fc8": ((2, 4096), (2, 1000)),
    }


@pytest.mark.parametrize("crop", [56, 53, 55], ids=["overhang-3", "overhang-2", "overhang-0"])
def test_the_net_is_that_of_the_paper_written_out(crop):
    net = tiny_net(crop_px=crop)
    model = build(net).double()
    images = draw_images(4, crop, dtype=torch.float64)
    with torch.no_grad():
        expected = reference_logits(model, images, None, 0.5)
        found = model.eval()(images)
    assert expected.abs().min() > 1e-6
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-13)


def test_a_training_pass_is_that_of_the_paper_with_its_gradients():
    model = build(tiny_net()).double().train()
    images = draw_images(4, 56, dtype=torch.float64)
    random = torch.Generator().manual_seed(5)
    masks = tuple((torch.rand(4, 6, generator=random) < 0.5).double() for _ in range(2))
    labels = torch.tensor([0, 2, 1, 2])
    gradients = []
    for logits in (model(images, masks), reference_logits(model, images, masks, 1.0)):
        gradients.append(torch.autograd.grad(functional.cross_entropy(logits, labels), model.parameters()))
    for (name, _), found, expected in zip(model.named_parameters(), *gradients, strict=True):
        assert expected.abs().max() > 0, name
        torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8 * expected.abs().max().item(), msg=name)


def test_no_relu_on_the_logits():
    model = build(tiny_net()).eval()
    with torch.no_grad():
        model.fc8.weight.zero_()
        model.fc8.bias.copy_(torch.tensor([-1.5, 2.0, -3.0]))
        assert model(draw_images(2, 56)).tolist() == [[-1.5, 2.0, -3.0]] * 2


def test_negative_activations_are_cut_before_the_logits():
    model = build(tiny_net()).eval()
    with torch.no_grad():
        model.fc6.weight.zero_()
        model.fc6.bias.fill_(-4.0)
        model.fc7.bias.copy_(torch.tensor([-1.0, 2.0, -1.0, -1.0, 4.0, -1.0]))
        model.fc8.weight.fill_(1.0)
        # fc6 gives zeros; fc7 its bias cut at 0, halved: (2 + 4) / 2
        assert model(draw_images(1, 56)).tolist() == [[3.0, 3.0, 3.0]]


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
    assert model(draw_images(2, 56), (second, first))[:, 0].tolist() == [3.0, 18.0]
    ones = torch.ones(2, 6)
    assert model(draw_images(2, 56), (ones, ones))[:, 0].tolist() == [36.0, 36.0]
    assert model(draw_images(2, 56), (ones, first))[:, 0].tolist() == [18.0, 36.0]


@pytest.mark.parametrize(("probability", "logit"), [(0.5, 9.0), (0.25, 20.25)])
def test_at_test_all_neurons_are_scaled_twice(probability, logit):
    model = countable(probability).eval()
    images = draw_images(2, 56)
    # 6 * (1 - p) reaches each of fc7's six neurons, times 1 - p again, six of them summed: 36 * (1 - p)^2
    assert model(images)[:, 0].tolist() == [logit, logit]
    zeros = (torch.zeros(2, 6), torch.zeros(2, 6))
    assert model(images, zeros)[:, 0].tolist() == [logit, logit]  # masks say nothing at test


def test_neither_the_maps_nor_the_logits_are_dropped():
    model = build(tiny_net()).train()
    nothing, all_kept = torch.zeros(2, 6), torch.ones(2, 6)
    images = draw_images(2, 56)
    with torch.no_grad():
        model.fc8.bias.copy_(torch.tensor([0.5, -0.25, 2.0]))
        kept = model(images, (all_kept, all_kept))
        without = build(tiny_net(dropout=0.0)).train()
        without.load_state_dict(model.state_dict())
        assert torch.equal(without(images), kept)
        assert torch.equal(without.eval()(images), kept)
        assert model(images, (all_kept, nothing)).tolist() == [[0.5, -0.25, 2.0]] * 2
        only_bias = model.fc8(functional.relu(model.fc7.bias))
        torch.testing.assert_close(model(images, (nothing, all_kept)), only_bias.expand(2, 3), rtol=1e-6, atol=1e-7)


def test_training_without_masks_is_refused():
    model = build(tiny_net()).train()
    with pytest.raises(ValueError, match="needs its dropout masks"):
        model(draw_images(1, 56))


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


def test_the_net_draws_nothing_and_changes_no_image():
    model = build(tiny_net()).train()
    images = draw_images(3, 56)
    given, masks = images.clone(), (torch.ones(3, 6), torch.ones(3, 6))
    state = torch.get_rng_state()
    first, second = model(images, masks), model(images, masks)
    assert torch.equal(first, second)
    first.sum().backward()
    assert torch.equal(images, given)
    assert torch.equal(torch.get_rng_state(), state)
    assert all((mask == 1).all() for mask in masks)
