"""What figures read beside records: histories, weights and analyses, with numbers chosen by hand."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from fake_results import FakeResults, change
from safetensors.numpy import save_file

CLASSES = ["n01440764", "black-and-tan coonhound", *(f"class {k}" for k in range(2, 10))]


UNKIND = [
    "$x_1^{2}$",
    "$",
    "a\\b",
    "<b>bold</b>",
    "black & white",
    "a|b",
    "`code`",
    "\"double\" 'single'",
    "line\nbreak",
    "猫",
    "犬",
    "قطة",
    "😀",
    "x" * 200,
    "x" * 199 + "y",
    " leading",
    "trailing ",
    "..",
    "-rf",
    "100 %",
    "#1",
    "_under",
]


def run_folder(fake: FakeResults, key: str, seed: int, dataset: str = "photos") -> Path:
    return fake.folder / "runs" / dataset / f"{key}-00000000" / f"seed{seed}"


def write_history(
    fake: FakeResults, key: str, seed: int, train: list[float], rates: list[float] | None = None, dataset="photos"
) -> None:
    """Errors by epoch; those on val are 0.1 more."""
    run = run_folder(fake, key, seed, dataset)
    pd.DataFrame(
        {
            "epoch": range(1, len(train) + 1),
            "learning_rate": rates or [0.01] * len(train),
            "train_loss": np.add(train, 1.0),
            "train_top1_error": train,
            "val_top1_error": np.add(train, 0.1),
        }
    ).to_parquet(run / "history.parquet")
    change(run / "record.json", epochs=len(train))


def write_weights(fake: FakeResults, seed: int, kernels: np.ndarray, towers: int, dataset="photos") -> None:
    weights = {"conv1.weight": kernels, "conv2.weight": np.zeros((2, len(kernels) // towers, 1, 1), np.float32)}
    save_file(weights, run_folder(fake, "cnn", seed, dataset) / "model.safetensors")


def draw_kernels(count: int = 4, size: int = 3) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 3, size, size)).astype(np.float32)


def write_analysis(fake: FakeResults, seed: int, dataset="photos") -> None:
    """Two towers of two kernels; the third image's truth is its second label, one neighbour by features is of another
    class, and all by pixels are."""
    chroma = {"towers": [[0.1, 0.3], [0.6, 0.8]], "means": [0.2, 0.7], "p": 0.0004}
    neighbours = {"k": 5, "queries": 40, "gallery": 900, "features_precision": 0.625, "pixels_precision": 0.25}
    neighbours |= {"features_hits": [3] * 35 + [4] * 5, "pixels_hits": [1] * 30 + [2] * 10}
    fake.analyse("cnn", seed, {"chroma": chroma, "neighbours": neighbours}, dataset)
    folder = fake.folder / "analyses" / dataset / "cnn-00000000" / f"seed{seed}"
    images = np.full((8, 4, 4, 3), 90, np.uint8)
    labels, near = np.arange(8), np.repeat(np.arange(5)[:, None], 6, axis=1)
    top5 = (labels[:, None] + np.arange(5)) % 10
    top5[2, :2] = [3, 2]
    unlike = near.copy()
    unlike[0, 4] = 9
    examples = {
        "test_images": images,
        "test_labels": labels,
        "test_top5": top5,
        "test_probabilities": np.tile(np.float32([0.5, 0.25, 0.125, 0.0625, 0.0625]), (8, 1)),
        "query_images": images[:5],
        "query_labels": np.arange(5),
        "features_images": np.zeros((5, 6, 4, 4, 3), np.uint8),
        "features_labels": unlike,
        "pixels_images": np.zeros((5, 6, 4, 4, 3), np.uint8),
        "pixels_labels": (near + 1) % 10,
    }
    np.savez(folder / "examples.npz", **examples)
    (fake.data / dataset).mkdir(parents=True, exist_ok=True)
    (fake.data / dataset / "manifest.json").write_text(json.dumps({"classes": CLASSES}), encoding="utf-8")


def write_crops(fake: FakeResults, seed: int, errors: list[float], dataset="photos") -> None:
    record = fake.folder / "predictions" / dataset / "cnn-00000000" / f"seed{seed}" / "test.json"
    change(record, errors_by_crops=errors)


def add_pair(fake: FakeResults, tanh_epochs: float | None = 4.5, seeds=(0, 1, 2)) -> None:
    """The nets of figure 1: ReLU reaches its target after 1.5 epochs."""
    for key, train, epochs, rate in (
        ("four-layer-relu", [0.5, 0.2], 1.5, 0.004),
        ("four-layer-tanh", [0.7, 0.6, 0.5, 0.4, 0.2], tanh_epochs, 0.016),
    ):
        training = {
            "target": {"train_error": 0.25, "epochs": epochs, "seconds": epochs},
            "learning_rate": rate,
            "drops_done": 0,
            "drops_planned": 0,
        }
        fake.add(key, {seed: {} for seed in seeds}, ("in_text",), training=training)
        for seed in seeds:
            write_history(fake, key, seed, train, [rate] * len(train))


def add_everything(fake: FakeResults) -> None:
    fake.add("cnn", {0: {}, 1: {}}, ("table1",)).add("one-gpu", {0: {}}, ("in_text",)).average(
        "5-cnns", {}, ("table2",)
    )
    for seed in (0, 1):
        write_history(fake, "cnn", seed, [0.8, 0.6, 0.5, 0.4], [0.01, 0.01, 0.01, 0.001])
        write_weights(fake, seed, draw_kernels(), towers=2)
        write_crops(fake, seed, [0.5 - 0.01 * k + 0.1 * seed for k in range(10)])
        write_analysis(fake, seed)
    write_history(fake, "one-gpu", 0, [0.9, 0.7, 0.6, 0.5])
    add_pair(fake)
