import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet2012.config.schema import AugmentationConfig
from alexnet2012.data.augment import (
    Views,
    draw_dropout_masks,
    draw_order,
    draw_views,
    make_batch,
    stream,
)
from alexnet2012.data.packed import PackedDataset

# A rotation that is not its own transpose, so that vectors in rows instead of columns are seen.
VECTORS = np.linalg.qr(np.array([[1.0, 2.0, 0.5], [0.3, -1.0, 2.0], [2.0, 0.1, 1.0]]))[0]
DEVIATIONS = np.array([60.0, 20.0, 5.0])
MANY = 33 * 33 * 20


def dataset(size_px: int = 256) -> PackedDataset:
    return PackedDataset(
        folder=Path("nowhere"),
        name="fake",
        digest="0" * 64,
        classes=("a",),
        counts={"train": 0, "val": 0, "test": 0},
        size_px=size_px,
        mean_image=np.zeros((size_px, size_px, 3), dtype=np.float32),
        colour_vectors=VECTORS,
        colour_deviations=DEVIATIONS,
    )


def views_of(seed: int = 0, epoch: int = 0, images: int = MANY, **how) -> Views:
    return draw_views(seed, epoch, dataset(), images, 224, AugmentationConfig(**how))


def same(first: Views, second: Views) -> list[bool]:
    names = ("top", "left", "flipped", "colour")
    return [np.array_equal(getattr(first, name), getattr(second, name)) for name in names]


def test_the_order_is_a_permutation_of_its_own_for_each_seed_and_epoch():
    orders = [draw_order(seed, epoch, 1000) for seed, epoch in itertools.product(range(3), range(3))]
    assert all(np.array_equal(np.sort(order), np.arange(1000)) for order in orders)
    for first, second in itertools.combinations([*orders, np.arange(1000)], 2):
        # Two random permutations agree in one place on average.
        assert (first == second).sum() < 10
    assert np.array_equal(draw_order(1, 2, 1000), orders[5])


def test_views_depend_on_the_seed_and_the_epoch_alone():
    first = views_of(5, 3)
    assert same(first, views_of(5, 3)) == [True] * 4
    for other in (views_of(5, 4), views_of(6, 3)):
        assert same(first, other) == [False] * 4
    assert [first.top.dtype, first.left.dtype, first.flipped.dtype, first.colour.dtype] == [
        np.int64,
        np.int64,
        bool,
        np.float32,
    ]
    assert (first.top.shape, first.left.shape, first.flipped.shape) == ((MANY,),) * 3
    assert first.colour.shape == (MANY, 3)


def test_positions_cover_33_by_33_uniformly():
    views = views_of()
    for places in (views.top, views.left):
        counts = np.bincount(places, minlength=33)
        assert len(counts) == 33  # 0..32, not 0..31
        # chi-square of 32 degrees of freedom: 1 in 1000 lies above 62.5
        assert (np.square(counts - MANY / 33) / (MANY / 33)).sum() < 62.5
    assert len(set(zip(views.top.tolist(), views.left.tolist(), strict=True))) == 33 * 33
    assert abs(np.corrcoef(views.top, views.left)[0, 1]) < 4 / np.sqrt(MANY)


def test_half_of_the_images_are_reflected_wherever_their_crop():
    views = views_of()
    assert views.flipped.mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(MANY))
    for places in (views.top, views.left):
        assert abs(np.corrcoef(views.flipped, places)[0, 1]) < 4 / np.sqrt(MANY)


def test_colour_noise_has_the_standard_deviations_along_the_components():
    colour = views_of().colour.astype(np.float64)
    expected = VECTORS @ np.diag((0.1 * DEVIATIONS) ** 2) @ VECTORS.T
    np.testing.assert_allclose(np.cov(colour.T), expected, atol=0.04 * expected.max())
    along = colour @ VECTORS
    np.testing.assert_allclose(along.std(axis=0), [6.0, 2.0, 0.5], rtol=0.02)
    np.testing.assert_allclose(np.corrcoef(along.T), np.eye(3), atol=4 / np.sqrt(MANY))
    assert (np.abs(along.mean(axis=0)) < 4 * 0.1 * DEVIATIONS / np.sqrt(MANY)).all()


def test_colour_noise_scales_with_its_deviation_and_vanishes_at_zero():
    plain, double, none = views_of(), views_of(colour_std=0.2), views_of(colour_std=0.0)
    np.testing.assert_allclose(double.colour, 2 * plain.colour, rtol=1e-6)
    assert (none.colour == 0).all()
    assert same(plain, none) == [True, True, True, False]


def test_without_crops_it_is_the_centre_and_nothing_else_changes():
    plain, centre = views_of(), views_of(crops=False)
    assert (centre.top == 16).all() and (centre.left == 16).all()
    assert same(plain, centre) == [False, False, True, True]
    odd = draw_views(0, 0, dataset(33), 10, 28, AugmentationConfig(crops=False))
    assert set(odd.top.tolist()) == set(odd.left.tolist()) == {2}


def test_without_reflections_nothing_is_flipped_and_nothing_else_changes():
    plain, upright = views_of(), views_of(reflections=False)
    assert not upright.flipped.any()
    assert same(plain, upright) == [True, True, False, True]


