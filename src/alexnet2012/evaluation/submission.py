"""The official format of a submission (§2: labels of ILSVRC-2012's test set are withheld): five labels a line."""

from pathlib import Path

import numpy as np

from alexnet2012.data.packed import PackedDataset
from alexnet2012.errors import DataError, RecordError
from alexnet2012.evaluation.trained import open_run
from alexnet2012.files import write_text


def submit(run_folder: Path, split: str, output_folder: Path, data_folder: Path) -> Path:
    """Write `output_folder`/<split>-submission.txt, the official format, from ten-crop probabilities; its path.

    Raises RecordError as `predict` does, and DataError as `check_submittable` does.
    """
    from alexnet2012.evaluation.predict import predict_split  # with torch

    run, _, dataset = open_run(run_folder, data_folder)
    check_submittable(dataset, split)
    found, _, _ = predict_split(run_folder, run, dataset, split)
    path = output_folder / f"{split}-submission.txt"
    assert dataset.official_ids is not None, "check_submittable"
    write_submission(path, found.ten_crop, dataset.official_ids)
    return path


LABELS = 5


def check_submittable(dataset: PackedDataset, split: str) -> None:
    """Raises DataError where no submission can be made of the split: too few classes, no images, no official ids."""
    if len(dataset.classes) < LABELS:
        raise DataError(
            f"a submission lists the {LABELS} most probable classes of each image, but {dataset.folder} has only "
            f"{len(dataset.classes)}; submit for a dataset of more classes"
        )
    if not dataset.counts.get(split):
        raise DataError(
            f"{dataset.folder} has no images of {split}; put the edition's {split} archive to the others and prepare "
            "the whole of it again, under another name if this is a subset"
        )
    if dataset.official_ids is None:
        raise DataError(
            f"{dataset.folder} does not know the edition's own ids of its classes, and a submission is written in "
            "them; put the development kit next to the images and prepare the dataset again"
        )


def write_submission(path: Path, probabilities: np.ndarray, official_ids: tuple[int, ...]) -> None:
    """One line per image in order: the official ids of its five most probable classes, the most probable first.

    `probabilities`: (n, classes). Of equally probable classes the one of lower index stands first. Raises RecordError
    when a probability is not finite.
    """
    if not np.isfinite(probabilities).all():
        raise RecordError(f"{path}: the net's probabilities are not finite; train it again")
    # A stable sort of the negated values keeps equal ones in the order of their classes.
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :LABELS]
    lines = np.asarray(official_ids)[best]
    write_text(path, "".join(f"{' '.join(map(str, line))}\n" for line in lines))
