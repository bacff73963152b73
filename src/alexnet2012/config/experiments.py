"""The schema of configuration files and of config/variants.yaml: experiments, claims, variants, ensembles, recipes."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from alexnet2012.config.datasets import DatasetConfig, fill_in_others
from alexnet2012.config.nets import BASELINES, kind_of_net
from alexnet2012.config.schema import RuntimeConfig
from alexnet2012.config.validate import Distinct, Name, Section, check_known, located, read_yaml, suggest, validate
from alexnet2012.errors import ConfigError

PAPER = "paper"  # the recipe that the defaults implement
RESERVED_NAMES = ("reference", "benchmarks")  # folders of results/ that no configuration may write to

Seeds = Annotated[list[Annotated[int, Field(ge=0)]], Distinct]
Length = Literal["here", "published"]  # length of a training: as configured, or as published by the author
Delta = dict[str, Any]  # settings that override those of the same section


class Deltas(Section):
    """Changes to the net and its training: a recipe's, for variants that name it, or a dataset's (`per_dataset`)."""

    net: Delta = {}
    training: Delta = {}


class StartsFrom(Section):
    """Pre-training: `layers` are initialised from `variant`, trained with the same seed on the experiment's
    `pretrained_on`; `training` overrides that variant's settings."""

    variant: str
    layers: list[str] = Field(min_length=1)
    training: Delta = {}


class Variant(Section):
    """One variant: its section of the paper, the claims that need it, and its changes to the base or to its recipe.

    A number may be a multiple of the base's: `kernels: x1.5`. `published` changes the training further, in experiments
    with `length: published`.
    """

    section: str
    claims: list[str] = []
    recipe: str | None = None
    starts_from: StartsFrom | None = None
    net: Delta = {}
    training: Delta = {}
    published: Delta = {}
    runtime: Delta = {}

    @model_validator(mode="after")
    def _baseline_has_no_training(self) -> "Variant":
        own = self.departs("recipe", "training", "published", "runtime", "starts_from")
        if self.is_baseline and own:
            raise ValueError(f"{own[0]} is for nets, and this is a baseline; remove it")
        return self

    @property
    def is_baseline(self) -> bool:
        """Whether this is one of the systems that table 1 compares the net with, and not a net."""
        return str(kind_of_net(self.net)) in BASELINES


class Members(Section):
    """Nets of one variant in an ensemble, by their seeds."""

    variant: str
    seeds: list[int] = Field(min_length=1)


class Ensemble(Section):
    """Nets whose predictions are averaged."""

    section: str
    claims: list[str] = []
    members: list[Members] = Field(min_length=1)


class VariantsFile(Section):
    """The sections of config/variants.yaml, to which a configuration may add variants and ensembles."""

    recipes: dict[str, Deltas] = {}
    variants: dict[Name, Variant]
    ensembles: dict[Name, Ensemble] = {}


class Experiment(Section):
    """A variant with its seeds, or an ensemble, on a dataset, and the tables that show it.

    `pretrained_on`: the dataset of the pre-training, for variants with `starts_from`; `pretraining` overrides settings
    of the pre-training. `epochs`: rescales a logged schedule to this many epochs.
    """

    dataset: str
    variant: str | None = None
    ensemble: str | None = None
    seeds: Seeds = []
    length: Length = "here"
    pretrained_on: str | None = None
    pretraining: Delta = {}
    epochs: int | None = Field(default=None, ge=1)
    tables: list[Literal["table1", "table2", "in_text", "claims"]] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_subject(self) -> "Experiment":
        if (self.variant is None) == (self.ensemble is None):
            raise ValueError("an experiment names either a variant or an ensemble")
        if self.variant is not None and not self.seeds:
            raise ValueError(f"variant {self.variant} needs seeds, e.g. seeds: [0]")
        if self.pretraining and self.pretrained_on is None:
            raise ValueError("pretraining changes the training that pretrained_on names; write that or remove it")
        own = self.departs("seeds", "length", "pretrained_on", "pretraining", "epochs")
        if self.ensemble is not None and own:
            raise ValueError(f"ensemble {self.ensemble} takes no {own[0]}, which is for variants; remove it")
        return self

    @property
    def subject(self) -> str:
        """The name of the variant or the ensemble."""
        return self.variant or self.ensemble or ""


