import math

import numpy as np
import pytest
import torch
from fake_dataset import write_dataset
from torch import nn

from alexnet2012.config.nets import ConvConfig, NetConfig
from alexnet2012.evaluation.crops import measure_centre, predict_crops, ten_crops
from alexnet2012.evaluation.metrics import rank_truth
from alexnet2012.evaluation.predict import predict_ten_crops
from alexnet2012.model.alexnet import AlexNet
from alexnet2012.model.layered import initialise

SIZE, CROP, CLASSES, IMAGES = 9, 4, 3, 7


class LinearNet(nn.Module):
    """Logits are a fixed matrix times the pixels; remembers what it was shown, refuses training mode."""

    def __init__(self, classes: int = CLASSES, scale: float = 0.01) -> None:
        super().__init__()
        weights = np.random.default_rng(9).normal(0, scale, (classes, 3 * CROP * CROP))
        self.weight = nn.Parameter(torch.tensor(weights, dtype=torch.float32))
        self.shown: list[int] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        assert not self.training
        assert not torch.is_grad_enabled()
        self.shown.append(len(images))
        return images.flatten(1) @ self.weight.T


class Says(nn.Module):
    """Gives all images of a batch the next of these answers."""

    def __init__(self, answers: list[list[float]]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.answers = iter(answers)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.tensor([next(self.answers)] * len(images))


@pytest.fixture
def dataset(tmp_path):
    return write_dataset(tmp_path / "data", {"train": 2, "val": IMAGES, "test": 2}, SIZE, CLASSES)


def logits_by_hand(net: LinearNet, dataset, split: str) -> np.ndarray:
    """Float64 (10, n, classes), crop by crop in numpy."""
    images = np.load(dataset.folder / split / "images.npy").astype(np.float64)
    weight = net.weight.detach().double().numpy()
    logits = []
    for flipped in (False, True):
        for top, left in [(0, 0), (0, 5), (5, 0), (5, 5), (2, 2)]:
            pixels = (images - dataset.mean_image)[:, top : top + CROP, left : left + CROP]
            pixels = pixels[:, :, ::-1] if flipped else pixels
            logits.append(pixels.transpose(0, 3, 1, 2).reshape(len(images), -1) @ weight.T)
    return np.stack(logits)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("batch", [1, 3, 7, 100])
def test_the_softmax_is_averaged_over_ten_crops(dataset, batch):
    net = LinearNet()
    found = predict_ten_crops(net, dataset, "val", CROP, batch)
    shown = [min(batch, IMAGES - start) for start in range(0, IMAGES, batch)]
    assert net.shown == [images for images in shown for _ in range(10)]  # the last batch too
    logits = logits_by_hand(net, dataset, "val")
    for probabilities in (found.ten_crop, found.centre):
        assert (probabilities.shape, probabilities.dtype) == ((IMAGES, CLASSES), np.float32)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(found.ten_crop, softmax(logits).mean(axis=0), atol=2e-6)
    np.testing.assert_allclose(found.centre, softmax(logits[4]), atol=2e-6)
    # The softmax of the mean logits, the bug of many ports, is far from it here.
    assert np.abs(softmax(logits.mean(axis=0)) - found.ten_crop).max() > 0.05


def test_averages_worked_by_hand(dataset):
    answers = [[math.log(3), 0.0, -math.inf], *[[0.0, math.log(7), -math.inf]] * 9]  # to the ten crops
    found = predict_ten_crops(Says(answers), dataset, "val", CROP, IMAGES)
    # (0.75 + 9 * 0.125) / 10 and (0.25 + 9 * 0.875) / 10
    np.testing.assert_allclose(found.ten_crop, [[0.1875, 0.8125, 0]] * IMAGES, rtol=1e-6)
    np.testing.assert_allclose(found.centre, [[0.125, 0.875, 0]] * IMAGES, rtol=1e-6)


def test_errors_by_number_of_crops_begin_with_the_centre_and_end_with_all_ten(dataset):
    net = LinearNet()
    found = predict_ten_crops(net, dataset, "val", CROP, 3)
    labels = dataset.split("val").labels
    views = softmax(logits_by_hand(net, dataset, "val"))
    order = [4, 9, 0, 5, 1, 6, 2, 7, 3, 8]  # the centre and its reflection, then each corner with its own
    expected = [float((views[order[:n]].mean(axis=0).argmax(axis=1) != labels).mean()) for n in range(1, 11)]
    assert found.errors_by_crops == pytest.approx(expected)
    assert len(set(expected)) > 1
    ends = [found.errors_by_crops[0], found.errors_by_crops[-1]]
    assert ends == [float((found.ranks[crops] >= 1).mean()) for crops in ("centre", "ten_crop")]
    assert all(np.array_equal(ranks, rank_truth(getattr(found, crops), labels)) for crops, ranks in found.ranks.items())


def test_of_too_many_probabilities_only_the_ranks_are_kept(dataset, monkeypatch):
    net = LinearNet()
    whole = predict_ten_crops(net, dataset, "val", CROP, 3)
    monkeypatch.setattr("alexnet2012.evaluation.metrics.KEPT_VALUES", IMAGES * CLASSES - 1)
    ranked = predict_ten_crops(net, dataset, "val", CROP, 3)
    assert ranked.ten_crop.shape == ranked.centre.shape == (0, CLASSES)
    assert all(np.array_equal(ranked.ranks[crops], whole.ranks[crops]) for crops in ("centre", "ten_crop"))
    assert ranked.errors_by_crops == whole.errors_by_crops


@pytest.mark.parametrize("training", [True, False])
def test_a_pass_over_the_centre_alone_is_that_of_the_ten_and_leaves_the_nets_mode(dataset, training):
    net = LinearNet().train(training)
    ten = predict_ten_crops(net, dataset, "val", CROP, 3)
    assert net.training is training
    alone, _ = measure_centre(net, dataset, "val", np.arange(IMAGES), CROP, 3)
    assert net.training is training
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
    assert np.array_equal(ten.centre, alone)
    assert not np.allclose(ten.centre, ten.ten_crop, atol=0.01)


def test_a_pass_that_is_given_up_leaves_neither_evaluation_nor_inference_mode(dataset):
    net = LinearNet().train()
    parts = predict_crops(
        net, dataset.split("val").images, np.arange(IMAGES), dataset.mean_image, ten_crops(SIZE, CROP), CROP, 2
    )
    next(parts)
    assert not torch.is_inference_mode_enabled()
    parts.close()
    assert net.training


def test_the_loss_of_the_centre_by_hand(dataset):
    net = LinearNet()
    rows = np.array([5, 0, 6, 3])
    probabilities, loss = measure_centre(net, dataset, "val", rows, CROP, 3)
    expected = softmax(logits_by_hand(net, dataset, "val")[4])[rows]
    assert (probabilities.shape, probabilities.dtype) == ((4, CLASSES), np.float32)
    np.testing.assert_allclose(probabilities, expected, atol=2e-6)
    labels = np.load(dataset.folder / "val" / "labels.npy")[rows]
    assert len(set(labels)) > 1
    by_hand = -sum(math.log(expected[place, label]) for place, label in enumerate(labels)) / 4
    assert loss == pytest.approx(by_hand, rel=1e-5)


def test_a_probability_of_zero_leaves_the_loss_finite(dataset):
    certain = Says([[1000.0, 0.0, 0.0]] * 100)
    labels = np.load(dataset.folder / "val" / "labels.npy")
    wrong, right = np.flatnonzero(labels != 0), np.flatnonzero(labels == 0)
    assert len(wrong) and len(right)
    # The smallest normal float32 is 2^-126: 126 * ln 2 = 87.3365 nats.
    assert measure_centre(certain, dataset, "val", wrong, CROP, 3)[1] == pytest.approx(126 * math.log(2), rel=1e-12)
    assert measure_centre(certain, dataset, "val", right, CROP, 3)[1] == 0


def test_parts_come_in_the_order_of_the_rows(dataset):
    net = LinearNet()
    images = dataset.split("val").images
    rows = np.array([6, 1, 1, 4, 0])
    crops = ten_crops(SIZE, CROP)[3:6]
    parts = list(predict_crops(net, images, rows, dataset.mean_image, crops, CROP, 2))
    assert [part for part, _ in parts] == [slice(0, 2), slice(2, 4), slice(4, 5)]
    found = np.concatenate([probabilities.numpy() for _, probabilities in parts], axis=1)
    np.testing.assert_allclose(found, softmax(logits_by_hand(net, dataset, "val"))[3:6][:, rows], atol=2e-6)


def test_dropout_is_off_and_halved_while_the_real_net_predicts(tmp_path):
    dataset = write_dataset(tmp_path / "real", {"train": 1, "val": 3, "test": 1}, 32, 4)
    few = {f"conv{k}": ConvConfig(kernels=4, kernel_px=3, pad=1) for k in (2, 3, 4, 5)}
    net = AlexNet(NetConfig(crop_px=28, conv1=ConvConfig(kernels=4, kernel_px=5), fc_neurons=5, **few), 4)
    initialise(net, torch.Generator().manual_seed(0))
    net.train()  # without masks a pass in training mode would raise
    found, _ = measure_centre(net, dataset, "val", np.arange(3), 28, 2)
    kept = {}
    net.fc8.register_forward_hook(lambda _, inputs, output: kept.update(inputs=inputs[0].clone()))
    with torch.no_grad():
        pixels = dataset.split("val").images[:, 2:30, 2:30].astype(np.float32) - dataset.mean_image[2:30, 2:30]
        inputs = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
        ones = torch.ones(3, 5)
        halved = torch.softmax(net(inputs, (ones / 2, ones / 2)), dim=1)
        whole = torch.softmax(net(inputs, (ones, ones)), dim=1)
    np.testing.assert_allclose(found, halved.numpy(), atol=1e-6)
    assert np.abs(found - whole.numpy()).max() > 1e-3
