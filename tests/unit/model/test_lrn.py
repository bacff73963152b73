import numpy as np
import pytest
import torch
from torch import nn

from alexnet2012.model import lrn
from alexnet2012.model.lrn import local_response_norm

PAPER = {"n": 5, "k": 2.0, "alpha": 1e-4, "beta": 0.75}


def reference(maps: np.ndarray, n: int, k: float, alpha: float, beta: float) -> np.ndarray:
    result = np.empty_like(maps)
    for i in range(maps.shape[1]):
        window = maps[:, max(0, i - n // 2) : i + n // 2 + 1]
        result[:, i] = maps[:, i] / (k + alpha * (window**2).sum(axis=1)) ** beta
    return result


def draw(*shape: int, scale: float = 1.0, dtype=torch.float32, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype) * scale


def gradient_of(function, maps: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    leaf = maps.clone().requires_grad_()
    (function(leaf) * weights).sum().backward()
    return leaf.grad


@pytest.mark.parametrize("shape", [(2, 8, 3, 5), (1, 5, 2, 2), (3, 3, 4, 4), (2, 1, 3, 3), (1, 96, 5, 5)])
def test_equals_the_formula_as_printed(shape):
    maps = draw(*shape, scale=200.0, dtype=torch.float64)
    found = local_response_norm(maps, **PAPER).numpy()
    np.testing.assert_allclose(found, reference(maps.numpy(), **PAPER), rtol=1e-13)


@pytest.mark.parametrize(
    "constants",
    [
        {"n": 1, "k": 1.0, "alpha": 0.1, "beta": 0.75},
        {"n": 3, "k": 0.5, "alpha": 0.3, "beta": 0.5},
        {"n": 9, "k": 2.0, "alpha": 0.01, "beta": 1.0},
        {"n": 21, "k": 1.0, "alpha": 0.2, "beta": 0.75},  # wider than the tower: the sum over all its channels
    ],
)
def test_equals_the_formula_for_other_constants(constants):
    maps = draw(2, 8, 3, 4, scale=3.0, dtype=torch.float64)
    found = local_response_norm(maps, **constants).numpy()
    np.testing.assert_allclose(found, reference(maps.numpy(), **constants), rtol=1e-13)


def test_alpha_is_not_divided_by_n():
    # One channel of 100: 2 + 1e-4 * 100^2 = 3, and 100 / 3^0.75 = 43.8691; divided by 5 it would be 100 / 2.2^0.75.
    maps = torch.full((1, 1, 1, 1), 100.0)
    assert local_response_norm(maps, **PAPER).item() == pytest.approx(43.8691338, rel=1e-6)


def test_the_window_is_clipped_at_the_first_and_last_channel():
    # Seven channels of 100: the ends see 3 channels (divisor 2 + 3), the next 4, the inner ones 5 (divisor 2 + 5).
    found = local_response_norm(torch.full((1, 7, 1, 1), 100.0), **PAPER).flatten().tolist()
    assert found == pytest.approx([100 / d**0.75 for d in (5, 6, 7, 7, 7, 6, 5)], rel=1e-6)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0, 333.0])
def test_equals_torch_with_alpha_times_n(scale):
    maps = draw(4, 48, 9, 9, scale=scale).clamp(-1000, 1000)
    maps[0, 0, 0, 0], maps[0, 47, 8, 8] = 1000.0, -1000.0
    theirs = nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2.0)
    ours = local_response_norm(maps, **PAPER)
    assert ((ours - theirs(maps)).abs() <= 1e-5 * theirs(maps).abs()).all()
    weights = draw(*maps.shape, seed=1)
    expected = gradient_of(theirs, maps, weights)
    found = gradient_of(lambda leaf: local_response_norm(leaf, **PAPER), maps, weights)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize(
    ("shape", "n", "beta", "towers"),
    [
        ((2, 8, 2, 3), 5, 0.75, 1),
        ((2, 8, 2, 3), 5, 0.75, 2),
        ((1, 4, 2, 2), 5, 0.75, 2),  # two channels a tower, fewer than n
        ((2, 1, 3, 2), 5, 0.75, 1),
        ((2, 3, 2, 2), 5, 0.75, 1),
        ((2, 6, 2, 2), 1, 0.75, 1),
        ((2, 6, 2, 2), 3, 0.75, 1),
        ((2, 6, 2, 2), 5, 0.5, 2),
        ((1, 6, 1, 1), 13, 1.3, 1),
    ],
)
def test_the_gradient_is_that_of_the_formula(shape, n, beta, towers):
    # A large alpha, so that the second term of the gradient is not lost beside the first.
    maps = draw(*shape, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda leaf: local_response_norm(leaf, n, 1.5, 0.4, beta, towers), maps, eps=1e-6, atol=1e-8, rtol=1e-6
    )


