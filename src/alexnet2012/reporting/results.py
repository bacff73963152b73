"""The results of a configuration as tables read them: records that are complete, and the wrong answers behind them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from alexnet2012.errors import RecordError
from alexnet2012.evaluation.metrics import top_k_wrong
from alexnet2012.files import read_json


@dataclass(frozen=True)
class Net:
    """A trained net (`seed` is its seed, `training` its record) or an ensemble (None and None) with its predictions."""

    seed: int | None
    training: dict | None
    predictions: dict[str, dict]
    folder: Path
    data_folder: Path
    _wrong: dict = field(default_factory=dict, compare=False)

    def wrong(self, split: str, crops: str, k: int) -> np.ndarray:
        """Bool (n,): which images the net gets wrong; raises RecordError when its record says another error."""
        if (split, crops, k) not in self._wrong:
            record = self.predictions[split]
            labels = load_array(self.data_folder / record["dataset"]["name"] / split / "labels.npy")
            path = self.folder / f"{split}-{crops}.npy"
            found = top_k_wrong(load_array(path), labels, k)
            if float(found.mean()) != record["errors"][crops][f"top{k}"]:
                raise RecordError(
                    f"{path} does not hold the error that {split}.json beside it records; predict this split again"
                )
            self._wrong[split, crops, k] = found
        return self._wrong[split, crops, k]

    def records(self) -> list[dict]:
        return [record for record in (self.training, *self.predictions.values()) if record is not None]


@dataclass(frozen=True)
class Experiment:
    """One line of the configuration with its nets; `key` is the variant's or the ensemble's name."""

    key: str
    dataset: str
    kind: str
    tables: tuple[str, ...]
    nets: tuple[Net, ...]

    @cached_property
    def counts(self) -> dict[str, int]:
        return self.nets[0].predictions["test"]["dataset"]["counts"]

    @property
    def classes(self) -> int:
        return self.nets[0].predictions["test"]["classes"]

    @property
    def seeds(self) -> list[int]:
        return [net.seed for net in self.nets if net.seed is not None]


@dataclass(frozen=True)
class Results:
    """All experiments of a configuration that was run."""

    name: str
    experiments: tuple[Experiment, ...]

    @property
    def datasets(self) -> list[str]:
        return list(dict.fromkeys(experiment.dataset for experiment in self.experiments))

    def find(self, dataset: str, key: str) -> Experiment | None:
        """The experiment of a variant or ensemble; seeds of several lines are put together."""
        found = [
            experiment for experiment in self.experiments if (experiment.dataset, experiment.key) == (dataset, key)
        ]
        if not found:
            return None
        nets = {net.folder: net for experiment in found for net in experiment.nets}
        tables = tuple(dict.fromkeys(table for experiment in found for table in experiment.tables))
        return Experiment(key, dataset, found[0].kind, tables, tuple(nets.values()))

    def feeding(self, table: str, dataset: str) -> Iterator[Experiment]:
        """The experiments on `dataset` that feed `table`, each key once."""
        for key in dict.fromkeys(experiment.key for experiment in self.experiments):
            experiment = self.find(dataset, key)
            if experiment is not None and table in experiment.tables:
                yield experiment


def load_results(folder: Path, data_folder: Path) -> Results:
    """All that `folder`/experiments.json lists; raises RecordError for a record that may stand in no table."""
    plan = read_json(folder / "experiments.json")
    experiments = []
    for entry in plan["experiments"]:
        nets = []
        for index, predictions in enumerate(entry["predictions"]):
            training = None
            if "runs" in entry:
                path = Path(entry["runs"][index], "record.json")
                training = read_json(path)
                check_record(path, training, [("seed", "its seed"), ("dataset.digest", "the digest of its data")])
            nets.append(load_net(training, Path(predictions), data_folder))
        key = entry.get("variant") or entry["ensemble"]
        experiments.append(Experiment(key, entry["dataset"], entry["kind"], tuple(entry["tables"]), tuple(nets)))
    return Results(plan["name"], tuple(experiments))


def load_net(training: dict | None, folder: Path, data_folder: Path) -> Net:
    predictions = {}
    for split in ("val", "test"):
        path = folder / f"{split}.json"
        record = read_json(path)
        own = ("members", "its members") if training is None else ("seed", "its seed")
        check_record(
            path,
            record,
            [
                own,
                ("dataset.digest", "the digest of its data"),
                ("images", "its number of images"),
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
    return Net(seed, training, predictions, folder, data_folder)


def load_array(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise RecordError(f"{path} cannot be read ({error}); run snakemake to make it anew") from None


def check_record(path: Path, record: dict, needed: list[tuple[str, str]]) -> None:
    """Raises RecordError when the record lacks its commit or one of the `needed` dotted keys."""
    for dotted, words in [("provenance.commit", "its commit"), *needed]:
        value = record
        for key in dotted.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if value in (None, "", {}, []):
            raise RecordError(f"{path} does not say {words}, and a table takes no such record; make it again")
