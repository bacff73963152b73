"""The plan of a configuration: its runs and ensembles, each once, and the experiments that they belong to."""

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.config.experiments import Config, Experiment, load_variants
from alexnet2012.config.nets import BaselineConfig, LayeredNetConfig, NetConfig
from alexnet2012.config.resolve import (
    SECTIONS,
    Resolver,
    Sections,
    base_on,
    lay_over,
    lay_over_recipe,
    make_resolver,
)
from alexnet2012.config.schema import RunConfig, TrainingConfig, digest8, name_trial
from alexnet2012.config.validate import check_known, located, read_yaml
from alexnet2012.errors import ConfigError
from alexnet2012.model.geometry import list_layers

TARGETS = ("claims", "full")  # targets of Snakemake, and sections of a configuration
BASE = "cnn"  # the variant that is analysed
Runs = dict[tuple[str, str, int], RunConfig]  # by dataset, variant and seed
# Settings that change errors by no more than another seed would.
NO_DEPARTURES = ("measured_train_images", "torch_threads")


@dataclass(frozen=True)
class EnsembleRun:
    """An ensemble: the runs, all on one dataset, whose predictions are averaged."""

    name: str
    config_name: str
    dataset_name: str
    members: tuple[RunConfig, ...]

    @property
    def hash8(self) -> str:
        """Eight hex digits over the members' variants, hashes and seeds."""
        return digest8([[run.variant, run.hash8, run.seed] for run in self.members])

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that its members are evaluated on."""
        return self.members[0].splits

    @property
    def predictions(self) -> Path:
        """results/<name>/predictions/<dataset>/<ensemble>-<hash8>/average, relative to the working directory."""
        folder = Path("results", self.config_name, "predictions", self.dataset_name)
        return folder / f"{self.name}-{self.hash8}" / "average"


@dataclass(frozen=True)
class Line:
    """An experiment from a `section` of a configuration, with its runs in the order of its seeds, or its ensemble."""

    section: str
    experiment: Experiment
    runs: tuple[RunConfig, ...]
    ensemble: EnsembleRun | None

    @property
    def members(self) -> tuple[RunConfig, ...]:
        """The experiment's runs, or the members of its ensemble."""
        return self.runs if self.ensemble is None else self.ensemble.members

    @property
    def predictions(self) -> list[Path]:
        """The folders of the runs' predictions, or of the ensemble's average."""
        return [each.predictions for each in (self.runs if self.ensemble is None else [self.ensemble])]

    def describe(self, config: Config) -> dict[str, Any]:
        """The experiment's entry in `Plan.list_experiments`."""
        own, dataset = self.experiment, config.datasets[self.experiment.dataset]
        entry = {
            "dataset": own.dataset,
            "kind": dataset.kind,
            "splits": list(dataset.evaluated_splits),
            "departures": list_departures(config, own.dataset),
            "tables": list(own.tables),
            "predictions": [str(folder) for folder in self.predictions],
        }
        if self.ensemble is not None:
            return entry | {"ensemble": self.ensemble.name}
        runs = [str(run.folder) for run in self.runs]
        return entry | {"variant": own.variant, "seeds": own.seeds, "length": own.length, "runs": runs}


