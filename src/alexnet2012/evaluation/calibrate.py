"""Calibration: evaluation of a net of known accuracy on the packed val split, to find mistakes in the data early."""

import pickle
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from alexnet2012 import devices, provenance
from alexnet2012.cpu import count_usable_cores
from alexnet2012.data.packed import PackedDataset, open_packed
from alexnet2012.errors import DataError
from alexnet2012.evaluation.metrics import rank_truth
from alexnet2012.files import SCHEMA, file_digest, write_json

# torchvision states 56.522 % and 79.066 % accuracy (centre crop) for the AlexNet with this beginning of the weights'
# sha256.
KNOWN = {"top1": 0.43478, "top5": 0.20934}
WEIGHTS_SHA256 = "7be5be79"
WEIGHTS_NAME = f"alexnet-owt-{WEIGHTS_SHA256}.pth"
WEIGHTS_URL = f"https://download.pytorch.org/models/{WEIGHTS_NAME}"
KIND, CLASSES, SIZE_PX, CROP_PX = "ilsvrc2012", 1000, 256, 224
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of RGB in 0..1

TOLERANCE = 0.005
PROGRESS_EVERY_S = 10.0

CAUSES = """The usual causes:
- the order of the labels: class k must be the k-th of the sorted WordNet ids, not the edition's own id;
- the ground truth of val: that of another edition, or not in the order of the images' numbers;
- the order of the channels: the pixels must be RGB, not BGR;
- warped images: the shorter side must become 256 and the middle be cut out, not the whole image be squeezed.
Nothing was written; mend the data, prepare them again and calibrate again."""


def calibrate_torchvision(folder: Path, output: Path, weights: Path | None, download: bool) -> None:
    """Evaluate torchvision's AlexNet on the packed val split in `folder` and write the record `output`.

    `weights`: a file, or None for torch hub's cache, to which they are downloaded only if `download`. Raises DataError,
    and writes nothing, if there are no weights, the data are not of torchvision's edition, or the errors are not the
    known ones.
    """
    dataset = open_packed(folder)
    check_edition(dataset)
    path = find_weights(weights, download)
    digest = file_digest(path)
    if not digest.startswith(WEIGHTS_SHA256):
        print(f"{path} is not the published file, whose sha256 begins with {WEIGHTS_SHA256}", flush=True)
    threads = count_usable_cores()
    device = devices.open_device("auto", threads, deterministic=True)
    made_by = provenance.collect(threads, device.type)
    errors = calibrate(load_torchvision(path).to(device), preprocess, dataset, KNOWN, TOLERANCE)
    write_json(
        output,
        {
            "schema": SCHEMA,
            "kind": "calibration",
            "net": "torchvision's AlexNet",
            "split": "val",
            "images": len(dataset.split("val")),
            "dataset": dataset.describe(),
            "errors": errors,
            "known": KNOWN,
            "difference": {k: errors[k] - KNOWN[k] for k in KNOWN},
            "weights_sha256": digest,
            "provenance": asdict(made_by),
        },
    )


def calibrate(
    net: nn.Module,
    preprocess: Callable[[np.ndarray], Tensor],
    dataset: PackedDataset,
    known: dict[str, float],
    tolerance: float,
    batch: int = 100,
) -> dict[str, float]:
    """The errors of `net` on val (fractions, by "top1" and "top5"), each within `tolerance` of the `known` one.

    `preprocess` makes the net's inputs from uint8 (n, s, s, 3) in RGB; the net's outputs are scores (n, classes).
    Raises DataError, with the usual causes, if a difference is larger.
    """
    ranks = rank_val(net, preprocess, dataset, batch)
    errors = {f"top{k}": float((ranks >= k).mean()) for k in (1, 5)}
    difference = {k: errors[k] - known[k] for k in known}
    # Errors are multiples of 1 / images, so that a difference of 1e-8 is only rounding.
    if max(abs(each) for each in difference.values()) > tolerance + 1e-8:
        measured, stated = (" / ".join(f"{100 * each[k]:.3f}" for k in known) for each in (errors, known))
        points = " / ".join(f"{100 * each:+.3f}" for each in difference.values())
        raise DataError(
            f"{dataset.folder}: on {len(ranks):,} val images the net errs on {measured} % (top-1 / top-5), but is "
            f"known to err on {stated} %: a difference of {points} points, where {100 * tolerance:g} are allowed. "
            f"{CAUSES}"
        )
    return errors