def test_maps_that_are_not_contiguous_give_the_same():
    maps = draw(2, 8, 4, 6, scale=100.0, dtype=torch.float64)
    weights = draw(2, 8, 4, 6, seed=1, dtype=torch.float64)
    expected = local_response_norm(maps, **PAPER, towers=2)
    gradient = gradient_of(lambda leaf: local_response_norm(leaf, **PAPER, towers=2), maps, weights)
    for other in (
        maps.contiguous(memory_format=torch.channels_last),
        maps.transpose(2, 3).contiguous().transpose(2, 3),
    ):
        assert not other.is_contiguous()
        assert torch.equal(local_response_norm(other, **PAPER, towers=2), expected)
        leaf = other.detach().requires_grad_()
        # The gradient that arrives is not contiguous either.
        local_response_norm(leaf, **PAPER, towers=2).backward(weights.contiguous(memory_format=torch.channels_last))
        assert torch.equal(leaf.grad, gradient)
    assert torch.autograd.gradcheck(
        lambda leaf: local_response_norm(leaf.transpose(2, 3)[:, 1:7], 5, 1.5, 0.4, 0.75, 2),
        draw(1, 8, 2, 3, dtype=torch.float64).requires_grad_(),
    )


def test_towers_do_not_mix():
    maps = draw(2, 8, 3, 3, scale=100.0, dtype=torch.float64)
    whole = local_response_norm(maps, **PAPER, towers=2)
    for half in (slice(0, 4), slice(4, 8)):
        np.testing.assert_allclose(whole[:, half].numpy(), reference(maps[:, half].numpy(), **PAPER), rtol=1e-13)
    louder = maps.clone()
    louder[:, 4:] *= 10
    assert torch.equal(local_response_norm(louder, **PAPER, towers=2)[:, :4], whole[:, :4])
    # One tower does see them: channels 2 and 3 have neighbours 4 and 5, channels 0 and 1 have not.
    one = local_response_norm(maps, **PAPER), local_response_norm(louder, **PAPER)
    assert torch.equal(one[0][:, :2], one[1][:, :2])
    assert (one[0][:, 2:4] != one[1][:, 2:4]).all()


def test_channels_that_cannot_be_split_are_refused():
    with pytest.raises(ValueError, match="7 channels cannot be split over 2 towers"):
        local_response_norm(torch.ones(1, 7, 2, 2), **PAPER, towers=2)


@pytest.mark.parametrize("beta", [0.75, 0.5])
def test_nothing_that_was_given_is_overwritten(beta):
    maps = draw(3, 8, 4, 4, scale=100.0)
    weights = draw(3, 8, 4, 4, seed=1)
    given, arriving = maps.clone(), weights.clone()
    leaf = maps.requires_grad_()
    output = local_response_norm(leaf, 5, 2.0, 1e-4, beta, towers=2)
    shown = output.detach().clone()
    (first,) = torch.autograd.grad(output, leaf, arriving, retain_graph=True)
    kept = first.clone()
    (second,) = torch.autograd.grad(output, leaf, arriving, retain_graph=True)
    assert torch.equal(leaf.detach(), given)
    assert torch.equal(output.detach(), shown)
    assert torch.equal(arriving, weights)
    assert torch.equal(first, kept) and torch.equal(first, second)
    assert first.abs().max() > 0