def test_images_of_a_chunk_share_their_position_and_reflection_but_no_colour():
    """32 of them follow each other in the order of the epoch, as in the 2012 code."""
    images, how = 1000, AugmentationConfig(chunk=32)
    order = draw_order(0, 0, images)[:900]
    views = draw_views(0, 0, dataset(), images, 224, how, order)
    shown = np.stack([views.top, views.left, views.flipped])[:, order]
    chunks = [shown[:, start : start + 32] for start in range(0, 900, 32)]
    assert all((chunk == chunk[:, :1]).all() for chunk in chunks)
    assert len({tuple(chunk[:, 0]) for chunk in chunks}) > 25  # of 29, each drawn for itself
    assert len(np.unique(views.colour[order], axis=0)) == 900
    assert len(chunks[-1][0]) == 4  # the last chunk is what is left
    in_their_own_order = draw_views(0, 0, dataset(), images, 224, how, np.arange(images))
    assert same(draw_views(0, 0, dataset(), images, 224, how), in_their_own_order) == [True] * 4


def draw_pixels(images: int = 6, size: int = 9) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    mean_image = generator.uniform(0, 255, (size, size, 3)).astype(np.float32)
    return generator.integers(0, 256, (images, size, size, 3), dtype=np.uint8), mean_image


def test_a_batch_is_what_plain_loops_make():
    images, mean_image = draw_pixels()
    views = Views(
        top=np.array([0, 5, 2, 3, 1, 4]),
        left=np.array([5, 0, 1, 4, 2, 3]),
        flipped=np.array([False, True, True, False, True, False]),
        colour=np.random.default_rng(1).normal(0, 10, (6, 3)).astype(np.float32),
    )
    rows = np.array([4, 0, 3, 1, 1, 2])
    batch = make_batch(images, mean_image, rows, views, 4)
    assert (batch.shape, batch.dtype) == ((6, 3, 4, 4), torch.float32)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    expected = np.empty((6, 3, 4, 4), dtype=np.float32)
    for place, row in enumerate(rows):
        for channel, y, x in itertools.product(range(3), range(4), range(4)):
            across = 3 - x if views.flipped[row] else x
            down, right = views.top[row] + y, views.left[row] + across
            centred = np.float32(images[row, down, right, channel]) - mean_image[down, right, channel]
            expected[place, channel, y, x] = centred + views.colour[row, channel]
    assert np.array_equal(batch.numpy(), expected)


def still(images: int, top: int = 0, left: int = 0, flipped: bool = False) -> Views:
    return Views(
        np.full(images, top), np.full(images, left), np.full(images, flipped), np.zeros((images, 3), np.float32)
    )


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize(("top", "left"), [(0, 0), (5, 1), (3, 5)])
def test_the_mean_is_cropped_and_reflected_with_the_image(top, left, flipped):
    images, _ = draw_pixels(1)
    batch = make_batch(images, images[0].astype(np.float32), np.array([0]), still(1, top, left, flipped), 4)
    assert (batch == 0).all()


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize(("top", "left"), [(0, 0), (5, 1), (3, 5)])
def test_a_central_mean_is_subtracted_after_the_reflection_wherever_the_crop(top, left, flipped):
    """As in the 2012 code: crop, reflection, mean, colour; divided while there is colour noise."""
    images, mean_image = draw_pixels(1)
    views = Views(
        np.full(1, top), np.full(1, left), np.full(1, flipped), np.array([[5, -3, 2]], np.float32), divisor=1.1
    )
    batch = make_batch(images, mean_image, np.array([0]), views, 4, "central")
    crop = images[0, top : top + 4, left : left + 4].astype(np.float64)
    crop = crop[:, ::-1] if flipped else crop
    expected = (crop - mean_image[2:6, 2:6] + np.array([5, -3, 2])) / 1.1  # 9 pixels: (9 - 4) // 2 = 2
    np.testing.assert_allclose(batch[0].permute(1, 2, 0).numpy(), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("probability", [0.5, 0.25])
def test_dropout_masks_keep_the_rest(probability):
    masks = draw_dropout_masks(0, 0, 128, 512, probability)
    deviation = np.sqrt(probability * (1 - probability) / (128 * 512))
    for mask in masks:
        assert (mask.shape, mask.dtype) == ((128, 512), torch.float32)
        assert set(mask.unique().tolist()) == {0.0, 1.0}
        assert mask.mean().item() == pytest.approx(1 - probability, abs=4 * deviation)
        # Each image has a mask of its own.
        assert len(torch.unique(mask, dim=0)) == 128


def test_dropout_masks_depend_on_the_seed_and_the_step_alone():
    first = draw_dropout_masks(1, 7, 16, 64, 0.5)
    again = draw_dropout_masks(1, 7, 16, 64, 0.5)
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    others = [first[1], *draw_dropout_masks(1, 8, 16, 64, 0.5), *draw_dropout_masks(2, 7, 16, 64, 0.5)]
    for other in others:
        # 1024 independent bits agree in half their places: 512 +- 16
        assert (first[0] == other).sum().item() == pytest.approx(512, abs=64)
    # Drawn image after image: a batch cut in micro-batches keeps its masks.
    longer = draw_dropout_masks(1, 7, 32, 64, 0.5)
    assert torch.equal(longer[0][:16], first[0]) and torch.equal(longer[1][:16], first[1])


def test_streams_of_other_names_are_independent():
    purposes = ("order", "augmentation", "dropout-fc6", "dropout-fc7", "weights")
    names = list(itertools.product((0, 1, 2), purposes, (0, 1, 2)))
    draws = np.array([stream(seed, purpose, counter).standard_normal(4000) for seed, purpose, counter in names])
    correlations = np.corrcoef(draws)[np.triu_indices(len(names), 1)]
    # 990 pairs of correlation 0 +- 1/sqrt(4000): the largest stays within five deviations.
    assert np.abs(correlations).max() < 5 / np.sqrt(4000)
    assert correlations.std() == pytest.approx(1 / np.sqrt(4000), rel=0.1)
    assert np.array_equal(stream(2, "weights", 2).standard_normal(4000), draws[-1])
