"""The nearest images in the last hidden layer and among pixels (§6.1, figure 4), in bounded memory."""

from collections.abc import Iterator

import numpy as np
import torch
from sklearn.metrics.pairwise import euclidean_distances
from torch import Tensor, nn

from alexnet2012.data.packed import PackedDataset
from alexnet2012.data.storage import JpegImages
from alexnet2012.evaluation.crops import centre_crop
from alexnet2012.evaluation.predict import predict_crops

BLOCK_VALUES = 2**26  # 256 MiB of float32: so much of a gallery is in memory at a time


def nearest(queries: np.ndarray, gallery: Iterator[np.ndarray], k: int) -> np.ndarray:
    """Int64 (queries, k): places in the gallery of the nearest rows, nearest first, by Euclidean distance.

    `gallery` hands over its rows, float32 (n, dimensions), a block at a time; only the k best so far are kept.
    """
    distances = np.empty((len(queries), 0), dtype=np.float32)
    places = np.empty((len(queries), 0), dtype=np.int64)
    start = 0
    for block in gallery:
        own = np.broadcast_to(np.arange(start, start + len(block)), (len(queries), len(block)))
        distances = np.hstack([distances, euclidean_distances(queries, block, squared=True)])
        distances, places = keep_nearest(distances, np.hstack([places, own]), k)
        start += len(block)
    return places


def keep_nearest(distances: np.ndarray, places: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k smallest of each row, smallest first, and their places."""
    if distances.shape[1] > k:
        few = np.argpartition(distances, k - 1, axis=1)[:, :k]
        distances, places = (np.take_along_axis(each, few, axis=1) for each in (distances, places))
    order = np.lexsort((places, distances), axis=1)
    return np.take_along_axis(distances, order, axis=1), np.take_along_axis(places, order, axis=1)


def pixel_blocks(images: np.ndarray | JpegImages, rows: np.ndarray) -> Iterator[np.ndarray]:
    """The packed images `rows` as float32 (n, size * size * 3) in 0..255, a block at a time."""
    for part in split_rows(images, rows):
        yield images[part].reshape(len(part), -1).astype(np.float32)


def feature_blocks(
    net: nn.Module, dataset: PackedDataset, split: str, rows: np.ndarray, batch: int
) -> Iterator[np.ndarray]:
    """What fc8 sees of the images `rows`, float32 (n, fc_neurons): fc7 after its ReLU and the halving of §4.2.

    Centre crop, evaluation mode.
    """
    images, crop_px = dataset.split(split).images, net.config.crop_px
    crops = (centre_crop(dataset.size_px, crop_px),)
    seen: list[Tensor] = []
    hook = net.fc8.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].float().cpu()))
    try:
        for part in split_rows(images, rows):
            for _ in predict_crops(net, images, part, dataset.mean_image, crops, crop_px, batch):
                pass
            yield torch.cat(seen).numpy()
            seen.clear()
    finally:
        hook.remove()


def split_rows(images: np.ndarray | JpegImages, rows: np.ndarray) -> list[np.ndarray]:
    """`rows` in blocks whose pixels fill BLOCK_VALUES, more than their features do."""
    size = max(1, BLOCK_VALUES // (images.shape[1] ** 2 * 3))
    return [rows[start : start + size] for start in range(0, len(rows), size)]
