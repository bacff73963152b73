"""The results of a configuration as claims, tables and figures read them: complete records, and all errors in rows."""

from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from alexnet2012 import paper
from alexnet2012.config.plan import BASE
from alexnet2012.costs import KINDS
from alexnet2012.errors import RecordError
from alexnet2012.evaluation.metrics import CROPS
from alexnet2012.reporting.records import CalibrationRecord, ListedExperiments, TrainingRecord, read_record
from alexnet2012.reporting.trained_nets import TrainedNet, count_learned, read_trained_net

REFERENCES = "reference"  # the folder of results/ that holds what was committed
OWN = "imagefolder"  # the kind of datasets that are neither the paper's nor this project's
# The datasets of the paper, by the kind of a configuration's dataset.
EDITION_OF = {"ilsvrc2010": paper.ILSVRC2010, "ilsvrc2012": paper.ILSVRC2012, "fall2009": paper.FALL2009}
# The columns of results.csv.
ERRORS = [
    "dataset",
    "variant",
    "seed",
    "split",
    "crops",
    "top1_error",
    "top5_error",
    "n",
    "commit",
    "digest",
    "hardware",
    "seconds",
    "epochs",
    "learned",
    "target_error",
    "epochs_to_target",
    "seconds_to_target",
    *KINDS,
]


@dataclass(frozen=True)
class ExperimentResults:
    """One line of the configuration with its nets; `key` is the variant's or the ensemble's name.

    `splits` are those that were evaluated: ILSVRC-2012's test labels are withheld. `departures`: the settings of the
    configuration that are not the paper's. `length`: "here", or "published" for the author's own.
    """

    key: str
    dataset: str
    kind: str
    splits: tuple[str, ...]
    tables: tuple[str, ...]
    nets: tuple[TrainedNet, ...]
    departures: tuple[str, ...] = ()
    length: str = "here"

    @property
    def _record(self) -> dict[str, Any]:
        return self.nets[0].predictions[self.splits[0]]

    @property
    def counts(self) -> dict[str, int]:
        return dict(self._record["dataset"]["counts"])

    @property
    def digest(self) -> str:
        return str(self._record["dataset"]["digest"])

    @property
    def classes(self) -> int:
        return int(self._record["classes"])

    @property
    def shows_top5(self) -> bool:
        """Whether a top-5 error says anything: of five classes or fewer every answer is right."""
        return self.classes > 5

    @property
    def scaled(self) -> bool:
        """Whether its net is not the paper's."""
        return any(each.startswith("net.") for each in self.departures)

    @property
    def members(self) -> list[str]:
        """The nets that an ensemble averages, each as variant-seed."""
        return list(self._record["members"])

    @property
    def part(self) -> str:
        """What part of its dataset was packed, in words; empty for the whole, and in records older than the key."""
        return str(self._record["dataset"].get("part", ""))

    @property
    def edition(self) -> paper.Edition | None:
        """The paper's dataset that this one is, as a whole and with the paper's net and training; None for others."""
        return None if self.part or self.departures else EDITION_OF.get(self.kind)

    @property
    def is_own(self) -> bool:
        """Whether its images are one's own, which compare with none of the paper's numbers."""
        return self.kind == OWN

    @property
    def is_baseline(self) -> bool:
        """Whether it is none of the nets, but one of table 1's other systems."""
        return self.nets[0].training.get("recipe") == "baseline"

    @property
    def seeds(self) -> list[int]:
        return [net.seed for net in self.nets if net.seed is not None]

    def histories(self) -> list[pd.DataFrame]:
        """The history of each of its nets; empty where one of them keeps none."""
        found = [history for net in self.nets if (history := net.history) is not None]
        return found if len(found) == len(self.nets) else []


@dataclass(frozen=True)
class Missing:
    """A net, or an ensemble (`seed` is None), that experiments.json lists and whose records are not all there.

    `trained`: its training's record is there, and predictions are not.
    """

    dataset: str
    key: str
    seed: int | None
    trained: bool


