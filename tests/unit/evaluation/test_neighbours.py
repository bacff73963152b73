import tracemalloc

import numpy as np
import pytest
import torch
from fake_dataset import write_dataset
from torch import nn

from alexnet2012.config.nets import ConvConfig, NetConfig
from alexnet2012.evaluation import analysis
from alexnet2012.evaluation.analysis import feature_blocks, nearest, pixel_blocks, split_rows
from alexnet2012.model.layered import initialise, make_net


@pytest.mark.parametrize("block", [1, 3, 7, 50])
def test_the_nearest_of_blocks_are_the_nearest_of_all(block):
    random = np.random.default_rng(1)
    queries, gallery = (random.normal(size=(n, 6)).astype(np.float32) for n in (9, 50))
    found = nearest(queries, (gallery[start : start + block] for start in range(0, 50, block)), 4)
    distances = np.square(queries[:, None].astype(np.float64) - gallery).sum(axis=2)
    assert np.array_equal(found, np.argsort(distances, axis=1)[:, :4])


def test_a_gallery_smaller_than_k_is_returned_whole():
    queries = np.zeros((2, 1), dtype=np.float32)
    gallery = np.array([[3.0], [1.0], [2.0]], dtype=np.float32)
    assert nearest(queries, iter([gallery]), 5).tolist() == [[1, 2, 0]] * 2


def test_of_equally_near_images_the_earlier_one_comes_first():
    gallery = np.ones((4, 2), dtype=np.float32)
    assert nearest(np.zeros((1, 2), dtype=np.float32), iter([gallery[:2], gallery[2:]]), 3).tolist() == [[0, 1, 2]]


def test_a_gallery_as_large_as_the_papers_test_set_needs_the_memory_of_a_block():
    """150,000 x 4096 would be 2.4 GB; here a hundredth of its width, and blocks of 1,500 rows."""
    rows, width, block, queries = 150_000, 41, 1_500, 20

    def make():
        for start in range(0, rows, block):
            yield np.random.default_rng(start).random((block, width), dtype=np.float32)

    asked = np.random.default_rng(7).random((queries, width), dtype=np.float32)
    tracemalloc.start()
    found = nearest(asked, make(), 5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.shape == (queries, 5) and found.max() >= block
    assert peak < 4 * block * width * 4 + 40 * queries * block  # the gallery itself is 24 MB


def test_blocks_are_as_large_as_their_pixels_allow(monkeypatch):
    images = np.zeros((10, 4, 4, 3), dtype=np.uint8)
    monkeypatch.setattr(analysis, "BLOCK_VALUES", 3 * 48)
    assert [len(part) for part in split_rows(images, np.arange(10))] == [3, 3, 3, 1]
    monkeypatch.setattr(analysis, "BLOCK_VALUES", 1)
    assert [len(part) for part in split_rows(images, np.arange(2))] == [1, 1]


def test_pixels_are_the_packed_images_in_the_order_asked_for():
    images = np.arange(5 * 12, dtype=np.uint8).reshape(5, 2, 2, 3)
    (block,) = pixel_blocks(images, np.array([3, 1]))
    assert block.dtype == np.float32 and block[:, 0].tolist() == [36, 12]


def test_features_are_what_fc8_sees(tmp_path, monkeypatch):
    small = ConvConfig(kernels=4, kernel_px=3, pad=1)
    config = NetConfig(
        crop_px=12, conv1=small, conv2=small, conv3=small, conv4=small, conv5=small, fc_neurons=6, towers=1
    )
    net = make_net(config, 3).eval()
    initialise(net, torch.Generator().manual_seed(0))
    dataset = write_dataset(tmp_path, {"train": 7, "val": 2, "test": 5}, size_px=16, classes=3)
    monkeypatch.setattr(analysis, "BLOCK_VALUES", 3 * 16 * 16 * 3)
    rows = np.array([4, 0, 2, 1])

    blocks = list(feature_blocks(net, dataset, "test", rows, crop_px=12, batch=2))

    assert [block.shape for block in blocks] == [(3, 6), (1, 6)]
    images = dataset.split("test").images[rows][:, 2:14, 2:14].astype(np.float32) - dataset.mean_image[2:14, 2:14]
    seen = torch.from_numpy(images).permute(0, 3, 1, 2)
    with torch.no_grad():
        net.fc8 = nn.Identity()
        torch.testing.assert_close(torch.from_numpy(np.concatenate(blocks)), net(seen))
    assert np.concatenate(blocks).min() >= 0 and np.concatenate(blocks).max() > 0
