"""What a trained net has learnt, as a job: the chroma of its towers (C21), the neighbours in its features (C22)."""

import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import nn

from alexnet2012.config import RunConfig
from alexnet2012.data.batches import stream
from alexnet2012.data.packed import PackedDataset, PackedSplit
from alexnet2012.errors import ConfigError
from alexnet2012.evaluation.chroma import compare_towers
from alexnet2012.evaluation.crops import centre_crop
from alexnet2012.evaluation.neighbours import feature_blocks, nearest, pixel_blocks
from alexnet2012.evaluation.predict import predict_crops
from alexnet2012.evaluation.trained import load_net, open_run
from alexnet2012.files import replacing, write_json

PRECISION_AT = 5
SHOWN_NEIGHBOURS, SHOWN_QUERIES, SHOWN_IMAGES, SHOWN_LABELS = 6, 5, 8, 5  # of figure 4
QUERIES, GALLERY = 1_000, 150_000  # images at most


def analyse(run_folder: Path, output_folder: Path, data_folder: Path) -> None:
    """Write `output_folder`/analysis.json and examples.npz, what figure 4 shows of the net in `run_folder`.

    Queries are images of test, of val where test's labels are withheld; the gallery are training images; both are
    samples where there are very many, the same for all nets of a dataset. Raises RecordError as `predict` does and
    ConfigError for a net without fc7.
    """
    run, record, dataset = open_run(run_folder, data_folder)
    if run.net.kind != "alexnet":
        raise ConfigError(f"{run_folder} holds a net of kind {run.net.kind}; only the paper's net has towers and fc7")
    net, made_by = load_net(run_folder, run, len(dataset.classes))
    started = time.monotonic()
    # torch's number of threads is not that of the BLAS which finds distances: without this it takes every core.
    with threadpool_limits(run.training.torch_threads):
        neighbours, shown = compare_neighbours(net, run, dataset)
    examples = shown | show_predictions(net, run, dataset)
    kernels = net.conv1.weight.detach().cpu().numpy()
    with replacing(output_folder / "examples.npz") as path, path.open("wb") as file:
        np.savez_compressed(file, **examples)
    write_json(
        output_folder / "analysis.json",
        {
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


def compare_neighbours(net: nn.Module, run: RunConfig, dataset: PackedDataset) -> tuple[dict, dict[str, np.ndarray]]:
    """How many of each query's nearest training images are of its class, by features and by pixels; and the neighbours
    of a few queries, to be shown."""
    split, train = dataset.split(run.splits[-1]), dataset.split("train")
    queries = sample(run, "queries", len(split), QUERIES)
    gallery = sample(run, "gallery", len(train), GALLERY)
    batch = run.runtime.evaluation_batch
    spaces = {
        "features": lambda name, rows: feature_blocks(net, dataset, name, rows, batch),
        "pixels": lambda name, rows: pixel_blocks(dataset.split(name).images, rows),
    }
    labels = split.labels[queries]
    found = {"k": PRECISION_AT, "queries": len(queries), "gallery": len(gallery)}
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
    """A few images with their five most probable labels, centre crop."""
    split = dataset.split(run.splits[-1])
    rows = sample(run, "examples", len(split), SHOWN_IMAGES)
    crops = (centre_crop(dataset.size_px, run.net.crop_px),)
    predicted = predict_crops(net, split.images, rows, dataset.mean_image, crops, run.net.crop_px, len(rows))
    probabilities = torch.cat([part[0] for _, part in predicted])
    top = probabilities.topk(min(SHOWN_LABELS, probabilities.shape[1]), dim=1)
    return {
        "test_images": split.images[rows],
        "test_labels": split.labels[rows],
        "test_top5": top.indices.numpy(),
        "test_probabilities": top.values.numpy(),
    }


def sample(run: RunConfig, purpose: str, images: int, at_most: int) -> np.ndarray:
    """Image numbers, int64, in the order they were drawn; the same for every net of a dataset."""
    return stream(run.dataset.split_seed, purpose).permutation(images)[:at_most]


def take_images(split: PackedSplit, rows: np.ndarray) -> np.ndarray:
    """uint8 (*rows.shape, s, s, 3)."""
    images = split.images[rows.ravel()]
    return images.reshape(*rows.shape, *images.shape[1:])
