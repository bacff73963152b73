import numpy as np
import pytest
import torch

from alexnet2012.data.augment import Views, centre_on_device, crop_bytes, make_batch
from alexnet2012.data.packed import JpegImages
from alexnet2012.data.storage import encode


@pytest.fixture
def drawn() -> tuple[np.ndarray, np.ndarray, Views]:
    """Ten images of 12 pixels, a mean image, and views of 7 pixels."""
    random = np.random.default_rng(0)
    views = Views(
        top=random.integers(6, size=10),
        left=random.integers(6, size=10),
        flipped=np.arange(10) % 3 == 0,
        colour=random.normal(0, 10, (10, 3)).astype(np.float32),
    )
    mean_image = random.uniform(0, 255, (12, 12, 3)).astype(np.float32)
    return random.integers(0, 256, (10, 12, 12, 3), dtype=np.uint8), mean_image, views


def test_bytes_are_the_slices(drawn):
    images, _, views = drawn
    rows = np.array([3, 3, 9, 0])
    crops = np.empty((4, 7, 7, 3), np.uint8)
    crop_bytes(images, rows, views.top[rows], views.left[rows], crops)
    for place, row in enumerate(rows):
        expected = images[row, views.top[row] : views.top[row] + 7, views.left[row] : views.left[row] + 7]
        assert np.array_equal(crops[place], expected)


def test_bytes_finished_on_a_device_are_the_batch_of_a_cpu_bit_for_bit(drawn):
    images, mean_image, views = drawn
    rows = np.array([5, 0, 9, 3, 1])
    crops = np.empty((5, 7, 7, 3), np.uint8)
    crop_bytes(images, rows, views.top[rows], views.left[rows], crops)
    shown = [torch.from_numpy(each[rows]) for each in (views.top, views.left, views.flipped, views.colour)]
    found = centre_on_device(torch.from_numpy(crops), torch.from_numpy(mean_image), *shown)
    assert torch.equal(found, make_batch(images, mean_image, rows, views, 7))
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_no_bit(drawn, threads):
    images, mean_image, views = drawn
    before, rows = torch.get_num_threads(), np.arange(10)[::-1].copy()
    batches = []
    for each in (1, threads):
        torch.set_num_threads(each)
        try:
            batches.append(make_batch(images, mean_image, rows, views, 7))
        finally:
            torch.set_num_threads(before)
    assert torch.equal(*batches)


def test_jpegs_are_cropped_as_their_pixels_are(drawn, tmp_path):
    images, mean_image, views = drawn
    encoded = [encode(image, 95) for image in images]
    lengths = np.array([len(each) for each in encoded])
    np.save(tmp_path / "offsets.npy", np.stack([lengths.cumsum() - lengths, lengths], axis=1))
    (tmp_path / "images.bin").write_bytes(b"".join(encoded))
    jpegs, rows = JpegImages(tmp_path, 12), np.array([4, 4, 8])
    decoded = jpegs[:]
    assert torch.equal(make_batch(jpegs, mean_image, rows, views, 7), make_batch(decoded, mean_image, rows, views, 7))
    crops = np.empty((2, 3, 7, 7, 3), np.uint8)
    for into, source in zip(crops, (jpegs, decoded), strict=True):
        crop_bytes(source, rows, views.top[rows], views.left[rows], into)
    assert np.array_equal(crops[0], crops[1])
