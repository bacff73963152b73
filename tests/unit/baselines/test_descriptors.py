import numpy as np
import pytest

from alexnet2012.baselines.descriptors import cells, corners, describe_patches, place
from alexnet2012.config.nets import DescriptorConfig, GridConfig

RANDOM = np.random.default_rng(0)
IMAGE = RANDOM.integers(0, 256, (32, 32, 3), dtype=np.uint8)
DIMENSIONS = {"sift": 128, "colour": 96, "hog": 36, "lbp": 236, "pixels": 8 * 8 * 3}


def config(kind: str, *grids: tuple[int, int], enlarged: int = 1) -> DescriptorConfig:
    sizes = [GridConfig(side_px=side, step_px=step) for side, step in grids or [(8, 4)]]
    return DescriptorConfig(kind=kind, grids=sizes, enlarged=enlarged)


@pytest.mark.parametrize("kind", DIMENSIONS)
def test_each_patch_has_a_descriptor_even_of_a_grey_image(kind):
    for image in (IMAGE, np.full_like(IMAGE, 127)):
        found = describe_patches(image, config(kind))
        assert (found.shape, found.dtype) == ((49, DIMENSIONS[kind]), np.float32)  # 7 x 7 places
        assert np.isfinite(found).all()


@pytest.mark.parametrize("kind", ["colour", "hog", "lbp", "pixels"])
def test_a_patch_is_described_wherever_it_lies(kind):
    """Two places that show the same, apart from what lies around the patch."""
    image = IMAGE.copy()
    image[14:26, 13:25] = image[2:14, 1:13]
    where = corners(32, config(kind, (8, 1)))
    found = describe_patches(image, config(kind, (8, 1)))
    first, second = where.index((4, 3, 8)), where.index((16, 15, 8))
    np.testing.assert_allclose(found[first], found[second], atol=1e-5)


def test_sift_moves_with_its_image():
    image = np.zeros((48, 48, 3), np.uint8)
    image[8:24, 8:24] = RANDOM.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    moved = np.roll(image, (8, 16), axis=(0, 1))
    grid = config("sift", (16, 8))
    where = corners(48, grid)
    before, after = describe_patches(image, grid), describe_patches(moved, grid)
    np.testing.assert_allclose(before[where.index((8, 8, 16))], after[where.index((16, 24, 16))], atol=0.02)


def test_colours_are_means_and_deviations_of_four_by_four_cells():
    found = describe_patches(IMAGE, config("colour", (8, 8)))[1].reshape(4, 4, 6)  # the second patch of the first row
    cell = IMAGE[2:4, 8:10].reshape(-1, 3) / 255
    np.testing.assert_allclose(found[1, 0], [*cell.mean(0), *cell.std(0)], atol=1e-4)


def test_gradients_of_an_edge_point_across_it():
    image = np.zeros((16, 16, 3), np.uint8)
    image[:, 8:] = 200
    (found,) = describe_patches(image, config("hog", (16, 16)))
    assert set(np.flatnonzero(found > 0.1) % 9) == {0}  # horizontal gradients alone


def test_patches_are_placed_in_parts_of_the_side_enlarged_or_not():
    grids = [(8, 4), (16, 8)]
    plain = place(32, config("colour", *grids))
    assert len(plain) == 49 + 9 and plain[0].tolist() == [0.125, 0.125] and plain[1].tolist() == [0.25, 0.125]
    twice = place(32, config("colour", (16, 8), (32, 16), enlarged=2))
    np.testing.assert_array_equal(plain, twice)
    assert describe_patches(IMAGE, config("colour", (16, 8), (32, 16), enlarged=2)).shape == (58, 96)


def test_each_level_of_the_pyramid_holds_every_patch_once():
    found = cells(place(32, config("colour", (8, 2), (12, 4))), [1, 2, 3])
    assert found.shape == (1 + 4 + 9, 13 * 13 + 6 * 6)
    for first, last in ((0, 1), (1, 5), (5, 14)):
        assert (found[first:last].sum(axis=0) == 1).all()
    upper_right = found[2]
    centres = place(32, config("colour", (8, 2), (12, 4)))[upper_right]
    assert (centres[:, 0] >= 0.5).all() and (centres[:, 1] < 0.5).all()