@dataclass(frozen=True)
class Plan:
    """The lines of a configuration, with their runs and ensembles."""

    config: Config
    lines: tuple[Line, ...]

    @property
    def runs(self) -> tuple[RunConfig, ...]:
        """The runs, each once."""
        runs = {(run.dataset_name, run.variant, run.seed): run for line in self.lines for run in line.runs}
        return tuple(runs.values())

    @property
    def ensembles(self) -> tuple[EnsembleRun, ...]:
        """The ensembles, each once."""
        ensembles = [line.ensemble for line in self.lines if line.ensemble is not None]
        return tuple({(each.dataset_name, each.name): each for each in ensembles}.values())

    @property
    def datasets(self) -> list[str]:
        """The names of the datasets that are needed, including those whose images are rotated."""
        names = [*(line.experiment.dataset for line in self.lines), *(run.dataset_name for run in self.trainings)]
        rotated = [self.config.datasets[name].of for name in names]
        return list(dict.fromkeys([*names, *(name for name in rotated if name is not None)]))

    @property
    def searches(self) -> dict[Path, tuple[RunConfig, ...]]:
        """The trials of each run's learning-rate search, by the run's folder; all seeds of a variant share them."""
        first: dict[Path, RunConfig] = {}
        searching = {run.folder: run for run in self.runs if run.training.learning_rate_search is not None}
        for folder, run in searching.items():
            first.setdefault(folder.parent, run)
        return {folder: list_search_runs(first[folder.parent]) for folder in searching}

    @property
    def trainings(self) -> tuple[RunConfig, ...]:
        """Everything that is trained, each once: trials of searches, runs that others start from, and the runs."""
        first = [run.starts_from.run for run in self.runs if run.starts_from is not None]
        everything = [*(run for each in self.searches.values() for run in each), *first, *self.runs]
        return tuple({run.folder: run for run in everything}.values())

    @property
    def analysed(self) -> tuple[RunConfig, ...]:
        """The runs whose kernels and features are analysed: the base net of every dataset, all its seeds."""
        return tuple(run for run in self.runs if run.variant == BASE)

    def narrow(self, targets: Collection[str] = ()) -> "Plan":
        """The part of the plan that the default target and `targets` run."""
        return self.keep(lambda line: line.section in ("experiments", *targets))

    def keep(self, wanted: Callable[[Line], bool]) -> "Plan":
        """The plan with only the lines for which `wanted` is true."""
        return replace(self, lines=tuple(line for line in self.lines if wanted(line)))

    def list_experiments(self) -> dict[str, Any]:
        """The plan as plain data, for tables and figures: each experiment with the folders of its runs, the experiments
        that only `snakemake full` adds, and the folders of everything that is trained."""
        listed = [line.experiment for line in self.lines]
        left = [each for each in self.config.full if each not in listed]
        return {
            "name": self.config.name,
            "exploratory": self.config.exploratory,
            "experiments": [line.describe(self.config) for line in self.lines],
            "in_full": [{"dataset": each.dataset, "key": each.subject} for each in left],
            "trainings": [str(run.folder) for run in self.trainings],
        }


def list_departures(config: Config, dataset_name: str) -> list[str]:
    """The settings of images, base net and training that make errors incomparable with the paper's because they differ
    from it, as "section.key". The changes that variants make are not listed."""
    papers, own = Sections(), base_on(config, dataset_name, config.name)
    pairs = {
        "datasets": (config.datasets[dataset_name], DatasetConfig.model_construct(), ("size_px", "storage")),
        "net": (own.net, papers.net, NetConfig.model_fields),
        "training": (own.training, papers.training, TrainingConfig.model_fields),
    }
    return [
        f"{section}.{key}"
        for section, (ours, theirs, keys) in pairs.items()
        for key in keys
        if key not in NO_DEPARTURES and getattr(ours, key) != getattr(theirs, key)
    ]


def make_plan(values: dict[str, Any], source: str, variants_path: Path, targets: Collection[str] = ()) -> Plan:
    """The plan of a configuration read from `source`: all its runs, resolved and checked.

    The sections `claims` and `full` belong to the plan only if `targets` names them, but are always checked. Raises
    ConfigError with the file, the variant and the key, and the nearest valid name.
    """
    resolver = make_resolver(json.loads(json.dumps(values, default=str)), source, variants_path)
    config = resolver.config
    known = [name for name, variant in resolver.known.variants.items() if variant.is_baseline]
    for name in config.baselines:
        check_known(f"{source}: baselines", "baseline", name, known)
    weights = config.calibration.weights if config.calibration is not None else None
    if weights is not None and not Path(weights).expanduser().is_file():
        raise ConfigError(f"{source}: calibration.weights: {weights} is not a file; give torchvision's weights")
    runs: Runs = {}
    found = []
    for section, place, experiment in list_places(config):
        own = resolver.resolve_line(f"{source}: {place}", experiment)
        for run in own:
            if runs.setdefault((run.dataset_name, run.variant, run.seed), run) != run:
                raise ConfigError(
                    f"{source}: {place}: {run.variant} seed {run.seed} on {run.dataset_name} is asked for in two ways "
                    "(length, epochs, pretrained_on or pretraining differ); keep one of them"
                )
        found.append((section, place, experiment, tuple(own)))
    lines = [
        Line(section, experiment, own, resolve_ensemble(resolver, f"{source}: {place}", experiment, runs))
        for section, place, experiment, own in found
    ]
    return Plan(config, tuple(lines)).narrow(targets)


