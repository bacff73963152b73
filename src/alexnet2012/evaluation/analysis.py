"""Analysis of a trained net: chroma of its towers (claim C21, figure 3), and neighbours in feature space (C22)."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from sklearn.metrics.pairwise import euclidean_distances
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from alexnet2012.config.nets import NetConfig
from alexnet2012.config.schema import RunConfig
from alexnet2012.data.augment import stream
from alexnet2012.data.packed import JpegImages, PackedDataset, PackedSplit
from alexnet2012.errors import ConfigError
from alexnet2012.evaluation.crops import centre_crop, predict_crops
from alexnet2012.evaluation.trained import load_net, open_run
from alexnet2012.files import SCHEMA, write_arrays, write_json

PRECISION_AT = 5
SHOWN_NEIGHBOURS, SHOWN_QUERIES, SHOWN_IMAGES, SHOWN_LABELS = 6, 5, 8, 5  # in figure 4
RESAMPLES = 9_999  # random permutations; fewer if all can be enumerated
BLOCK_VALUES = 2**26  # float32 values of the gallery in memory at once: 256 MiB
QUERIES, GALLERY = 1_000, 150_000  # maximum numbers of images


def analyse(run_folder: Path, output_folder: Path, data_folder: Path) -> None:
    """Analyse the net in `run_folder`: write `output_folder`/analysis.json, and examples.npz for figure 4.

    Queries are images of test, or of val if test's labels are withheld; the gallery is training images. Both are
    sampled if there are very many; the sample is the same for all nets of a dataset. Raises RecordError as
    evaluation.predict.predict does, and ConfigError for a net of another kind than the paper's.
    """
    run, record, dataset = open_run(run_folder, data_folder)
    if not isinstance(run.net, NetConfig):
        raise ConfigError(f"{run_folder} holds a net of kind {run.net.kind}; only the paper's net has towers and fc7")
    net, made_by = load_net(run_folder, run, len(dataset.classes))
    started = time.monotonic()
    # The BLAS that computes distances ignores torch's number of threads and would use every core.
    with threadpool_limits(run.training.torch_threads):
        neighbours, shown = compare_neighbours(net, run, dataset)
    examples = shown | show_predictions(net, run, dataset)
    kernels = net.state_dict()["conv1.weight"].cpu().numpy()
    write_arrays(output_folder / "examples.npz", examples)
    write_json(
        output_folder / "analysis.json",
        {
            "schema": SCHEMA,
            "kind": "analysis",
            "variant": run.variant,
            "seed": run.seed,
            "hash8": run.hash8,
            "dataset": dataset.describe(),
            "weights_sha256": record["weights_sha256"],
            "chroma": asdict(compare_towers(kernels)) if run.net.towers == 2 else None,
            "neighbours": neighbours,
            "provenance": asdict(made_by),
            "wall_time_s": round(time.monotonic() - started, 1),
        },
    )


def compare_neighbours(
    net: nn.Module, run: RunConfig, dataset: PackedDataset
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The precision of nearest neighbours: how many of a query's PRECISION_AT nearest training images have its class,
    in feature space and in pixel space.

    Returns entries for analysis.json, and arrays with the neighbours of a few queries for figure 4.
    """
    split, train = dataset.split(run.splits[-1]), dataset.split("train")
    queries = sample(run, "queries", len(split), QUERIES)
    gallery = sample(run, "gallery", len(train), GALLERY)
    crop_px, batch = run.architecture.crop_px, run.runtime.evaluation_batch
    spaces: dict[str, Callable[[str, np.ndarray], Iterator[np.ndarray]]] = {
        "features": lambda name, rows: feature_blocks(net, dataset, name, rows, crop_px, batch),
        "pixels": lambda name, rows: pixel_blocks(dataset.split(name).images, rows),
    }
    labels = split.labels[queries]
    found: dict[str, Any] = {"k": PRECISION_AT, "queries": len(queries), "gallery": len(gallery)}
    shown = {
        "query_images": split.images[queries[:SHOWN_QUERIES]],
        "query_labels": labels[:SHOWN_QUERIES],
    }
    for space, blocks in spaces.items():
        asked = np.concatenate(list(blocks(split.name, queries)))
        rows = gallery[nearest(asked, blocks("train", gallery), max(PRECISION_AT, SHOWN_NEIGHBOURS))]
        hits = (train.labels[rows[:, :PRECISION_AT]] == labels[:, None]).sum(axis=1)
        found |= {f"{space}_precision": float(hits.mean() / PRECISION_AT), f"{space}_hits": hits.tolist()}
        near = rows[:SHOWN_QUERIES, :SHOWN_NEIGHBOURS]
        shown |= {f"{space}_images": take_images(train, near), f"{space}_labels": train.labels[near]}
    return found, shown


def show_predictions(net: nn.Module, run: RunConfig, dataset: PackedDataset) -> dict[str, np.ndarray]:
    """Arrays with a few images, their labels, and their five most probable labels with probabilities (centre crop)."""
    split = dataset.split(run.splits[-1])
    rows = sample(run, "examples", len(split), SHOWN_IMAGES)
    crop_px = run.architecture.crop_px
    crops = (centre_crop(dataset.size_px, crop_px),)
    predicted = predict_crops(net, split.images, rows, dataset.mean_image, crops, crop_px, len(rows))
    probabilities = torch.cat([part[0] for _, part in predicted])
    top = probabilities.topk(min(SHOWN_LABELS, probabilities.shape[1]), dim=1)
    return {
        "test_images": split.images[rows],
        "test_labels": split.labels[rows],
        "test_top5": top.indices.numpy(),
        "test_probabilities": top.values.numpy(),
    }