@dataclass(frozen=True)
class Results:
    """All experiments of a configuration that was run, without the nets that are `missing` from a partial one.

    `listed`: how many nets and ensembles experiments.json has. `exploratory`: why its ledger is an exploratory one, a
    sentence; empty where it is not.
    """

    name: str
    experiments: tuple[ExperimentResults, ...]
    calibrations: dict[str, dict[str, Any]] = field(default_factory=dict)  # records by dataset
    in_full: frozenset[tuple[str, str]] = frozenset()  # datasets and keys that only `snakemake full` would add
    listed: int = 0
    missing: tuple[Missing, ...] = ()
    exploratory: str = ""

    @property
    def planned_datasets(self) -> list[str]:
        """The datasets of the configuration, with those of which nothing is in."""
        return list(dict.fromkeys([*self.datasets, *(each.dataset for each in self.missing)]))

    @property
    def datasets(self) -> list[str]:
        return list(dict.fromkeys(experiment.dataset for experiment in self.experiments))

    def on(self, dataset: str) -> list[ExperimentResults]:
        """The experiments on `dataset`, each key once: seeds of several lines are put together."""
        lines: dict[str, list[ExperimentResults]] = {}
        for experiment in self.experiments:
            if experiment.dataset == dataset:
                lines.setdefault(experiment.key, []).append(experiment)
        return [merge_lines(each) for each in lines.values()]

    def find(self, dataset: str, key: str) -> ExperimentResults | None:
        """The experiment of a variant or ensemble; None where there is none."""
        return next((each for each in self.on(dataset) if each.key == key), None)

    def find_base(self, dataset: str) -> ExperimentResults | None:
        """The paper's net, or the first other net where it was not trained; None where no net was."""
        trained = [each for each in self.on(dataset) if each.seeds and not each.is_baseline]
        return next((each for each in trained if each.key == BASE), trained[0] if trained else None)

    def recipes(self, experiment: ExperimentResults) -> set[str | None]:
        """The recipes of its nets, or of an ensemble's members; None for a member that no experiment trains."""
        found: set[str | None] = {net.training["recipe"] for net in members(self, experiment)}
        known = self.trained(experiment.dataset)
        return found if experiment.seeds or all(name in known for name in experiment.members) else {*found, None}

    def trained(self, dataset: str) -> dict[str, TrainedNet]:
        """The nets that were trained on `dataset`, by the names that ensembles have for them."""
        nets = ((each.key, net) for each in self.on(dataset) for net in each.nets if net.training)
        return {f"{key}-seed{net.seed}": net for key, net in nets}

    def feeding(self, table: str, dataset: str) -> list[ExperimentResults]:
        """The experiments on `dataset` that feed `table`, each key once."""
        return [experiment for experiment in self.on(dataset) if table in experiment.tables]


def merge_lines(lines: list[ExperimentResults]) -> ExperimentResults:
    """One experiment of the lines of one key and dataset, each net once."""
    nets = {net.folder: net for line in lines for net in line.nets}
    tables = tuple(dict.fromkeys(table for line in lines for table in line.tables))
    return replace(lines[0], tables=tables, nets=tuple(nets.values()))


def members(results: Results, experiment: ExperimentResults) -> list[TrainedNet]:
    """The trained nets of an experiment, or those that an ensemble averages, as far as they were trained here."""
    if experiment.seeds:
        return list(experiment.nets)
    trained = results.trained(experiment.dataset)
    return [trained[name] for name in experiment.members if name in trained]


def learned_of(results: Results, experiment: ExperimentResults, seeds: list[int] | None = None) -> str:
    """How many of an experiment's nets learned, of `seeds` or of all, or of an ensemble's members; empty for all."""
    nets = members(results, experiment)
    if not experiment.seeds:
        return count_learned(nets, "members")
    return count_learned([net for net in nets if not seeds or net.seed in seeds])