class ClaimExperiment(Section):
    """Variants with their seeds on a dataset that only the ledger of claims needs; `snakemake claims` runs them."""

    dataset: str
    variants: Annotated[list[str], Distinct] = Field(min_length=1)
    seeds: Seeds = Field(min_length=1)
    length: Length = "here"

    def list_experiments(self) -> list[Experiment]:
        """One experiment for each variant."""
        line = self.model_dump(exclude={"variants"}) | {"tables": ["claims"]}
        return [Experiment(variant=variant, **line) for variant in self.variants]


class CalibrationConfig(Section):
    """A check of the evaluation: a net of known accuracy is evaluated on `dataset`.

    `weights`: the file of torchvision's AlexNet, or None for torch hub's cache.
    """

    dataset: str
    weights: str | None = None


class Config(Section):
    """A whole configuration file. `claims` and `full` are run by the targets of that name, besides `experiments`.

    `net` and `training` are the base that variants change; `per_dataset` changes the base for the runs on one dataset;
    `baselines` changes the variants of that name. `variants` and `ensembles` are added to those of
    config/variants.yaml. `exploratory`: a sentence that says why the ledger is exploratory; empty for a confirmatory
    ledger, whose rules were fixed before its data.
    """

    name: Name
    exploratory: str = ""
    datasets: dict[Name, DatasetConfig] = Field(min_length=1)
    experiments: list[Experiment] = Field(min_length=1)
    claims: list[ClaimExperiment] = []
    full: list[Experiment] = []
    variants: dict[Name, Variant] = {}
    ensembles: dict[Name, Ensemble] = {}
    net: Delta = {}
    training: Delta = {}
    per_dataset: dict[str, Deltas] = {}
    baselines: dict[str, Delta] = {}
    runtime: RuntimeConfig = RuntimeConfig()
    calibration: CalibrationConfig | None = None

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, name: str) -> str:
        if name in RESERVED_NAMES:
            raise ValueError(f"results/{name} is reserved; choose another name")
        return name

    @field_validator("datasets")
    @classmethod
    def _filled_in(cls, datasets: dict[str, DatasetConfig]) -> dict[str, DatasetConfig]:
        return fill_in_others(datasets)

    @model_validator(mode="after")
    def _known(self) -> "Config":
        nets = [self.net, *(each.net for each in self.per_dataset.values())]
        if any(kind_of_net(net) != "alexnet" for net in nets):
            raise ValueError("net.kind: expected alexnet, the kind of the base net; give other kinds as variants")
        for name in self.per_dataset:
            if name not in self.datasets:
                raise ValueError(f"per_dataset.{name} is not a dataset; {suggest(name, self.datasets)}")
        known = [name for name, dataset in self.datasets.items() if dataset.kind == "ilsvrc2012"]
        if self.calibration is not None and self.calibration.dataset not in known:
            raise ValueError(
                f"calibration.dataset: {self.calibration.dataset} is not a dataset of kind ilsvrc2012, for which the "
                f"errors of torchvision's AlexNet are known; {suggest(self.calibration.dataset, known)}"
            )
        return self


def load_variants(path: Path) -> VariantsFile:
    """The contents of a variants file; raises ConfigError for mistakes in it."""
    file = validate(VariantsFile, read_yaml(path), str(path))
    with located(str(path)):
        check_references(file)
    return file


def check_references(file: VariantsFile) -> None:
    """Raises ConfigError for a reference to a recipe or variant that does not exist, and for a name used twice."""
    for name, variant in file.variants.items():
        if variant.recipe is not None:
            check_known(f"variants.{name}.recipe", "recipe", variant.recipe, (PAPER, *file.recipes))
        if variant.starts_from is not None:
            where, first = f"variants.{name}.starts_from.variant", variant.starts_from.variant
            check_known(where, "variant", first, file.variants)
            if file.variants[first].starts_from is not None:
                raise ConfigError(f"{where}: {first} has starts_from itself; name a variant that has none")
    for name, ensemble in file.ensembles.items():
        if name in file.variants:
            raise ConfigError(f"ensembles.{name} is a variant too; rename one of them")
        for index, group in enumerate(ensemble.members):
            check_known(f"ensembles.{name}.members[{index}]", "variant", group.variant, file.variants)