def list_places(config: Config) -> Iterator[tuple[str, str, Experiment]]:
    """The section, the place (for messages) and the settings of every experiment of a configuration."""
    for section in ("experiments", "full"):
        for index, each in enumerate(getattr(config, section)):
            yield section, f"{section}[{index}]", each
    for index, claim in enumerate(config.claims):
        for each in claim.list_experiments():
            yield "claims", f"claims[{index}], {each.variant}", each


def resolve_ensemble(resolver: Resolver, place: str, experiment: Experiment, runs: Runs) -> EnsembleRun | None:
    """The ensemble of the experiment at `place`; None if the experiment is of a variant.

    Raises ConfigError for a member that no experiment trains, or that is named twice.
    """
    name, dataset = experiment.ensemble, experiment.dataset
    if name is None:
        return None
    members: list[RunConfig] = []
    for group in resolver.known.ensembles[name].members:
        for seed in group.seeds:
            run = runs.get((dataset, group.variant, seed))
            if run is None:
                raise ConfigError(
                    f"{place}: ensemble {name} averages {group.variant} seed {seed} on {dataset}, which no experiment "
                    f"trains; add seed {seed} to an experiment of {group.variant}"
                )
            if run in members:
                raise ConfigError(f"{resolver.where(name)} names {group.variant} seed {seed} twice; keep one of them")
            members.append(run)
    return EnsembleRun(name, resolver.config.name, dataset, tuple(members))


def describe_target(variant_name: str, variants_path: Path, config_path: Path | None) -> NetConfig | LayeredNetConfig:
    """The net of a variant, based on the paper's net or, if `config_path` is given, on that configuration's.

    Raises ConfigError for mistakes in either file, an unknown variant, or a baseline.
    """
    if config_path is None:
        known, base, source = load_variants(variants_path), Sections(), str(variants_path)
        where = f"{source}: variants.{variant_name}"
    else:
        resolver = make_resolver(read_yaml(config_path), str(config_path), variants_path)
        known, base, source = resolver.known, base_on(resolver.config, None, resolver.source), resolver.source
        where = resolver.where(variant_name)
    check_known(source, "variant", variant_name, known.variants)
    variant = lay_over_recipe(known, variant_name)
    net = lay_over(base, variant.model_dump(include=SECTIONS), where).net
    if isinstance(net, BaselineConfig):
        raise ConfigError(f"{where} is a baseline and has no layers; name a variant of a net")
    with located(where):
        list_layers(net, classes=2)
    return net


def list_search_runs(run: RunConfig) -> tuple[RunConfig, ...]:
    """The trials of a run's learning-rate search, one short run per rate; none if it has no search."""
    training, search = run.training, run.training.learning_rate_search
    if search is None:
        return ()
    schedule = training.schedule.model_copy(update={"max_epochs": search.epochs, "diverging": "stop"})
    trials = {
        name_trial(run.variant, rate): {"learning_rate": rate, "learning_rate_search": None, "schedule": schedule}
        for rate in search.rates
    }
    return tuple(
        run.model_copy(update={"variant": name, "training": training.model_copy(update=changes)})
        for name, changes in trials.items()
    )
