"""Per-image probabilities of a trained net as a job: arrays first, and last the record that vouches for them."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from alexnet2012 import provenance
from alexnet2012.config.schema import RunConfig
from alexnet2012.data.packed import PackedDataset
from alexnet2012.errors import DataError
from alexnet2012.evaluation.crops import CENTRE, CENTRE_FIRST, predict_crops, ten_crops
from alexnet2012.evaluation.metrics import CROPS, are_kept, rank_truth
from alexnet2012.evaluation.record import write_record
from alexnet2012.evaluation.trained import load_net, open_run
from alexnet2012.files import replacing
from alexnet2012.tracking import TrackingIds, log_results


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


def predict(run_folder: Path, split: str, output_folder: Path, data_folder: Path, tracking_file: Path) -> None:
    """Write `output_folder`/<split>-{ten_crop,centre}.npy, float32 (n, classes), of no image where they would be too
    many; <split>-ranks.npz, how many classes stand before each true one; and <split>.json with errors and provenance.

    Raises RecordError when the weights are not those of the run's record, or were trained on other data; DataError
    when the split's labels are withheld.
    """
    run, record, dataset = open_run(run_folder, data_folder)
    check_labels_public(dataset, split)
    found, made_by, wall_time_s = predict_split(run_folder, run, dataset, split)
    for crops in CROPS:
        with replacing(output_folder / f"{split}-{crops}.npy") as path, path.open("wb") as file:
            np.save(file, getattr(found, crops))
    details = {"seed": run.seed, "hash8": run.hash8, "weights_sha256": record["weights_sha256"]}
    details |= {"wall_time_s": round(wall_time_s, 1), "mlflow_run_id": record["mlflow_run_id"]}
    details["errors_by_crops"] = found.errors_by_crops
    errors = write_record(
        output_folder, "prediction", run.variant, dataset, split, found.ranks, asdict(made_by), details
    )
    log_results(
        run_folder / "state",
        TrackingIds.load(tracking_file),
        f"{run.variant}-seed{run.seed}",
        {f"{split}_{crops}_{k}_error": error for crops, each in errors.items() for k, error in each.items()},
    )


def check_labels_public(dataset: PackedDataset, split: str) -> None:
    """Raises DataError for a split on which no error can be measured."""
    if (dataset.split(split).labels < 0).any():
        raise DataError(
            f"the labels of {dataset.name}'s {split} images are withheld, so that no error can be measured on them; "
            "with --submission, predict writes the five most probable labels of each image instead"
        )


def predict_split(
    run_folder: Path, run: RunConfig, dataset: PackedDataset, split: str
) -> tuple[Predictions, provenance.Provenance, float]:
    """The trained net's probabilities, what made them, and the seconds that it took once all was loaded."""
    net, made_by = load_net(run_folder, run, len(dataset.classes))
    started = time.monotonic()
    batch, mean_crop = run.runtime.evaluation_batch, run.architecture.mean_crop
    found = predict_ten_crops(net, dataset, split, run.architecture.crop_px, batch, mean_crop)
    return found, made_by, time.monotonic() - started


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
