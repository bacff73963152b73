"""What a configuration asks for: its runs and ensembles, each once, and the experiments that they belong to."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from alexnet2012.config import Config, DatasetConfig, RunConfig, TrainingConfig, digest8
from alexnet2012.experiment_config import Experiment
from alexnet2012.net_config import NetConfig
from alexnet2012.section import Section
from alexnet2012.training.search import list_search_runs

# Settings that change no error, or by so little as another seed would.
NO_DEPARTURES = ("measured_train_images", "torch_threads")


@dataclass(frozen=True)
class EnsembleRun:
    """An ensemble with its members' runs, all on one dataset."""

    name: str
    config_name: str
    dataset_name: str
    members: tuple[RunConfig, ...]

    @property
    def hash8(self) -> str:
        return digest8([[run.variant, run.hash8, run.seed] for run in self.members])

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that it is evaluated on, its members' own."""
        return self.members[0].splits

    @property
    def predictions(self) -> Path:
        """Folder of the average's probabilities, relative to the working directory."""
        return Path(
            "results", self.config_name, "predictions", self.dataset_name, f"{self.name}-{self.hash8}", "average"
        )


@dataclass(frozen=True)
class Plan:
    """What a configuration asks for: its runs and ensembles, each once."""

    config: Config
    experiments: tuple[Experiment, ...]
    runs: tuple[RunConfig, ...]
    ensembles: tuple[EnsembleRun, ...]

    @property
    def datasets(self) -> list[str]:
        """The names of those that its trainings are on, and of those that these are rotations of."""
        names = [*(each.dataset for each in self.experiments), *(run.dataset_name for run in self.trainings)]
        rotated = [self.config.datasets[name].of for name in names]
        return list(dict.fromkeys([*names, *(name for name in rotated if name is not None)]))

    @property
    def searches(self) -> dict[Path, tuple[RunConfig, ...]]:
        """The short runs that find the learning rate of a run, by the folder of that run; all seeds share a search."""
        searching = [run for run in self.runs if run.training.learning_rate_search is not None]
        first: dict[Path, RunConfig] = {}
        for run in searching:
            first.setdefault(run.folder.parent, run)
        return {run.folder: list_search_runs(first[run.folder.parent]) for run in searching}

    @property
    def trainings(self) -> tuple[RunConfig, ...]:
        """Everything that is trained, each once: the runs, and before them those of their searches and those that they
        start from."""
        first = [run.starts_from.run for run in self.runs if run.starts_from is not None]
        everything = [*(run for each in self.searches.values() for run in each), *first, *self.runs]
        return tuple({run.folder: run for run in everything}.values())

    def keep(self, wanted: Callable[[Experiment], bool]) -> "Plan":
        """The same with those experiments alone for which `wanted` is true."""
        kept = tuple(each for each in self.experiments if wanted(each))
        needed = {run.folder: run for each in kept for run in self.runs_of(each)}
        ensembles = {(each.dataset, each.ensemble) for each in kept}
        return replace(
            self,
            experiments=kept,
            runs=tuple(needed.values()),
            ensembles=tuple(each for each in self.ensembles if (each.dataset_name, each.name) in ensembles),
        )

    def predictions_of(self, experiment: Experiment) -> list[Path]:
        """The folders of an experiment's predictions, or of an ensemble's average."""
        found = [
            each.predictions
            for each in self.ensembles
            if (each.dataset_name, each.name) == (experiment.dataset, experiment.ensemble)
        ]
        return [*(run.predictions for run in self.runs_of(experiment)), *found]

    def members_of(self, experiment: Experiment) -> tuple[RunConfig, ...]:
        """An experiment's runs, or those that its ensemble averages."""
        averaged = [
            run
            for each in self.ensembles
            if (each.dataset_name, each.name) == (experiment.dataset, experiment.ensemble)
            for run in each.members
        ]
        return (*self.runs_of(experiment), *averaged)

    def runs_of(self, experiment: Experiment) -> tuple[RunConfig, ...]:
        """An experiment's runs in the order of its seeds; none of an ensemble."""
        runs = {(run.dataset_name, run.variant, run.seed): run for run in self.runs}
        return tuple(runs[experiment.dataset, experiment.variant, seed] for seed in experiment.seeds)

    def list_experiments(self) -> dict[str, Any]:
        """The plan as plain data, for those who read results: each experiment with the folders of its runs, what only
        `snakemake full` would add, and the folders of everything that is trained."""
        listed = []
        for each in self.experiments:
            dataset = self.config.datasets[each.dataset]
            entry = {
                "dataset": each.dataset,
                "kind": dataset.kind,
                "splits": list(dataset.evaluated_splits),
                "departures": list_departures(self.config, dataset),
                "tables": list(each.tables),
                "predictions": [str(folder) for folder in self.predictions_of(each)],
            }
            if each.ensemble is not None:
                entry |= {"ensemble": each.ensemble}
            else:
                entry |= {
                    "variant": each.variant,
                    "seeds": each.seeds,
                    "length": each.length,
                    "runs": [str(run.folder) for run in self.runs_of(each)],
                }
            listed.append(entry)
        left = [each for each in self.config.full if each not in self.experiments]
        in_full = [{"dataset": each.dataset, "key": each.variant or each.ensemble} for each in left]
        trainings = [str(run.folder) for run in self.trainings]
        return {"name": self.config.name, "experiments": listed, "in_full": in_full, "trainings": trainings}


def list_departures(config: Config, dataset: DatasetConfig) -> list[str]:
    """The settings of the base net, its training and its images that are not the paper's: such errors do not compare.

    What a variant changes on top is what the variant is about.
    """
    found = [f"datasets.{key}" for key in ("size_px", "storage") if getattr(dataset, key) != default_of(dataset, key)]
    for model, section, base in ((NetConfig, "net", config.net), (TrainingConfig, "training", config.training)):
        own, papers = model.model_validate(merge(model().model_dump(), base)), model()
        found += [
            f"{section}.{key}"
            for key in model.model_fields
            if key not in NO_DEPARTURES and getattr(own, key) != getattr(papers, key)
        ]
    return found


def default_of(section: Section, key: str) -> Any:
    return type(section).model_fields[key].default


def merge(base: Any, delta: Any) -> Any:
    """`base` with `delta` laid over it, mapping by mapping; anything but a mapping replaces what was there.

    A mapping with another `kind` (a schedule) replaces the whole, since its keys are other keys.
    """
    if not (isinstance(base, dict) and isinstance(delta, dict)) or base.get("kind") != delta.get(
        "kind", base.get("kind")
    ):
        return delta
    return {**base, **{key: merge(base.get(key), value) for key, value in delta.items()}}
