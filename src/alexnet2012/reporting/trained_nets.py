"""One net as tables read it: its records, its wrong answers, how it trained and what was analysed of it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from alexnet2012.config.validate import read_yaml
from alexnet2012.costs import KINDS, read_history, time_to_target
from alexnet2012.errors import RecordError
from alexnet2012.evaluation.metrics import CROPS, has_learned
from alexnet2012.files import read_json
from alexnet2012.reporting.records import AverageRecord, EvaluationRecord, read_record

# The two errors are of two evaluations: on another machine an image in a thousand may stand on the edge.
LARGEST_DIFFERENCE = 0.001


@dataclass(frozen=True)
class Answers:
    """Bool (n,) each: which images a net gets wrong after its last epoch, evaluation mode, centre crop.

    `train` is of the sample of training images that is measured, the same for every net of a dataset.
    """

    train: np.ndarray
    val: np.ndarray


@dataclass(frozen=True)
class TrainedNet:
    """A trained net (`seed` is its seed, `training` its record) or an ensemble (None and {}) with its predictions.

    `folder` holds its predictions, `run_folder` its training's results (None for an ensemble).
    """

    seed: int | None
    training: dict[str, Any]
    predictions: dict[str, dict[str, Any]]
    folder: Path
    data_folder: Path
    run_folder: Path | None = None
    _ranks: dict[str, dict[str, np.ndarray]] = field(default_factory=dict, compare=False)

    @property
    def learned(self) -> bool | None:
        """Whether it is better than chance; None for an ensemble, and where that is not known."""
        return has_learned(self.training, self.predictions.get("val")) if self.training else None

    def wrong(self, split: str, crops: str, k: int) -> np.ndarray:
        """Bool (n,): which images the net gets wrong; raises RecordError when its record says another error."""
        path = self.folder / f"{split}-ranks.npz"
        if split not in self._ranks:
            self._ranks[split] = load_npz(path, CROPS, "run snakemake to make it anew")
        found: np.ndarray = self._ranks[split][crops] >= k
        if float(found.mean()) != self.predictions[split]["errors"][crops][f"top{k}"]:
            raise RecordError(
                f"{path} does not hold the error that {split}.json beside it records; predict this split again"
            )
        return found

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The settings that it was trained with, as its config.yaml has them; empty where the run keeps none."""
        path = self.run_file("config.yaml")
        return {} if path is None else dict(read_yaml(path))

    @cached_property
    def answers(self) -> Answers | None:
        """Its answers after training; None where the run keeps none. Raises RecordError if its record says others."""
        path = self.run_file("answers.npz")
        if path is None:
            return None
        arrays = load_npz(path, ("train_wrong", "val_wrong"), "train this net anew")
        found = Answers(arrays["train_wrong"].astype(bool), arrays["val_wrong"].astype(bool))
        for name, wrong in (("train", found.train), ("val", found.val)):
            recorded = self.training["final"][f"{name}_top1_error"]
            if abs(float(wrong.mean()) - recorded) > LARGEST_DIFFERENCE:
                raise RecordError(
                    f"{path}: {name} has an error of {wrong.mean():.4f}, record.json beside it says {recorded:.4f}; "
                    "train this net anew"
                )
        return found

    @cached_property
    def history(self) -> pd.DataFrame | None:
        """A row per epoch (epoch, train_loss, ...); None where the run keeps none. Raises RecordError."""
        path = self.run_file("history.parquet")
        return None if path is None else read_history(path)

    @cached_property
    def costs(self) -> list[float | None]:
        """The target, epochs and seconds to it (see time_to_target), and kWh by KINDS; None where that is not known."""
        target = {} if self.history is None else time_to_target(self.training, self.history.to_dict("records"))
        energy = self.training.get("energy", {})
        return [target.get(each) for each in ("train_error", "epochs", "seconds")] + [
            energy.get(each) for each in KINDS
        ]

    def analysis(self) -> dict[str, Any] | None:
        """What was analysed of its kernels and features (C21, C22); None where that was not done.

        Raises RecordError when other weights were analysed than its training made.
        """
        path = self._of_analysis("analysis.json")
        if not path.is_file():
            return None
        found: dict[str, Any] = read_json(path)
        if self.training and found.get("weights_sha256") != self.training.get("weights_sha256"):
            raise RecordError(f"{path} is of other weights than {self.run_folder} holds now; analyse this net again")
        return found

    def examples(self) -> dict[str, np.ndarray] | None:
        """The images and labels that figure 4 shows of it; None where it was not analysed."""
        path = self._of_analysis("examples.npz")
        if not path.is_file():
            return None
        return load_npz(path, (), "remove its folder and run snakemake")

    def _of_analysis(self, name: str) -> Path:
        predictions = self.folder.parents[2]  # .../predictions/<dataset>/<variant>-<hash8>/seed<k>
        return predictions.with_name("analyses") / self.folder.relative_to(predictions) / name

    def run_file(self, name: str) -> Path | None:
        """A file of its training's results; None where the run keeps no such file."""
        path = None if self.run_folder is None else self.run_folder / name
        return path if path is not None and path.is_file() else None


def count_learned(nets: Iterable[TrainedNet], noun: str = "seeds") -> str:
    """ "2 of 5 seeds learned", or "did not learn" of a single net; empty where all learned."""
    learned = [net.learned for net in nets if net.learned is not None]
    if all(learned):
        return ""
    return "did not learn" if len(learned) == 1 else f"{sum(learned)} of {len(learned)} {noun} learned"


def load_npz(path: Path, names: tuple[str, ...], remedy: str) -> dict[str, np.ndarray]:
    """All arrays of an .npz file; raises RecordError, with what to do about it, when it lacks one of `names`."""
    try:
        with np.load(path) as arrays:
            found = dict(arrays)
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise RecordError(f"{path} cannot be read ({error}); {remedy}") from None
    if missing := [name for name in names if name not in found]:
        raise RecordError(f"{path} holds no {', '.join(missing)}; {remedy}")
    return found


def read_trained_net(
    training: dict[str, Any], folder: Path, data_folder: Path, splits: tuple[str, ...], run_folder: Path | None = None
) -> TrainedNet:
    predictions = {}
    for split in splits:
        path = folder / f"{split}.json"
        record = read_record(path, EvaluationRecord if training else AverageRecord)
        expected = record["dataset"]["counts"].get(split)
        if record["images"] != expected:
            raise RecordError(
                f"{path}: {record['images']} images were evaluated, {split} has {expected}; predict it again"
            )
        if training and record["weights_sha256"] != training["weights_sha256"]:
            raise RecordError(
                f"{path} was made with other weights than {training['variant']} seed {training['seed']} has now; "
                "predict it again"
            )
        predictions[split] = record
    return TrainedNet(training.get("seed"), training, predictions, folder, data_folder, run_folder)
