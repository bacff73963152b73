"""Predictions of a trained net for the splits of its dataset (§4.1): probabilities and errors, or a submission."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from alexnet2012.config.schema import RunConfig
from alexnet2012.data.packed import PackedDataset
from alexnet2012.errors import DataError, RecordError
from alexnet2012.evaluation.crops import CENTRE, CENTRE_FIRST, predict_crops, ten_crops
from alexnet2012.evaluation.metrics import CROPS, are_kept, rank_truth
from alexnet2012.evaluation.trained import load_net, open_run, write_record
from alexnet2012.files import replacing, write_text

LABELS = 5  # per image in a submission


@dataclass(frozen=True)
class Predictions:
    """A net's predictions for the n images of a split.

    `ten_crop`, `centre`: probabilities, float32 (n, classes): the mean of the SOFTMAX outputs over the ten crops, and
    the output for the centre crop; (0, classes) if they are too many to store, as for Fall 2009. `ranks`: by crops, the
    ranks of the true classes (see rank_truth), int64 (n,); empty if labels are withheld. `errors_by_crops`: the top-1
    errors of the mean over the first 1, 2, ... 10 crops of CENTRE_FIRST.
    """

    ten_crop: np.ndarray
    centre: np.ndarray
    ranks: dict[str, np.ndarray]
    errors_by_crops: list[float]


def predict(run_folder: Path, splits: Sequence[str], output_folder: Path, data_folder: Path) -> None:
    """Write the net's predictions for each of `splits` into `output_folder`.

    <split>-{ten_crop,centre}.npy hold the probabilities of Predictions, <split>-ranks.npz the ranks, and <split>.json,
    written last, errors and provenance. Raises RecordError if the weights are not those of the run's record or were
    trained on other data; DataError if a split's labels are withheld.
    """
    run, record, dataset = open_run(run_folder, data_folder)
    for split in splits:
        check_labels_public(dataset, split)
    net, made_by = load_net(run_folder, run, len(dataset.classes))
    for split in splits:
        started = time.monotonic()
        found = predict_split(net, run, dataset, split)
        wall_time_s = round(time.monotonic() - started, 1)
        for crops in CROPS:
            with replacing(output_folder / f"{split}-{crops}.npy") as path, path.open("wb") as file:
                np.save(file, getattr(found, crops))
        details = {"seed": run.seed, "hash8": run.hash8, "weights_sha256": record["weights_sha256"]}
        details |= {"wall_time_s": wall_time_s, "mlflow_run_id": record.get("mlflow_run_id")}
        details["errors_by_crops"] = found.errors_by_crops
        write_record(output_folder, "prediction", run.variant, dataset, split, found.ranks, asdict(made_by), details)


def submit(run_folder: Path, split: str, output_folder: Path, data_folder: Path) -> Path:
    """Write `output_folder`/<split>-submission.txt in the edition's official format, from ten crops; return its path.

    Meant for ILSVRC-2012's test set, whose labels are withheld (§2). Raises RecordError as `predict` does, and
    DataError as check_submittable does.
    """
    run, _, dataset = open_run(run_folder, data_folder)
    check_submittable(dataset, split)
    net, _ = load_net(run_folder, run, len(dataset.classes))
    found = predict_split(net, run, dataset, split)
    path = output_folder / f"{split}-submission.txt"
    assert dataset.official_ids is not None, "check_submittable"
    write_submission(path, found.ten_crop, dataset.official_ids)
    return path


def predict_split(net: nn.Module, run: RunConfig, dataset: PackedDataset, split: str) -> Predictions:
    """The predictions of the trained net of `run` for a split."""
    batch, mean_crop = run.runtime.evaluation_batch, run.architecture.mean_crop
    return predict_ten_crops(net, dataset, split, run.architecture.crop_px, batch, mean_crop)


def predict_ten_crops(
    net: nn.Module, dataset: PackedDataset, split: str, crop_px: int, batch: int, mean_crop: str = "moving"
) -> Predictions:
    """The predictions of `net` for all images of a split (§4.1), `batch` images at a time.

    `mean_crop` as in NetConfig. Raises DataError unless the number of images seen is that of the manifest.
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
    """The number of wrong answers of the mean over the first 1, 2, ... 10 crops of CENTRE_FIRST, int64 (10,).

    `probabilities`: (10, images, classes) in the order of ten_crops. Ties count against the net, as in rank_truth.
    """
    sums = probabilities[list(CENTRE_FIRST)].double().cumsum(0)
    means = (sums / torch.arange(1, len(sums) + 1).view(-1, 1, 1)).float()  # float32, like the stored probabilities
    own = means.gather(2, labels.clamp_min(0).expand(len(means), -1).unsqueeze(2))
    return ((means >= own).sum(2) > 1).sum(1).numpy()


def check_labels_public(dataset: PackedDataset, split: str) -> None:
    """Raise DataError for a split whose labels are withheld, since no error can be measured on it."""
    if (dataset.split(split).labels < 0).any():
        raise DataError(
            f"the labels of {dataset.name}'s {split} images are withheld, so that no error can be measured on them; "
            "with --submission, predict writes the five most probable labels of each image instead"
        )


def check_submittable(dataset: PackedDataset, split: str) -> None:
    """Raise DataError unless a submission can be made: the dataset needs enough classes, images of the split, and
    official ids."""
    if len(dataset.classes) < LABELS:
        raise DataError(
            f"a submission lists the {LABELS} most probable classes of each image, but {dataset.folder} has "
            f"only {len(dataset.classes)}; submit for a dataset of more classes"
        )
    if not dataset.counts.get(split):
        raise DataError(
            f"{dataset.folder} has no images of {split}; put the edition's {split} archive beside the others and "
            "prepare the whole edition again, under another name if this is a subset"
        )
    if dataset.official_ids is None:
        raise DataError(
            f"{dataset.folder} lacks the edition's own ids of its classes, which a submission is written in; put the "
            "development kit next to the images and prepare the dataset again"
        )


def write_submission(path: Path, probabilities: np.ndarray, official_ids: tuple[int, ...]) -> None:
    """Write one line per image with the official ids of its five most probable classes, the most probable first.

    `probabilities`: (n, classes). Among equally probable classes, the lower index comes first. Raises RecordError if a
    probability is not finite.
    """
    if not np.isfinite(probabilities).all():
        raise RecordError(f"{path}: the net's probabilities are not finite; train it again")
    # A stable sort of the negated values keeps ties in the order of the classes.
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :LABELS]
    lines = np.asarray(official_ids)[best]
    write_text(path, "".join(f"{' '.join(map(str, line))}\n" for line in lines))
