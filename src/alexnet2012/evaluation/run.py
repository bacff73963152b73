"""One prediction, or one average of predictions, as a job: arrays first, and last the record that vouches for them."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from alexnet2012 import provenance
from alexnet2012.config import RunConfig
from alexnet2012.data.packed import PackedDataset, open_packed
from alexnet2012.errors import DataError, RecordError
from alexnet2012.evaluation.ensemble import average
from alexnet2012.evaluation.metrics import CROPS, rank_truth
from alexnet2012.evaluation.trained import load_net, open_run
from alexnet2012.files import read_json, replacing, write_json
from alexnet2012.tracking import TrackingIds, log_ensemble, log_results

if TYPE_CHECKING:
    from alexnet2012.evaluation.predict import Predictions


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


def submit(run_folder: Path, split: str, output_folder: Path, data_folder: Path) -> Path:
    """Write `output_folder`/<split>-submission.txt, the official format, from ten-crop probabilities; its path.

    Raises RecordError as `predict` does, and DataError as `check_submittable` does.
    """
    from alexnet2012.evaluation.submission import check_submittable, write_submission

    run, _, dataset = open_run(run_folder, data_folder)
    check_submittable(dataset, split)
    found, _, _ = predict_split(run_folder, run, dataset, split)
    path = output_folder / f"{split}-submission.txt"
    write_submission(path, found.ten_crop, dataset.official_ids)
    return path


def predict_split(
    run_folder: Path, run: RunConfig, dataset: PackedDataset, split: str
) -> tuple["Predictions", provenance.Provenance, float]:
    """The trained net's probabilities, what made them, and the seconds that it took once all was loaded."""
    import time

    from alexnet2012.evaluation.predict import predict_ten_crops

    net, made_by = load_net(run_folder, run, len(dataset.classes))
    started = time.monotonic()
    batch, mean_crop = run.runtime.evaluation_batch, run.net.mean_crop
    found = predict_ten_crops(net, dataset, split, run.net.crop_px, batch, mean_crop)
    return found, made_by, time.monotonic() - started


def average_members(
    name: str, member_folders: list[Path], split: str, output_folder: Path, data_folder: Path, tracking_file: Path
) -> None:
    """The same files as `predict` writes, for the mean of the members' stored probabilities.

    Raises RecordError when members do not stand on the same images.
    """
    records = {folder: read_json(folder / f"{split}.json") for folder in member_folders}
    datasets = {record["dataset"]["digest"] for record in records.values()}
    if len(datasets) != 1:
        raise RecordError(
            f"{name}: its members were evaluated on different data ({', '.join(sorted(datasets))}); evaluate them again"
        )
    first = next(iter(records.values()))
    dataset = open_packed(data_folder / first["dataset"]["name"])
    if dataset.digest not in datasets:
        raise RecordError(
            f"{dataset.folder} is no longer the data that {name}'s members were evaluated on; evaluate them again"
        )
    for crops in CROPS:
        average([folder / f"{split}-{crops}.npy" for folder in member_folders], output_folder / f"{split}-{crops}.npy")
    members = {f"{record['variant']}-seed{record['seed']}": record["mlflow_run_id"] for record in records.values()}
    made_by = asdict(provenance.collect(first["provenance"]["torch_threads"]))
    details = {"members": members, "hash8": output_folder.parent.name.rsplit("-", 1)[1]}
    labels = dataset.split(split).labels
    stored = {crops: np.load(output_folder / f"{split}-{crops}.npy", mmap_mode="r") for crops in CROPS}
    ranks = {crops: rank_truth(each, labels) for crops, each in stored.items()}
    errors = write_record(output_folder, "ensemble", name, dataset, split, ranks, made_by, details)
    log_ensemble(
        TrackingIds.load(tracking_file),
        name,
        members,
        {f"{split}_{crops}_{k}_error": error for crops, each in errors.items() for k, error in each.items()},
        output_folder,
    )


def write_record(
    folder: Path,
    kind: str,
    name: str,
    dataset: PackedDataset,
    split: str,
    ranks: dict[str, np.ndarray],
    made_by: dict,
    details: dict,
) -> dict[str, dict[str, float]]:
    """Write how many classes stand before each true one, and last the record; its errors by crops and k."""
    with replacing(folder / f"{split}-ranks.npz") as path, path.open("wb") as file:
        np.savez_compressed(file, **{crops: each.astype(np.uint16) for crops, each in ranks.items()})
    errors = {crops: {f"top{k}": float((each >= k).mean()) for k in (1, 5)} for crops, each in ranks.items()}
    write_json(
        folder / f"{split}.json",
        {
            "kind": kind,
            "variant": name,
            "split": split,
            "images": len(ranks[CROPS[0]]),
            "classes": len(dataset.classes),
            "dataset": dataset.describe(),
            "errors": errors,
            **details,
            "provenance": made_by,
        },
    )
    return errors