def sample(run: RunConfig, purpose: str, images: int, at_most: int) -> np.ndarray:
    """Up to `at_most` numbers out of range(images) in random order, int64; the same for every net of a dataset."""
    return stream(run.dataset.split_seed, purpose).permutation(images)[:at_most]


def take_images(split: PackedSplit, rows: np.ndarray) -> np.ndarray:
    """The images `rows` of a split, uint8 (*rows.shape, size, size, 3)."""
    images = split.images[rows.ravel()]
    return images.reshape(*rows.shape, *images.shape[1:])


@dataclass(frozen=True)
class Chroma:
    """The chroma energy (0 to 1) of conv1's kernels by tower, the towers' means, and their absolute difference.

    `p`: of a permutation test over kernels, with the hypothesis that the towers do not differ.
    """

    towers: list[list[float]]
    means: list[float]
    difference: float
    p: float


def chroma_energy(kernels: np.ndarray) -> np.ndarray:
    """The share of each kernel's energy to which grey images do not contribute, float64 (n,).

    `kernels`: (n, 3, height, width). At each position, the mean over R, G and B is the kernel's grey part, the rest its
    chroma. 0 for a kernel that ignores colours, 1 for one that ignores brightness.
    """
    kernels = kernels.astype(np.float64)
    chroma = kernels - kernels.mean(axis=1, keepdims=True)
    total = np.square(kernels).sum(axis=(1, 2, 3))
    shares: np.ndarray = np.divide(
        np.square(chroma).sum(axis=(1, 2, 3)), total, out=np.zeros(len(kernels)), where=total > 0
    )
    return shares


def compare_towers(kernels: np.ndarray) -> Chroma:
    """The chroma of both towers: of the first and the second half of conv1's kernels (n, 3, height, width)."""
    energy = chroma_energy(kernels)
    towers = np.split(energy, 2)

    def difference(first: np.ndarray, second: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.asarray(np.abs(first.mean(axis=axis) - second.mean(axis=axis)))

    test = stats.permutation_test(
        towers, difference, vectorized=True, n_resamples=RESAMPLES, alternative="greater", rng=2012
    )
    means = [float(each.mean()) for each in towers]
    return Chroma([each.tolist() for each in towers], means, float(test.statistic), float(test.pvalue))


def nearest(queries: np.ndarray, gallery: Iterator[np.ndarray], k: int) -> np.ndarray:
    """Row numbers of the k rows in the gallery nearest to each query, int64 (queries, k), nearest first (Euclidean).

    `queries`: float32 (queries, dimensions); `gallery` yields blocks of rows, float32 (n, dimensions).
    """
    distances: np.ndarray = np.empty((len(queries), 0), dtype=np.float32)
    places: np.ndarray = np.empty((len(queries), 0), dtype=np.int64)
    start = 0
    for block in gallery:
        own = np.broadcast_to(np.arange(start, start + len(block)), (len(queries), len(block)))
        distances = np.hstack([distances, euclidean_distances(queries, block, squared=True)])
        places = np.hstack([places, own])
        few = np.argpartition(distances, min(k, distances.shape[1]) - 1, axis=1)[:, :k]
        distances, places = (np.take_along_axis(each, few, axis=1) for each in (distances, places))
        order = np.lexsort((places, distances), axis=1)
        distances, places = (np.take_along_axis(each, order, axis=1) for each in (distances, places))
        start += len(block)
    return places


def pixel_blocks(images: np.ndarray | JpegImages, rows: np.ndarray) -> Iterator[np.ndarray]:
    """The pixels of the images `rows` in blocks, float32 (n, size * size * 3), 0..255."""
    for part in split_rows(images, rows):
        yield images[part].reshape(len(part), -1).astype(np.float32)


def feature_blocks(
    net: nn.Module, dataset: PackedDataset, split: str, rows: np.ndarray, crop_px: int, batch: int
) -> Iterator[np.ndarray]:
    """The features of the images `rows` in blocks, float32 (n, fc_neurons); centre crop, evaluation mode.

    Features are the inputs of fc8: fc7's outputs after ReLU and the halving of §4.2.
    """
    images = dataset.split(split).images
    crops = (centre_crop(dataset.size_px, crop_px),)
    seen: list[Tensor] = []

    def see(module: nn.Module, inputs: tuple[Tensor]) -> None:
        seen.append(inputs[0].float().cpu())

    hook = net.get_submodule("fc8").register_forward_pre_hook(see)
    try:
        for part in split_rows(images, rows):
            for _ in predict_crops(net, images, part, dataset.mean_image, crops, crop_px, batch):
                pass
            yield torch.cat(seen).numpy()
            seen.clear()
    finally:
        hook.remove()


def split_rows(images: np.ndarray | JpegImages, rows: np.ndarray) -> list[np.ndarray]:
    """`rows` in blocks of at most BLOCK_VALUES pixel values; an image has fewer features than pixels."""
    size = max(1, BLOCK_VALUES // (images.shape[1] ** 2 * 3))
    return [rows[start : start + size] for start in range(0, len(rows), size)]