def rank_val(
    net: nn.Module, preprocess: Callable[[np.ndarray], Tensor], dataset: PackedDataset, batch: int
) -> np.ndarray:
    """The ranks of the true classes of val (see rank_truth), int64 (n,), from one crop per image."""
    data, device = dataset.split("val"), next(net.parameters()).device
    ranks = []
    reported = time.monotonic()
    net.eval()
    for start in range(0, len(data), batch):
        rows = slice(start, start + batch)
        with torch.inference_mode():
            scores = net(preprocess(data.images[rows]).to(device)).float().cpu().numpy()
        ranks.append(rank_truth(scores, data.labels[rows]))
        if time.monotonic() - reported > PROGRESS_EVERY_S:
            reported = time.monotonic()
            print(f"calibrating: {start + len(scores):,} of {len(data):,} images", flush=True)
    return np.concatenate(ranks)


def preprocess(images: np.ndarray) -> Tensor:
    """torchvision's preprocessing: the central 224x224 px / 255, minus its mean, divided by its standard deviation."""
    middle = (SIZE_PX - CROP_PX) // 2
    pixels = images[:, middle : middle + CROP_PX, middle : middle + CROP_PX] / np.float32(255)
    pixels = (pixels - np.array(MEAN, np.float32)) / np.array(DEVIATION, np.float32)
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))


def check_edition(dataset: PackedDataset) -> None:
    """Raise DataError unless the data are the whole edition, at the size, for which torchvision's errors are known."""
    if dataset.part:
        raise DataError(
            f"{dataset.folder} is a part of its edition ({dataset.part}), on which no net's errors are known; "
            "calibrate the whole edition"
        )
    found = (dataset.kind, len(dataset.classes), dataset.size_px)
    if found != (KIND, CLASSES, SIZE_PX):
        raise DataError(
            f"{dataset.folder} is of kind {dataset.kind or 'unknown'} with {len(dataset.classes)} classes at "
            f"{dataset.size_px} px, but the errors of torchvision's AlexNet are known only for {KIND} with {CLASSES} "
            f"classes at {SIZE_PX} px; calibrate that dataset"
        )


def find_weights(given: Path | None, download: bool) -> Path:
    """The path of torchvision's weights; raises DataError, with ways to get them, if they are missing."""
    if given is not None:
        if not given.is_file():
            raise DataError(f"{given} does not exist; give the file {WEIGHTS_NAME} of torchvision's weights")
        return given
    path = Path(torch.hub.get_dir(), "checkpoints", WEIGHTS_NAME)
    if not path.is_file():
        if not download:
            raise DataError(
                f"torchvision's weights are not in {path}; give their file with --weights (calibration.weights in a "
                f"configuration), or run alexnet2012 calibrate with --download once, which fetches {WEIGHTS_URL}"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(WEIGHTS_URL, str(path), hash_prefix=WEIGHTS_SHA256)
        except (OSError, RuntimeError) as error:  # no network; or another file than the published one
            raise DataError(f"{WEIGHTS_URL} could not be fetched ({error}); give a file with --weights") from error
    return path


def load_torchvision(path: Path) -> nn.Module:
    """torchvision's AlexNet with the weights in `path`; raises DataError if the file does not hold them."""
    from torchvision.models import alexnet

    net: nn.Module = alexnet()
    try:
        net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (pickle.UnpicklingError, RuntimeError, EOFError, TypeError, AttributeError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path} does not hold the weights of torchvision's AlexNet ({reason})") from None
    return net
