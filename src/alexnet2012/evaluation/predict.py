"""Per-image probabilities of a trained net: ten crops, and the centre crop from the same pass."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from alexnet2012.data.packed import PackedDataset
from alexnet2012.errors import DataError
from alexnet2012.evaluation.crops import (
    CENTRE,
    CENTRE_FIRST,
    Crop,
    centre_crop,
    cut,
    cut_on_device,
    place_mean,
    ten_crops,
)
from alexnet2012.evaluation.metrics import are_kept, rank_truth


@dataclass(frozen=True)
class Predictions:
    """Probabilities float32 (n, classes): the mean of the SOFTMAX outputs over the ten crops, and the centre crop's;
    of no image where they would be too many, as for Fall 2009.

    `ranks`: how many classes stand before each true one, int64 (n,), by crops; none where labels are withheld.
    `errors_by_crops`: the top-1 errors of the mean over the first 1, 2, ... 10 of CENTRE_FIRST.
    """

    ten_crop: np.ndarray
    centre: np.ndarray
    ranks: dict[str, np.ndarray]
    errors_by_crops: list[float]


def predict_ten_crops(
    net: nn.Module, dataset: PackedDataset, split: str, crop_px: int, batch: int, mean_crop: str = "moving"
) -> Predictions:
    """What `net` says of every image of a split (§4.1); `mean_crop` as in NetConfig.

    Raises DataError unless exactly the split's images were seen.
    """
    crops = ten_crops(dataset.size_px, crop_px)
    data, classes = dataset.split(split), len(dataset.classes)
    images, wrong = data.images, np.zeros(len(crops), dtype=np.int64)
    kept = are_kept(len(images), classes)
    found = {name: np.empty((len(images) if kept else 0, classes), dtype=np.float32) for name in ("ten_crop", "centre")}
    known = (data.labels >= 0).all()
    ranks = {name: np.empty(len(images), dtype=np.int64) for name in found} if known else {}
    seen = 0
    for part, probabilities in predict_crops(
        net, images, np.arange(len(images)), dataset.mean_image, crops, crop_px, batch, mean_crop
    ):
        mean = probabilities.double().mean(dim=0).float()
        for name, each in (("ten_crop", mean.numpy()), ("centre", probabilities[CENTRE].numpy())):
            if kept:
                found[name][part] = each
            if known:
                ranks[name][part] = rank_truth(each, data.labels[part])
        wrong += count_wrong(probabilities, torch.from_numpy(data.labels[part]))
        seen += probabilities.shape[1]
    if seen != dataset.counts[split]:
        raise DataError(
            f"{dataset.folder}: {seen} images of {split} were seen, the manifest counts {dataset.counts[split]}"
        )
    return Predictions(**found, ranks=ranks, errors_by_crops=(wrong / len(images)).tolist())


def count_wrong(probabilities: Tensor, labels: Tensor) -> np.ndarray:
    """Int64 (10,): how many images the mean over the first 1, 2, ... 10 crops of CENTRE_FIRST gets wrong.

    `probabilities`: (10, images, classes) in the order of ten_crops. Ties count against the net, as in rank_truth.
    """
    sums = probabilities[list(CENTRE_FIRST)].double().cumsum(0)
    means = (sums / torch.arange(1, len(sums) + 1).view(-1, 1, 1)).float()  # as they are stored
    own = means.gather(2, labels.clamp_min(0).expand(len(means), -1).unsqueeze(2))
    return ((means >= own).sum(2) > 1).sum(1).numpy()


def measure_centre(
    net: nn.Module, dataset: PackedDataset, split: str, rows: np.ndarray, crop_px: int, batch: int
) -> tuple[np.ndarray, float]:
    """Probabilities float32 (rows, classes) and mean cross-entropy (nats) of the centre crop in evaluation mode."""
    data = dataset.split(split)
    crops = (centre_crop(dataset.size_px, crop_px),)
    parts = [part[0] for _, part in predict_crops(net, data.images, rows, dataset.mean_image, crops, crop_px, batch)]
    probabilities = torch.cat(parts)
    own = probabilities[torch.arange(len(rows)), torch.from_numpy(data.labels[rows])]
    # A probability may underflow to 0; the smallest normal float32 keeps the loss finite.
    return probabilities.numpy(), float(-own.double().clamp_min(torch.finfo(torch.float32).tiny).log().mean())


def predict_crops(
    net: nn.Module,
    images: np.ndarray,
    rows: np.ndarray,
    mean_image: np.ndarray,
    crops: tuple[Crop, ...],
    crop_px: int,
    batch: int,
    mean_crop: str = "moving",
) -> Iterator[tuple[slice, Tensor]]:
    """For `batch` of the images `rows` at a time, the last time fewer: their places in `rows` and their probabilities.

    Probabilities are float32 (crops, images, classes), on the CPU.
    """
    device = next(net.parameters()).device
    was_training = net.training
    means = [place_mean(mean_image, crop, crop_px, mean_crop) for crop in crops]
    if device.type != "cpu":
        means = [torch.from_numpy(mean).to(device) for mean in means]
    net.eval()
    try:
        for start in range(0, len(rows), batch):
            part = images[rows[start : start + batch]]
            # Entered anew for each part: a generator would leave its caller in inference mode at every yield.
            with torch.inference_mode():
                views = show(part, means, crops, crop_px, device)
                outputs = [functional.softmax(net(view), dim=1) for view in views]
                probabilities = torch.stack(outputs).float().cpu()
            yield slice(start, start + len(part)), probabilities
    finally:
        net.train(was_training)


def show(
    images: np.ndarray,
    means: Sequence[np.ndarray | Tensor],
    crops: tuple[Crop, ...],
    crop_px: int,
    device: torch.device,
) -> Iterator[Tensor]:
    """Each crop of all `images` minus that of its mean image, on `device`, where a GPU has the means already; it gets
    the bytes of the images once and cuts them itself."""
    if device.type == "cpu":
        for crop, mean in zip(crops, means, strict=True):
            yield cut(images, mean, crop, crop_px)
        return
    pixels = torch.from_numpy(images).to(device)
    for crop, mean in zip(crops, means, strict=True):
        yield cut_on_device(pixels, mean, crop, crop_px)