@pytest.mark.parametrize("beta", [0.75, 0.6])
@pytest.mark.parametrize("channels", [10, 6, 700])  # blocks of 51 rows of 10, 85 of 6, and rows longer than a block
def test_threads_change_no_bit(beta, channels):
    maps = draw(7, channels, 5, 9, scale=300.0).contiguous(memory_format=torch.channels_last)
    weights = draw(7, channels, 5, 9, seed=1)

    def norm(leaf):
        return local_response_norm(leaf, 5, 2.0, 1e-4, beta, towers=2, rectify=True)

    before, results = torch.get_num_threads(), []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        try:
            results.append((norm(maps), gradient_of(norm, maps, weights)))
        finally:
            torch.set_num_threads(before)
    for output, gradient in results[1:]:
        assert torch.equal(output, results[0][0]) and torch.equal(gradient, results[0][1])
    np.testing.assert_allclose(
        results[0][0].numpy()[:, : channels // 2],
        reference(maps[:, : channels // 2].clamp_min(0).double().numpy(), 5, 2.0, 1e-4, beta),
        rtol=2e-5,
    )


@pytest.mark.parametrize("place", ["loops", "tensors"])
def test_a_relu_before_it_is_part_of_it_on_request(place, monkeypatch):
    monkeypatch.setattr(lrn, "_LoopNorm", lrn._LoopNorm if place == "loops" else lrn._TensorNorm)
    maps, weights = draw(2, 8, 3, 3, scale=100.0, dtype=torch.float64), draw(2, 8, 3, 3, seed=1, dtype=torch.float64)
    maps[0, 0, 0, 0] = 0.0

    def apart(leaf):
        return local_response_norm(leaf.relu(), **PAPER, towers=2)

    def fused(leaf):
        return local_response_norm(leaf, **PAPER, towers=2, rectify=True)

    torch.testing.assert_close(fused(maps), apart(maps), rtol=1e-14, atol=0)
    torch.testing.assert_close(
        gradient_of(fused, maps, weights), gradient_of(apart, maps, weights), rtol=1e-13, atol=1e-14
    )


@pytest.mark.parametrize("rectify", [False, True])
@pytest.mark.parametrize(("n", "beta", "towers"), [(5, 0.75, 1), (5, 0.75, 2), (3, 0.5, 2), (13, 1.3, 1), (1, 0.75, 1)])
def test_the_tensor_operations_of_other_devices_give_the_same(monkeypatch, n, beta, towers, rectify):
    maps = draw(3, 8, 4, 5, scale=100.0, dtype=torch.float64)
    weights = draw(3, 8, 4, 5, seed=1, dtype=torch.float64)

    def norm(leaf):
        return local_response_norm(leaf, n, 1.5, 0.01, beta, towers, rectify)

    loops = norm(maps), gradient_of(norm, maps, weights)
    monkeypatch.setattr(lrn, "_LoopNorm", lrn._TensorNorm)
    tensors = norm(maps), gradient_of(norm, maps, weights)
    for one, other in zip(loops, tensors, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


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
    maps = draw(2, 8, 3, 3, scale=100.0).bfloat16()
    weights = draw(2, 8, 3, 3, seed=1).bfloat16()
    found = local_response_norm(maps, **PAPER)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, local_response_norm(maps.float(), **PAPER).bfloat16())
    gradient = gradient_of(lambda leaf: local_response_norm(leaf, **PAPER), maps, weights)
    assert gradient.dtype == torch.bfloat16 and gradient.abs().max() > 0


def test_the_result_is_channels_last_and_rows_of_any_layout_give_it():
    maps = draw(2, 8, 3, 5, scale=100.0)
    found = local_response_norm(maps, **PAPER)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(found, local_response_norm(maps.contiguous(memory_format=torch.channels_last), **PAPER))
