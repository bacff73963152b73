"""What a net needs beside its weights where its packed dataset is not: the mean image and the names of the classes."""

from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from alexnet2012.data.packed import PackedDataset
from alexnet2012.errors import DataError
from alexnet2012.files import replacing

INPUTS = "inputs.npz"


def write_inputs(run_folder: Path, dataset: PackedDataset) -> None:
    """Write them into a run's folder."""
    with replacing(run_folder / INPUTS) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, mean_image=dataset.mean_image, classes=np.array(dataset.classes))


def read_inputs(run_folder: Path) -> tuple[np.ndarray, list[str]]:
    """The mean image, float32 (size, size, 3), and the names of the classes beside a net's weights.

    Raises DataError where they are not.
    """
    path = run_folder / INPUTS
    try:
        with np.load(path) as arrays:
            return arrays["mean_image"], arrays["classes"].tolist()
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise DataError(
            f"{path} cannot be read ({error}); `alexnet2012 cards RESULTS` writes it beside every net of RESULTS"
        ) from None
