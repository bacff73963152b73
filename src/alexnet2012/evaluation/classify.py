"""Classification of image files by a trained net."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from alexnet2012.data.decode import ImageError, decode
from alexnet2012.errors import DataError
from alexnet2012.evaluation.crops import centre_crop, predict_crops, ten_crops
from alexnet2012.evaluation.trained import load_net, open_weights, read_inputs

LABELS = 5


@dataclass(frozen=True)
class Classified:
    """An image's most probable labels, each with its probability, the most probable first."""

    path: Path
    labels: tuple[tuple[str, float], ...]


def classify(run_folder: Path, paths: list[Path], crops: str = "ten") -> list[Classified]:
    """The five most probable labels of each image, by the net in `run_folder`.

    Images are resized and cropped as in the net's evaluation; `crops`: "ten" for the mean of the SOFTMAX outputs over
    ten crops (§4.1), "centre" for the central crop alone. Raises DataError that names every unreadable image, before
    the net is loaded; RecordError for weights that are not those of the record.
    """
    run, _ = open_weights(run_folder)
    mean_image, classes = read_inputs(run_folder)
    size_px, crop_px = run.dataset.size_px, run.architecture.crop_px
    images = read_images(paths, size_px)
    net, _ = load_net(run_folder, run, len(classes))
    views = ten_crops(size_px, crop_px) if crops == "ten" else (centre_crop(size_px, crop_px),)
    batch, rows = run.runtime.evaluation_batch, np.arange(len(images))
    parts = predict_crops(net, images, rows, mean_image, views, crop_px, batch, run.architecture.mean_crop)
    means = torch.cat([probabilities.double().mean(dim=0) for _, probabilities in parts])
    best = means.topk(min(LABELS, len(classes)), dim=1)
    return [
        Classified(path, tuple((classes[label], value) for label, value in zip(labels, values, strict=True)))
        for path, labels, values in zip(paths, best.indices.tolist(), best.values.tolist(), strict=True)
    ]


def read_images(paths: list[Path], size_px: int) -> np.ndarray:
    """The images, uint8 (n, size_px, size_px, 3): the shorter side made `size_px`, the central square cut out (§2)."""
    images, unreadable = np.empty((len(paths), size_px, size_px, 3), np.uint8), []
    for row, path in enumerate(paths):
        try:
            images[row] = decode(path.read_bytes(), path.name, size_px).pixels
        except (ImageError, OSError) as error:
            unreadable.append(f"  - {path}: {error.strerror if isinstance(error, OSError) else error}")
    if unreadable:
        raise DataError("\n".join([f"{len(unreadable)} of {len(paths)} images cannot be read:", *unreadable]))
    return images