def load_results(folder: Path, data_folder: Path, partial: bool = False) -> Results:
    """All that `folder`/experiments.json lists; raises RecordError for a record that may stand in no table.

    `partial`: nets whose records are not all there are left out and listed as missing. A reference is always read so:
    it may be committed while a long run goes on. Elsewhere a missing record is an error, as Snakemake makes all of
    them before the tables, and it writes into no reference.
    """
    plan = read_record(folder / "experiments.json", ListedExperiments)
    partial = partial or is_reference(folder)
    experiments, listed, missing = [], set(), {}
    for entry in plan["experiments"]:
        nets, splits = [], tuple(entry.get("splits", ("val", "test")))  # plans older than the key had both
        key, tables = entry.get("variant") or entry["ensemble"], tuple(entry["tables"])
        for index, place in enumerate(entry["predictions"]):
            predictions = relocate(folder, place)
            run_folder = relocate(folder, entry["runs"][index]) if "runs" in entry else None
            listed.add(predictions)
            if partial and not is_in(run_folder, predictions, splits):
                missing[predictions] = describe_missing(entry, index, run_folder)
                continue
            training = {} if run_folder is None else read_record(run_folder / "record.json", TrainingRecord)
            nets.append(read_trained_net(training, predictions, data_folder, splits, run_folder))
        departures = tuple(entry.get("departures", ()))
        found = ExperimentResults(key, entry["dataset"], entry["kind"], splits, tables, tuple(nets), departures)
        if nets:
            experiments.append(replace(found, length=entry.get("length", "here")))
    in_full = frozenset((each["dataset"], each["key"]) for each in plan.get("in_full", ()))
    results = Results(plan["name"], tuple(experiments), {}, in_full, len(listed), tuple(missing.values()))
    calibrations = load_calibrations(folder / "calibration", results)
    return replace(results, calibrations=calibrations, exploratory=plan.get("exploratory", ""))


def is_reference(folder: Path) -> bool:
    """Whether it is a folder of results/reference, a name that no configuration may have."""
    return folder.resolve().parent.name == REFERENCES


def relocate(folder: Path, listed: str) -> Path:
    """Where a folder that experiments.json lists lies below `folder`.

    Listed paths are relative to the working directory of the run, and end in runs/<dataset>/<variant>/<seed> or
    predictions/<dataset>/<variant>/<seed>; what stands before that is dropped.
    """
    return folder.joinpath(*Path(listed).parts[-4:])


def is_in(run_folder: Path | None, predictions: Path, splits: tuple[str, ...]) -> bool:
    """Whether all records of a net, or of an ensemble, are there."""
    records = [predictions / f"{split}.json" for split in splits]
    return all(path.exists() for path in ([] if run_folder is None else [run_folder / "record.json"]) + records)


def describe_missing(entry: dict[str, Any], index: int, run_folder: Path | None) -> Missing:
    if run_folder is None:
        return Missing(entry["dataset"], entry["ensemble"], None, False)
    return Missing(entry["dataset"], entry["variant"], entry["seeds"][index], (run_folder / "record.json").exists())


def load_calibrations(folder: Path, results: Results) -> dict[str, dict[str, Any]]:
    """The records of calibrated datasets; raises RecordError for one made on other data than the experiments were."""
    calibrations = {}
    for path in sorted(folder.glob("*.json")):
        record = read_record(path, CalibrationRecord)
        name, digest = record["dataset"]["name"], record["dataset"]["digest"]
        if any(experiment.digest != digest for experiment in results.on(name)):
            raise RecordError(f"{path} was made on other data than {name} holds now; remove it, or calibrate again")
        calibrations[name] = record
    return calibrations


def tabulate_errors(results: Results) -> pd.DataFrame:
    """A row for each net or average, split and crops; errors are fractions of the split's `n` images.

    `digest` is that of the dataset. Commit, hardware and `seconds` are the training's, of an average its evaluation's;
    an average has no seed, epochs or `learned`. The last columns are those of TrainedNet.costs.
    """
    rows = []
    for experiment in (each for dataset in results.datasets for each in results.on(dataset)):
        for net, split, crops in product(experiment.nets, experiment.splits, CROPS):
            found = net.predictions[split]
            record = net.training or found
            errors, made_by = found["errors"][crops], record["provenance"]
            rows.append(
                [experiment.dataset, experiment.key, net.seed, split, crops, errors["top1"], errors["top5"]]
                + [found["images"], made_by["commit"], experiment.digest, made_by["hardware"]]
                + [record.get("wall_time_s"), record.get("epochs"), net.learned, *net.costs]
            )
    return pd.DataFrame(rows, columns=ERRORS).astype({"seed": "Int64", "epochs": "Int64"})
