import numpy as np
import pytest
import torch

from alexnet2012.evaluation.crops import CENTRE, Crop, centre_crop, cut, cut_on_device, place_mean, ten_crops


@pytest.mark.parametrize(
    ("size_px", "crop_px", "far", "middle"), [(256, 224, 32, 16), (32, 28, 4, 2), (9, 4, 5, 2), (224, 224, 0, 0)]
)
def test_corners_and_centre_then_their_reflections(size_px, crop_px, far, middle):
    corners = [(0, 0), (0, far), (far, 0), (far, far), (middle, middle)]
    found = [(crop.top, crop.left, crop.flipped) for crop in ten_crops(size_px, crop_px)]
    assert found == [(*corner, False) for corner in corners] + [(*corner, True) for corner in corners]


def test_the_centre_is_the_fifth_of_ten():
    assert CENTRE == 4
    assert ten_crops(256, 224)[CENTRE] == centre_crop(256, 224) == Crop(16, 16, False)
    assert centre_crop(32, 28) == Crop(2, 2, False)


@pytest.mark.parametrize("crop", ten_crops(9, 4))
def test_a_cut_is_the_slice_minus_the_mean_of_the_same_place(crop):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (3, 9, 9, 3), dtype=np.uint8)
    mean_image = generator.uniform(0, 255, (9, 9, 3)).astype(np.float32)
    found = cut(images, mean_image, crop, 4)
    assert (found.shape, found.dtype) == ((3, 3, 4, 4), torch.float32)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(cut_on_device(torch.from_numpy(images), torch.from_numpy(mean_image), crop, 4), found)
    for n in range(3):
        for channel in range(3):
            for row in range(4):
                for column in range(4):
                    # The reflection turns the image and the mean together.
                    x = crop.left + (3 - column if crop.flipped else column)
                    y = crop.top + row
                    expected = np.float32(images[n, y, x, channel]) - mean_image[y, x, channel]
                    assert found[n, channel, row, column].item() == expected


@pytest.mark.parametrize("crop", ten_crops(9, 4))
def test_every_crop_loses_the_centre_of_a_central_mean(crop):
    """Net 145 of the 2012 code: subtracted after the reflection, so that the mean is not reflected."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (3, 9, 9, 3), dtype=np.uint8)
    mean_image = generator.uniform(0, 255, (9, 9, 3)).astype(np.float32)
    found = cut(images, place_mean(mean_image, crop, 4, "central"), crop, 4)
    pixels = images[:, crop.top : crop.top + 4, crop.left : crop.left + 4].astype(np.float32)
    expected = (pixels[:, :, ::-1] if crop.flipped else pixels) - mean_image[2:6, 2:6]
    assert np.array_equal(found.permute(0, 2, 3, 1).numpy(), expected)
    assert place_mean(mean_image, crop, 4, "moving") is mean_image


def test_ten_crops_of_the_mean_image_are_zero():
    mean_image = np.random.default_rng(1).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    for crop in ten_crops(32, 28):
        assert (cut(mean_image, mean_image[0].astype(np.float32), crop, 28) == 0).all()
