"""The plan of a configuration: its runs and ensembles, each once, and the experiments that they belong to."""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.config.experiments import Config, Experiment
from alexnet2012.config.nets import BaselineConfig, LayeredNetConfig, NetConfig
from alexnet2012.config.resolve import Resolver, Sections, base_on, lay_over_recipe, merge, resolve_sections
from alexnet2012.config.schema import RunConfig, TrainingConfig, digest8, name_trial
from alexnet2012.config.validate import check_known, located, read_yaml, validate
from alexnet2012.config.variants import check_references, load_variants
from alexnet2012.errors import ConfigError
from alexnet2012.model.geometry import list_layers

TARGETS = ("claims", "full")  # targets of Snakemake, and sections of a configuration
BASE = "cnn"  # the variant that is analysed
Runs = dict[tuple[str, str, int], RunConfig]  # by dataset, variant and seed
# Settings that change no error, or by no more than another seed would.
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
class Plan:
    """The experiments of a configuration, and their runs and ensembles, each once."""

    config: Config
    experiments: tuple[Experiment, ...]
    runs: tuple[RunConfig, ...]
    ensembles: tuple[EnsembleRun, ...]

    @property
    def datasets(self) -> list[str]:
        """The names of the datasets that are needed, including those that others are rotations of."""
        names = [*(each.dataset for each in self.experiments), *(run.dataset_name for run in self.trainings)]
        rotated = [self.config.datasets[name].of for name in names]
        return list(dict.fromkeys([*names, *(name for name in rotated if name is not None)]))

    @property
    def searches(self) -> dict[Path, tuple[RunConfig, ...]]:
        """The trials of each run's learning-rate search, by the run's folder; all seeds of a variant share them."""
        first: dict[Path, RunConfig] = {}
        for run in self.runs:
            first.setdefault(run.folder.parent, run)
        found = {run.folder: list_search_runs(first[run.folder.parent]) for run in self.runs}
        return {folder: trials for folder, trials in found.items() if trials}

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
        """The plan of the default target and of these."""
        wanted = list_lines(self.config, "", ("experiments", *targets)).values()
        return self.keep(lambda experiment: experiment in wanted)

    def keep(self, wanted: Callable[[Experiment], bool]) -> "Plan":
        """The plan of only those experiments for which `wanted` is true."""
        kept = tuple(each for each in self.experiments if wanted(each))
        runs = {run.folder: run for each in kept for run in self.runs_of(each)}
        ensembles = [self.ensemble_of(each) for each in kept]
        return replace(
            self,
            experiments=kept,
            runs=tuple(runs.values()),
            ensembles=tuple(each for each in self.ensembles if each in ensembles),
        )

    def runs_of(self, experiment: Experiment) -> tuple[RunConfig, ...]:
        """An experiment's runs in the order of its seeds; none of an ensemble."""
        runs = {(run.dataset_name, run.variant, run.seed): run for run in self.runs}
        return tuple(runs[experiment.dataset, experiment.subject, seed] for seed in experiment.seeds)

    def ensemble_of(self, experiment: Experiment) -> EnsembleRun | None:
        """An experiment's ensemble; None if it has a variant."""
        key = (experiment.dataset, experiment.ensemble)
        return next((each for each in self.ensembles if (each.dataset_name, each.name) == key), None)

    def members_of(self, experiment: Experiment) -> tuple[RunConfig, ...]:
        """An experiment's runs, or the members of its ensemble."""
        ensemble = self.ensemble_of(experiment)
        return self.runs_of(experiment) if ensemble is None else ensemble.members

    def predictions_of(self, experiment: Experiment) -> list[Path]:
        """The folders of an experiment's predictions, or of its ensemble's average."""
        ensemble = self.ensemble_of(experiment)
        return [each.predictions for each in (self.runs_of(experiment) if ensemble is None else [ensemble])]

    def list_experiments(self) -> dict[str, Any]:
        """The plan as plain data, for tables and figures: each experiment with the folders of its runs, the experiments
        that only `snakemake full` adds, and the folders of everything that is trained."""
        listed = []
        for each in self.experiments:
            dataset = self.config.datasets[each.dataset]
            entry: dict[str, Any] = {
                "dataset": each.dataset,
                "kind": dataset.kind,
                "splits": list(dataset.evaluated_splits),
                "departures": list_departures(self.config, each.dataset),
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
        in_full = [{"dataset": each.dataset, "key": each.subject} for each in left]
        trainings = [str(run.folder) for run in self.trainings]
        return {
            "name": self.config.name,
            "exploratory": self.config.exploratory,
            "experiments": listed,
            "in_full": in_full,
            "trainings": trainings,
        }


def list_departures(config: Config, dataset_name: str) -> list[str]:
    """The settings of the images, the base net and its training that differ from the paper's, so that errors do not
    compare; variants' own deltas are not listed."""
    papers = Sections()
    own = Sections.model_validate(merge(papers.model_dump(), base_on(config, dataset_name, config.name)))
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
    resolver = read_settings(json.loads(json.dumps(values, default=str)), source, variants_path)
    config = resolver.config
    known = [name for name, variant in resolver.known.variants.items() if variant.is_baseline]
    for name in config.baselines:
        check_known(f"{source}: baselines", "baseline", name, known)
    weights = config.calibration.weights if config.calibration is not None else None
    if weights is not None and not Path(weights).expanduser().is_file():
        raise ConfigError(f"{source}: calibration.weights: {weights} is not a file; give torchvision's weights")
    runs: Runs = {}
    lines = list_lines(config, source)
    for line, experiment in lines.items():
        for run in resolver.resolve_line(line, experiment):
            if runs.setdefault((run.dataset_name, run.variant, run.seed), run) != run:
                raise ConfigError(
                    f"{line}: {run.variant} seed {run.seed} on {run.dataset_name} is asked for in two ways "
                    "(length, epochs, pretrained_on or pretraining differ); keep one of them"
                )
    ensembles = {
        (experiment.dataset, experiment.ensemble): resolve_ensemble(resolver, line, experiment, runs)
        for line, experiment in lines.items()
        if experiment.ensemble is not None
    }
    return Plan(config, tuple(lines.values()), tuple(runs.values()), tuple(ensembles.values())).narrow(targets)


def read_settings(values: Any, source: str, variants_path: Path) -> Resolver:
    """A configuration and its variants; raises ConfigError for mistakes in either."""
    config, file = validate(Config, values, source), load_variants(variants_path)
    for section in ("variants", "ensembles"):
        for name in getattr(config, section):
            if name in file.variants or name in file.ensembles:
                raise ConfigError(f"{source}: {section}.{name}: {variants_path} has this name already; choose another")
    both = {"variants": file.variants | config.variants, "ensembles": file.ensembles | config.ensembles}
    known = file.model_copy(update=both)
    with located(source):
        check_references(known)
    return Resolver(config, source, known, variants_path)


def list_lines(
    config: Config, source: str, sections: Collection[str] = ("experiments", *TARGETS)
) -> dict[str, Experiment]:
    """The experiments of these sections, by the place where they are written."""
    lines: dict[str, Experiment] = {}
    for section in ("experiments", "full"):
        if section in sections:
            lines |= {f"{source}: {section}[{index}]": each for index, each in enumerate(getattr(config, section))}
    for index, each in enumerate(config.claims if "claims" in sections else ()):
        lines |= {f"{source}: claims[{index}], {line.variant}": line for line in each.list_experiments()}
    return lines


def resolve_ensemble(resolver: Resolver, line: str, experiment: Experiment, runs: Runs) -> EnsembleRun:
    """The ensemble of an experiment written at `line`; raises ConfigError for a member that no experiment trains, or
    one named twice."""
    name, dataset = experiment.subject, experiment.dataset
    members: list[RunConfig] = []
    for group in resolver.known.ensembles[name].members:
        for seed in group.seeds:
            run = runs.get((dataset, group.variant, seed))
            if run is None:
                raise ConfigError(
                    f"{line}: ensemble {name} averages {group.variant} seed {seed} on {dataset}, which no experiment "
                    f"trains; add seed {seed} to an experiment of {group.variant}"
                )
            if run in members:
                raise ConfigError(f"{resolver.where(name)} names {group.variant} seed {seed} twice; keep one of them")
            members.append(run)
    return EnsembleRun(name, resolver.config.name, dataset, tuple(members))


def describe_target(variant_name: str, variants_path: Path, config_path: Path | None) -> NetConfig | LayeredNetConfig:
    """The net of a variant at the paper's sizes, or at those of a configuration file.

    Raises ConfigError for mistakes in either file, an unknown variant, or one that is a baseline.
    """
    if config_path is None:
        known, base, source = load_variants(variants_path), {}, str(variants_path)
        where = f"{source}: variants.{variant_name}"
    else:
        resolver = read_settings(read_yaml(config_path), str(config_path), variants_path)
        known, base, source = resolver.known, base_on(resolver.config, None, resolver.source), resolver.source
        where = resolver.where(variant_name)
    check_known(source, "variant", variant_name, known.variants)
    variant = lay_over_recipe(known, variant_name)
    net = resolve_sections(base, source, variant, where).net
    if isinstance(net, BaselineConfig):
        raise ConfigError(f"{where} is a baseline and has no layers; name a variant of a net")
    with located(where):
        list_layers(net, classes=2)
    return net


def list_search_runs(run: RunConfig) -> tuple[RunConfig, ...]:
    """The trials of a run's learning-rate search, one short run per rate; none if it has no search."""
    search = run.training.learning_rate_search
    if search is None:
        return ()
    schedule = run.training.schedule.model_copy(update={"max_epochs": search.epochs, "diverging": "stop"})
    return tuple(
        run.model_copy(
            update={
                "variant": name_trial(run.variant, rate),
                "training": run.training.model_copy(
                    update={"learning_rate": rate, "learning_rate_search": None, "schedule": schedule}
                ),
            }
        )
        for rate in search.rates
    )
