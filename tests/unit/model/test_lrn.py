import pytest
import torch
from torch import Tensor

from alexnet2012.model import lrn
from alexnet2012.model.lrn import local_response_norm

PAPER = {"n": 5, "k": 2.0, "alpha": 1e-4, "beta": 0.75}
# With alphas so large that no term of the gradient is lost beside another; 13 is wider than a tower.
CONSTANTS = [PAPER, {"n": 3, "k": 1.5, "alpha": 0.3, "beta": 0.5}, {"n": 13, "k": 1.5, "alpha": 0.4, "beta": 1.3}]

# Images, channels, height and width; and towers.
SHAPES = [((2, 8, 3, 5), 1), ((2, 8, 3, 5), 2), ((1, 4, 2, 2), 2), ((2, 1, 3, 2), 1), ((1, 96, 3, 3), 2)]


def reference(
    maps: Tensor, n: int, k: float, alpha: float, beta: float, towers: int = 1, rectify: bool = False
) -> Tensor:
    """The formula as printed, within each tower; to be called in float64."""
    parts = []
    for part in (maps.relu() if rectify else maps).chunk(towers, dim=1):
        sums = [part[:, max(0, i - n // 2) : i + n // 2 + 1].square().sum(dim=1) for i in range(part.shape[1])]
        parts.append(part / (k + alpha * torch.stack(sums, dim=1)) ** beta)
    return torch.cat(parts, dim=1)


def draw(*shape: int, scale: float = 1.0, dtype=torch.float32, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype) * scale


def value_and_gradient(function, maps: Tensor, weights: Tensor, **constants) -> tuple[Tensor, Tensor]:
    """function(maps, **constants), and the gradient of its sum weighted by `weights`."""
    leaf = maps.clone().requires_grad_()
    found = function(leaf, **constants)
    return found.detach(), torch.autograd.grad(found, leaf, weights)[0]


@pytest.mark.parametrize("rectify", [False, True])
@pytest.mark.parametrize("constants", CONSTANTS)
@pytest.mark.parametrize("place", ["_LoopNorm", "_TensorNorm"])
def test_it_and_its_gradient_are_those_of_the_formula_as_printed(monkeypatch, place, constants, rectify):
    """By the loops of a CPU and by the tensor operations of other devices, the ReLU before it included on request."""
    monkeypatch.setattr(lrn, "_LoopNorm", getattr(lrn, place))
    for shape, towers in SHAPES:
        maps = draw(*shape, scale=3 / constants["alpha"] ** 0.5, dtype=torch.float64)
        maps[0, 0, 0, 0] = 0.0
        settings = {"weights": draw(*shape, dtype=torch.float64, seed=1), **constants, "towers": towers}
        found = value_and_gradient(local_response_norm, maps, **settings, rectify=rectify)
        expected = value_and_gradient(reference, maps, **settings, rectify=rectify)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


def test_alpha_is_not_divided_by_n_and_the_window_is_clipped_at_the_first_and_last_channel():
    # One channel of 100: 2 + 1e-4 * 100^2 = 3, and 100 / 3^0.75 = 43.8691; divided by 5 it would be 100 / 2.2^0.75.
    assert local_response_norm(torch.full((1, 1, 1, 1), 100.0), **PAPER).item() == pytest.approx(43.8691338, rel=1e-6)
    # Seven channels of 100: the ends see 3 channels (divisor 2 + 3), the next 4, the inner ones 5 (divisor 2 + 5).
    found = local_response_norm(torch.full((1, 7, 1, 1), 100.0), **PAPER).flatten().tolist()
    assert found == pytest.approx([100 / d**0.75 for d in (5, 6, 7, 7, 7, 6, 5)], rel=1e-6)


def test_maps_and_gradients_of_any_layout_give_the_same_channels_last():
    maps, weights = draw(2, 8, 4, 6, scale=100.0, dtype=torch.float64), draw(2, 8, 4, 6, dtype=torch.float64, seed=1)
    expected, gradient = value_and_gradient(local_response_norm, maps, weights, **PAPER)
    assert expected.is_contiguous(memory_format=torch.channels_last)
    transposed = maps.transpose(2, 3).contiguous().transpose(2, 3)
    for other in (maps.contiguous(memory_format=torch.channels_last), transposed):
        assert not other.is_contiguous()
        leaf = other.detach().requires_grad_()
        output = local_response_norm(leaf, **PAPER)
        output.backward(weights.contiguous(memory_format=torch.channels_last))
        assert torch.equal(output, expected) and torch.equal(leaf.grad, gradient)


def test_channels_that_cannot_be_split_are_refused():
    with pytest.raises(ValueError, match="7 channels"):
        local_response_norm(torch.ones(1, 7, 2, 2), **PAPER, towers=2)


@pytest.mark.parametrize("beta", [0.75, 0.5])
def test_nothing_that_was_given_is_overwritten(beta):
    leaf, arriving = draw(3, 8, 4, 4, scale=100.0).requires_grad_(), draw(3, 8, 4, 4, seed=1)
    output = local_response_norm(leaf, 5, 2.0, 1e-4, beta, towers=2)
    given = [each.detach().clone() for each in (leaf, arriving, output)]
    (first,) = torch.autograd.grad(output, leaf, arriving, retain_graph=True)
    kept = first.clone()
    (second,) = torch.autograd.grad(output, leaf, arriving, retain_graph=True)
    assert all(torch.equal(*pair) for pair in zip((leaf, arriving, output), given, strict=True))
    assert torch.equal(first, kept) and torch.equal(first, second) and first.abs().max() > 0


@pytest.mark.parametrize("channels", [10, 700])  # blocks of 51 rows of 10, and rows longer than a block
def test_threads_change_no_bit(channels):
    maps = draw(7, channels, 5, 9, scale=300.0).contiguous(memory_format=torch.channels_last)
    weights = draw(7, channels, 5, 9, seed=1)
    before, results, settings = torch.get_num_threads(), [], {**PAPER, "towers": 2, "rectify": True}
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        try:
            results.append(value_and_gradient(local_response_norm, maps, weights, **settings))
        finally:
            torch.set_num_threads(before)
    for found in results[1:]:
        assert all(torch.equal(*pair) for pair in zip(found, results[0], strict=True))
    expected = reference(maps.double(), **settings)
    torch.testing.assert_close(results[0][0].double(), expected, rtol=2e-5, atol=0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
@pytest.mark.parametrize("rectify", [False, True])
def test_what_is_not_finite_stays_in_its_pixel_and_tower(rectify, value):
    maps = torch.ones(1, 8, 1, 3)
    maps[0, 4, 0, 1] = value  # the first channel of the second tower, in the second of three pixels
    found = local_response_norm(maps, **PAPER, towers=2, rectify=rectify)
    beside = torch.ones_like(maps, dtype=bool)
    beside[0, 4:7, 0, 1] = False  # its own window
    assert torch.isfinite(found[beside]).all()
    assert torch.equal(found[beside], local_response_norm(torch.ones(1, 8, 1, 3), **PAPER, towers=2)[beside])
    assert not found[0, 4, 0, 1] > 1  # NaN, or nothing beside what it is divided by


def test_bfloat16_is_normalised_in_float32():
    maps, weights = draw(2, 8, 3, 3, scale=100.0).bfloat16(), draw(2, 8, 3, 3, seed=1).bfloat16()
    found, gradient = value_and_gradient(local_response_norm, maps, weights, **PAPER)
    assert found.dtype == gradient.dtype == torch.bfloat16 and gradient.abs().max() > 0
    assert torch.equal(found, local_response_norm(maps.float(), **PAPER).bfloat16())
