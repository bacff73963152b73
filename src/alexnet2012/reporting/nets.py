"""One net as tables read it: its records, its wrong answers, how it trained and what was analysed of it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from alexnet2012.config.validate import read_yaml
from alexnet2012.errors import RecordError
from alexnet2012.evaluation.metrics import CROPS, has_learned
from alexnet2012.files import read_json

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
    """A trained net (`seed` is its seed, `training` its record) or an ensemble (None and None) with its predictions.

    `folder` holds its predictions, `run_folder` its training's results (None for an ensemble).
    """

    seed: int | None
    training: dict | None
    predictions: dict[str, dict]
    folder: Path
    data_folder: Path
    run_folder: Path | None = None
    _loaded: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def learned(self) -> bool | None:
        """Whether it is better than chance; None for an ensemble, and where that is not known."""
        return None if self.training is None else has_learned(self.training, self.predictions.get("val"))

    def wrong(self, split: str, crops: str, k: int) -> np.ndarray:
        """Bool (n,): which images the net gets wrong; raises RecordError when its record says another error."""
        path = self.folder / f"{split}-ranks.npz"
        if split not in self._loaded:
            self._loaded[split] = load_npz(path, CROPS, "run snakemake to make it anew")
        found = self._loaded[split][crops] >= k
        if float(found.mean()) != self.predictions[split]["errors"][crops][f"top{k}"]:
            raise RecordError(
                f"{path} does not hold the error that {split}.json beside it records; predict this split again"
            )
        return found

    def answers(self) -> Answers | None:
        """Its answers after training; None where the run keeps none. Raises RecordError if its record says others."""
        if "answers" not in self._loaded:
            self._loaded["answers"] = self._load_answers()
        return self._loaded["answers"]

    def settings(self) -> dict[str, Any]:
        """The settings that it was trained with, as its config.yaml has them; empty where the run keeps none."""
        if "settings" not in self._loaded:
            path = self._of_training("config.yaml")
            self._loaded["settings"] = {} if path is None else read_yaml(path)
        return self._loaded["settings"]

    def _load_answers(self) -> Answers | None:
        path = self._of_training("answers.npz")
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

    def history(self) -> pd.DataFrame | None:
        """A row per epoch (epoch, train_loss, ...); None where the run keeps none."""
        path = self._of_training("history.parquet")
        return None if path is None else pd.read_parquet(path)

    def analysis(self) -> dict | None:
        """What was analysed of its kernels and features (C21, C22); None where that was not done.

        Raises RecordError when other weights were analysed than its training made.
        """
        path = self._of_analysis("analysis.json")
        if not path.is_file():
            return None
        found = read_json(path)
        if self.training is not None and found.get("weights_sha256") != self.training.get("weights_sha256"):
            raise RecordError(f"{path} is of other weights than {self.run_folder} holds now; analyse this net again")
        return found

    def examples(self) -> dict[str, np.ndarray] | None:
        """The images and labels that figure 4 shows of it; None where it was not analysed."""
        path = self._of_analysis("examples.npz")
        if not path.is_file():
            return None
        return load_npz(path, (), "remove its folder and run snakemake")

    def records(self) -> list[dict]:
        return [record for record in (self.training, *self.predictions.values()) if record is not None]

    def _of_analysis(self, name: str) -> Path:
        predictions = self.folder.parents[2]  # .../predictions/<dataset>/<variant>-<hash8>/seed<k>
        return predictions.with_name("analyses") / self.folder.relative_to(predictions) / name

    def _of_training(self, name: str) -> Path | None:
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


def read_net(
    training: dict | None, folder: Path, data_folder: Path, splits: tuple[str, ...], run_folder: Path | None = None
) -> TrainedNet:
    predictions = {}
    for split in splits:
        path = folder / f"{split}.json"
        record = read_json(path)
        own = [("seed", "its seed"), ("weights_sha256", "the digest of its weights")]
        own = [("members", "its members")] if training is None else own
        check_record(
            path,
            record,
            [
                *own,
                ("dataset.digest", "the digest of its data"),
                ("images", "its number of images"),
                ("errors", "its errors"),
                (f"dataset.counts.{split}", f"how many images {split} has"),
            ],
        )
        expected = record["dataset"]["counts"][split]
        if record["images"] != expected:
            raise RecordError(
                f"{path}: {record['images']} images were evaluated, {split} has {expected}; predict it again"
            )
        if training is not None and record["weights_sha256"] != training["weights_sha256"]:
            raise RecordError(
                f"{path} was made with other weights than {training['variant']} seed {training['seed']} has now; "
                "predict it again"
            )
        predictions[split] = record
    seed = None if training is None else training["seed"]
    return TrainedNet(seed, training, predictions, folder, data_folder, run_folder)


def check_record(path: Path, record: dict, needed: list[tuple[str, str]]) -> None:
    """Raises RecordError when the record lacks its commit or one of the `needed` dotted keys."""
    for dotted, words in [("provenance.commit", "its commit"), *needed]:
        value = record
        for key in dotted.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if value in (None, "", {}, []):
            raise RecordError(f"{path} does not say {words}, and a table takes no such record; make it again")
