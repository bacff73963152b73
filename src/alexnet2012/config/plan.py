"""The plan of a configuration: its runs and ensembles, each once, and the experiments that they belong to."""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.config.experiments import Config, Experiment
from alexnet2012.config.nets import LayeredNetConfig, NetConfig
from alexnet2012.config.resolve import check_net, is_baseline, lay_over_recipe, merge, resolve_net, resolve_run
from alexnet2012.config.schema import RunConfig, TrainingConfig, digest8, name_trial
from alexnet2012.config.validate import Section, check_known, read_yaml, validate
from alexnet2012.config.variants import Variants, check_name, load_variants
from alexnet2012.errors import ConfigError

TARGETS = ("claims", "full")  # of Snakemake, and sections of a configuration
Runs = dict[tuple[str, str, int], RunConfig]  # by dataset, variant and seed
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
        return tuple(runs[experiment.dataset, experiment.subject, seed] for seed in experiment.seeds)

    def list_experiments(self) -> dict[str, Any]:
        """The plan as plain data, for those who read results: each experiment with the folders of its runs, what only
        `snakemake full` would add, and the folders of everything that is trained."""
        listed = []
        for each in self.experiments:
            dataset = self.config.datasets[each.dataset]
            entry: dict[str, Any] = {
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
        in_full = [{"dataset": each.dataset, "key": each.subject} for each in left]
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
    """The paper's value of a setting."""
    return type(section).model_fields[key].default


def make_plan(values: dict[str, Any], source: str, variants_path: Path, targets: Collection[str] = ()) -> Plan:
    """Validate a configuration read from `source` against the schema and the variants, and resolve every run; those of
    its sections `claims` and `full` belong to the plan where `targets` names these, and are checked in any case.

    Raises ConfigError that names the file, the variant and the key, and the nearest valid name.
    """
    plain = json.loads(json.dumps(values, default=str))
    config = validate(Config, plain, source)
    variants = load_variants(variants_path).extend(config.variants, config.ensembles, source)
    for name in config.datasets:
        check_name(f"{source}: datasets", name)
    check_calibration(config, f"{source}: calibration")
    known = [name for name, variant in variants.variants.items() if is_baseline(variant)]
    for name in config.baselines:
        check_known(f"{source}: baselines", "baseline", name, known, variants_path)
    if config.net.get("kind", "alexnet") != "alexnet":
        raise ConfigError(f"{source}: net.kind: the base net is the paper's; nets of layers are variants")
    runs: Runs = {}
    ensembles: dict[tuple[str, str], EnsembleRun] = {}
    experiments = list_lines(config, source)
    for where, experiment in experiments.items():
        check_known(f"{where}.dataset", "dataset", experiment.dataset, config.datasets)
        if experiment.variant is None:
            check_known(f"{where}.ensemble", "ensemble", experiment.subject, variants.ensembles, variants_path)
            continue
        check_known(f"{where}.variant", "variant", experiment.subject, variants.variants, variants_path)
        if experiment.pretrained_on is not None:
            check_known(f"{where}.pretrained_on", "dataset", experiment.pretrained_on, config.datasets)
        for seed in experiment.seeds:
            run = resolve_run(config, source, variants, where, experiment, seed)
            if runs.setdefault((experiment.dataset, experiment.subject, seed), run) != run:
                raise ConfigError(
                    f"{where}: {experiment.subject} seed {seed} on {experiment.dataset} is asked for in two ways "
                    "(length, epochs or pretrained_on differ); keep one of them"
                )
    for where, experiment in experiments.items():
        if experiment.ensemble is not None:
            ensembles[experiment.dataset, experiment.subject] = resolve_ensemble(
                config, where, experiment, variants, runs
            )
    everything = Plan(config, tuple(experiments.values()), tuple(runs.values()), tuple(ensembles.values()))
    wanted = list_lines(config, source, ("experiments", *targets)).values()
    return everything.keep(lambda experiment: experiment in wanted)


def list_lines(
    config: Config, source: str, sections: Collection[str] = ("experiments", *TARGETS)
) -> dict[str, Experiment]:
    """The experiments of these sections, by where they are written."""
    lines: dict[str, Experiment] = {}
    for section in ("experiments", "full"):
        if section in sections:
            lines |= {f"{source}: {section}[{index}]": each for index, each in enumerate(getattr(config, section))}
    for index, each in enumerate(config.claims if "claims" in sections else ()):
        lines |= {f"{source}: claims[{index}], {line.variant}": line for line in each.list_experiments()}
    return lines


def resolve_ensemble(config: Config, where: str, experiment: Experiment, variants: Variants, runs: Runs) -> EnsembleRun:
    """The ensemble of an experiment; raises ConfigError for a member that no experiment trains, or one named twice."""
    members: list[RunConfig] = []
    for group in variants.ensembles[experiment.subject].members:
        for seed in group.seeds:
            key = (experiment.dataset, group.variant, seed)
            if key not in runs:
                raise ConfigError(
                    f"{where}: ensemble {experiment.subject} averages {group.variant} "
                    f"seed {seed} on {experiment.dataset}, which no experiment trains; "
                    f"add seed {seed} to an experiment of {group.variant}"
                )
            if runs[key] in members:
                raise ConfigError(
                    f"{variants.where(experiment.subject)} names {group.variant} seed {seed} twice; an average counts "
                    "each net once"
                )
            members.append(runs[key])
    return EnsembleRun(experiment.subject, config.name, experiment.dataset, tuple(members))


def describe_target(variant_name: str, variants_path: Path, config_path: Path | None) -> NetConfig | LayeredNetConfig:
    """The net of one variant at the paper's sizes, or at those of a configuration file."""
    variants = load_variants(variants_path)
    base: dict[str, Any] = {}
    source = "the paper's net"
    if config_path is not None:
        source = str(config_path)
        config = validate(Config, read_yaml(config_path), source)
        base, variants = config.net, variants.extend(config.variants, config.ensembles, source)
    check_known(str(variants_path), "variant", variant_name, variants.variants)
    variant, where = lay_over_recipe(variants, variant_name), variants.where(variant_name)
    if is_baseline(variant):
        raise ConfigError(f"{where} is no net and has no layers; name another variant")
    net = resolve_net(base, variant, source, where)
    check_net(net, where)
    return net


def check_calibration(config: Config, where: str) -> None:
    """Raises ConfigError for a section that names no dataset whose errors are known, or weights that are not there."""
    if config.calibration is None:
        return
    name, weights = config.calibration.dataset, config.calibration.weights
    check_known(f"{where}.dataset", "dataset", name, config.datasets)
    if (kind := config.datasets[name].kind) != "ilsvrc2012":
        raise ConfigError(
            f"{where}.dataset: {name} is of kind {kind}, but the errors of torchvision's AlexNet are known on "
            "ilsvrc2012 alone; name a dataset of that kind, or remove the section"
        )
    if weights is not None and not Path(weights).expanduser().is_file():
        raise ConfigError(f"{where}.weights: {weights} is not a file; give torchvision's weights, or remove the line")


def list_search_runs(run: RunConfig) -> tuple[RunConfig, ...]:
    """A short run for each rate that `run` is to choose from, with its net and seed; none where it has no search."""
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
