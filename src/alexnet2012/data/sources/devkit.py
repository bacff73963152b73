"""The development kits of ILSVRC-2010 and -2012: which classes there are, and the labels of val and test images.

The kits number the classes by an id of their own (ILSVRC2012_ID), which is not the order of the WordNet ids. A class's
label here is its rank among the sorted WordNet ids of the leaf synsets. The kits list the inner nodes of the hierarchy
as well (676 in 2010, 860 in 2012), which have no images.
"""

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alexnet2012.errors import DataError

SYNSETS = "data/meta.mat"


@dataclass(frozen=True, eq=False)
class Devkit:
    """Classes in the order of their labels: WordNet ids, the edition's own ids, published numbers of training images.

    `val_truth`: labels int64 of the validation images, number n at n - 1.
    """

    classes: tuple[str, ...]
    official_ids: tuple[int, ...]
    train_counts: np.ndarray
    val_truth: np.ndarray

    def read_truth(self, text: str, where: str) -> np.ndarray:
        """Labels from a file with an id of the edition on each line. Raises DataError with the number of a bad line."""
        lines = text.split("\n")
        while lines and not lines[-1].strip():
            lines.pop()
        label_of = {str(number): label for label, number in enumerate(self.official_ids)}
        labels = np.empty(len(lines), np.int64)
        for k, line in enumerate(lines):
            label = label_of.get(line.strip())
            if label is None:
                raise DataError(
                    f"{where}, line {k + 1}: {line.strip()!r} is not the id of a class; a number from "
                    f"{min(self.official_ids)} to {max(self.official_ids)} was expected. Fetch the file again."
                )
            labels[k] = label
        return labels


def read_devkit(archive: Path, edition: str) -> Devkit:
    """From the official .tar.gz, in memory. Raises DataError when it is damaged or not of `edition` (ILSVRC2012)."""
    truth_name = f"data/{edition}_validation_ground_truth.txt"
    members = _read_members(archive, (SYNSETS, truth_name))
    classes, ids, counts = _read_synsets(members[SYNSETS], f"{archive}!{SYNSETS}", f"{edition}_ID")
    devkit = Devkit(classes, ids, counts, np.empty(0, np.int64))
    truth = devkit.read_truth(members[truth_name].decode("ascii", "replace"), f"{archive}!{truth_name}")
    return Devkit(classes, ids, counts, truth)


def _read_members(archive: Path, wanted: tuple[str, ...]) -> dict[str, bytes]:
    found = {}
    try:
        with tarfile.open(archive, "r:*") as tar:
            for member in tar:
                name = next((name for name in wanted if f"/{member.name}".endswith(f"/{name}")), None)
                if name and member.isreg() and (content := tar.extractfile(member)):
                    found[name] = content.read()
    except (OSError, EOFError, tarfile.TarError, ValueError) as error:
        raise DataError(f"{archive} cannot be read: {error}. It is damaged or cut short; download it again.") from None
    if missing := [name for name in wanted if name not in found]:
        raise DataError(f"{archive} lacks {' and '.join(missing)}; it is not the edition's devkit. Download it again.")
    return found


def _read_synsets(content: bytes, where: str, id_field: str) -> tuple[tuple[str, ...], tuple[int, ...], np.ndarray]:
    from scipy.io import loadmat

    # A damaged file can raise anything from within the reader.
    try:
        synsets = np.atleast_1d(loadmat(io.BytesIO(content), squeeze_me=True)["synsets"])
    except Exception as error:
        raise DataError(f"{where} cannot be read: {error}. Download the devkit again.") from None
    fields = (id_field, "WNID", "num_children", "num_train_images")
    if missing := [name for name in fields if name not in (synsets.dtype.names or ())]:
        raise DataError(f"{where} has no {' and '.join(missing)} in its synsets; it is not the devkit of this edition.")
    leaves = sorted(
        (str(synset["WNID"]), int(synset[id_field]), int(synset["num_train_images"]))
        for synset in synsets
        if int(synset["num_children"]) == 0
    )
    wnids, ids, counts = zip(*leaves, strict=True) if leaves else ((), (), ())
    if len(set(wnids)) != len(leaves) or sorted(ids) != list(range(1, len(leaves) + 1)):
        raise DataError(
            f"{where}: the {len(leaves)} synsets without children were expected to have different WordNet ids and the "
            f"ids 1 to {len(leaves)}, and have not. Download the devkit again."
        )
    return wnids, ids, np.array(counts, np.int64)
