"""One's own images: which classes a net takes for which, and the images that it got most confidently wrong."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from alexnet2012.class_names import name_classes
from alexnet2012.config.plan import BASE
from alexnet2012.data.packed import PackedDataset, open_packed
from alexnet2012.errors import DataError, RecordError
from alexnet2012.files import SCHEMA, read_json, write_json
from alexnet2012.reporting.results import Results
from alexnet2012.reporting.trained_nets import TrainedNet

CLASSES = Path("tables", "classes.json")
WORST = 12  # images


@dataclass(frozen=True)
class WrongImage:
    """An image of the split by its row, its class and the answer (indices of classes), and the answer's probability.

    `path`: its file in the dataset's folder; empty where the packed dataset has no index."""

    row: int
    label: int
    answer: int
    probability: float
    path: str = ""


@dataclass(frozen=True)
class ClassErrors:
    """A net's answers to the split that its errors are quoted of, ten crops, by class.

    `counts`: images by true class (rows) and answer. `worst`: the most confidently wrong first.
    """

    dataset: str
    net: str
    split: str
    weights_sha256: str
    classes: list[str]
    counts: list[list[int]]
    worst: list[WrongImage]

    @property
    def table(self) -> np.ndarray:
        """`counts` as int (classes, classes)."""
        return np.array(self.counts)


def write_class_errors(folder: Path, results: Results) -> None:
    """Write `folder`/tables/classes.json where there are datasets of one's own, with their probabilities and labels.

    Elsewhere, as in a reference, it stays as it is.
    """
    found = [count_answers(net, dataset) for net, dataset in list_own(results)]
    if found:
        write_json(folder / CLASSES, {"schema": SCHEMA, "datasets": [asdict(each) for each in found]})


def list_own(results: Results) -> Iterator[tuple[TrainedNet, PackedDataset]]:
    """The first net of the paper's, or else of all, on each dataset of one's own that is there."""
    for name in results.datasets:
        first = results.find(name, BASE) or results.on(name)[0]
        net, split = first.nets[0], first.splits[-1]
        if not first.is_own or not net.training or not probabilities_of(net, split).is_file():
            continue
        try:
            dataset = open_packed(net.data_folder / name)
        except DataError:  # tables are made as well where the data are gone
            continue
        if dataset.digest == first.digest:
            yield net, dataset


def probabilities_of(net: TrainedNet, split: str) -> Path:
    return net.folder / f"{split}-ten_crop.npy"


def count_answers(net: TrainedNet, dataset: PackedDataset) -> ClassErrors:
    split = list(net.predictions)[-1]
    probabilities, labels = np.load(probabilities_of(net, split)), dataset.split(split).labels
    answers = probabilities.argmax(axis=1)
    counts = np.zeros((len(dataset.classes), len(dataset.classes)), int)
    np.add.at(counts, (labels, answers), 1)
    confidence = np.where(answers == labels, -1.0, probabilities.max(axis=1))
    worst = [row for row in np.argsort(-confidence, kind="stable")[:WORST].tolist() if confidence[row] >= 0]
    index = dataset.folder / split / "index.parquet"
    paths = pd.read_parquet(index)["path"].tolist() if index.is_file() else [""] * len(labels)
    return ClassErrors(
        dataset=dataset.name,
        net=f"{net.training['variant']}, seed {net.seed}",
        split=split,
        weights_sha256=net.training["weights_sha256"],
        classes=name_classes(dataset.classes),
        counts=counts.tolist(),
        worst=[
            WrongImage(row, int(labels[row]), int(answers[row]), float(confidence[row]), paths[row]) for row in worst
        ],
    )


def read_class_errors(folder: Path, results: Results) -> list[ClassErrors]:
    """What write_class_errors wrote; none where there is no such file. Raises RecordError for other nets' answers."""
    path = folder / CLASSES
    if not path.is_file():
        return []
    known = {net.training.get("weights_sha256") for each in results.experiments for net in each.nets}
    found = [restore(path, each) for each in read_json(path)["datasets"]]
    if lost := [each.net for each in found if each.weights_sha256 not in known]:
        raise RecordError(f"{path} is of other weights than {'; '.join(lost)} has now; run `alexnet2012 tables` again")
    return found


def restore(path: Path, values: dict[str, Any]) -> ClassErrors:
    try:
        return ClassErrors(**{**values, "worst": [WrongImage(**each) for each in values["worst"]]})
    except (KeyError, TypeError) as error:
        raise RecordError(f"{path} is not complete ({error}); run `alexnet2012 tables` again") from None
