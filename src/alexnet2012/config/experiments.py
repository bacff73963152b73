"""The schema of a configuration file: its datasets, its experiments and claims, and the base of every variant."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from alexnet2012.config.datasets import DatasetConfig, SubsetConfig
from alexnet2012.config.nets import kind_of_net
from alexnet2012.config.schema import RuntimeConfig
from alexnet2012.config.validate import Distinct, Section, suggest
from alexnet2012.config.variants import Ensemble, Name, Variant

RESERVED_NAMES = ("reference", "benchmarks")  # folders of results/ that no configuration may write to
SAME_IMAGES = ("kind", "folder", "class_list", "complete")  # settings that two draws of the same classes share

TableName = Literal["table1", "table2", "in_text", "claims"]
Length = Literal["here", "published"]  # of a training: the configuration's, or the one that the author published
Seeds = Annotated[list[Annotated[int, Field(ge=0)]], Distinct]


class ClaimExperiment(Section):
    """Variants with their seeds on a dataset, for the ledger of claims alone: `snakemake claims` runs them."""

    dataset: str
    variants: Annotated[list[str], Distinct] = Field(min_length=1)
    seeds: Seeds = Field(min_length=1)
    length: Length = "here"

    def list_experiments(self) -> list["Experiment"]:
        """One experiment for each variant."""
        line = self.model_dump(exclude={"variants"}) | {"tables": ["claims"]}
        return [Experiment(variant=variant, **line) for variant in self.variants]


class Experiment(Section):
    """One line of the plan: a variant with its seeds, or an ensemble, on a dataset; and the tables that show it.

    `pretrained_on`: the dataset of the training that it starts from; `pretraining` is laid over the settings of that
    training. `epochs`: another length of its logged schedule, in epochs; the changes of the schedule scale with it.
    """

    dataset: str
    variant: str | None = None
    ensemble: str | None = None
    seeds: Seeds = []
    length: Length = "here"
    pretrained_on: str | None = None
    pretraining: dict[str, Any] = {}
    epochs: int | None = Field(default=None, ge=1)
    tables: list[TableName] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_subject(self) -> "Experiment":
        if (self.variant is None) == (self.ensemble is None):
            raise ValueError("an experiment names either a variant or an ensemble")
        if self.variant is not None and not self.seeds:
            raise ValueError(f"variant {self.variant} needs seeds, e.g. seeds: [0]")
        if self.pretraining and self.pretrained_on is None:
            raise ValueError("pretraining changes the training that pretrained_on names; write that or remove it")
        for name in ("seeds", "length", "pretrained_on", "pretraining", "epochs") if self.ensemble is not None else ():
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"ensemble {self.ensemble} takes its members as they are; remove {name}")
        return self

    @property
    def subject(self) -> str:
        """The name of its variant, or of its ensemble."""
        return self.variant or self.ensemble or ""


class CalibrationConfig(Section):
    """A check of the evaluation: a net of known accuracy is evaluated on `dataset`.

    `weights`: the file of torchvision's AlexNet, or None for torch hub's cache.
    """

    dataset: str
    weights: str | None = None


class DatasetBase(Section):
    """What of the base is otherwise on one dataset; laid over the configuration's `net` and `training`."""

    net: dict[str, Any] = {}
    training: dict[str, Any] = {}


class Config(Section):
    """A whole configuration file. `claims` and `full` are run by the targets of that name, besides `experiments`.

    `net` and `training` are the base that the deltas of variants are laid over, `per_dataset` changes it for the runs
    on a dataset; `baselines` are laid over the variants of that name. `variants` and `ensembles` are added to those of
    config/variants.yaml. `exploratory`: a sentence that says why its ledger is exploratory; empty for a confirmatory
    one, whose rules were made before its data.
    """

    name: Name
    exploratory: str = ""
    datasets: dict[Name, DatasetConfig] = Field(min_length=1)
    experiments: list[Experiment] = Field(min_length=1)
    claims: list[ClaimExperiment] = []
    full: list[Experiment] = []
    variants: dict[Name, Variant] = {}
    ensembles: dict[Name, Ensemble] = {}
    net: dict[str, Any] = {}
    training: dict[str, Any] = {}
    per_dataset: dict[str, DatasetBase] = {}
    baselines: dict[str, dict[str, Any]] = {}
    runtime: RuntimeConfig = RuntimeConfig()
    calibration: CalibrationConfig | None = None

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, name: str) -> str:
        if name in RESERVED_NAMES:
            raise ValueError(f"results/{name} is not a configuration's folder; choose another name")
        return name

    @field_validator("datasets")
    @classmethod
    def _without_classes_of_others(cls, datasets: dict[str, DatasetConfig]) -> dict[str, DatasetConfig]:
        return {name: fill_in_left_out(name, datasets) for name in datasets}

    @field_validator("datasets")
    @classmethod
    def _rotated(cls, datasets: dict[str, DatasetConfig]) -> dict[str, DatasetConfig]:
        """Give rotations the section of the dataset that they rotate."""
        originals = {name: dataset for name, dataset in datasets.items() if dataset.of is None}
        found = dict(datasets)
        for name, dataset in datasets.items():
            if dataset.of is not None:
                if dataset.of not in originals:
                    raise ValueError(
                        f"{name}: of is {dataset.of}, which has no images; {suggest(dataset.of, originals)}"
                    )
                source = originals[dataset.of]
                found[name] = dataset.model_copy(update={"source": source, "size_px": source.size_px})
        return found

    @model_validator(mode="after")
    def _known(self) -> "Config":
        for net in (self.net, *(each.net for each in self.per_dataset.values())):
            if kind_of_net(net) != "alexnet":
                raise ValueError("net.kind: the base net is the paper's; nets of layers are variants")
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


def fill_in_left_out(name: str, datasets: dict[str, DatasetConfig], asked_by: tuple[str, ...] = ()) -> DatasetConfig:
    """The section `name`; a `subset.classes_not_in` in it is given the other dataset's draw as `subset.left_out`.

    Raises ValueError where that is no other dataset of the same images with a subset of classes.
    """
    dataset = datasets[name]
    subset = dataset.subset
    if subset is None or subset.classes_not_in is None:
        return dataset
    other = subset.classes_not_in
    where = f"{name}: subset.classes_not_in is {other}"
    if other == name or other in asked_by:
        raise ValueError(f"{where}, whose classes depend on those of {name} itself; name another dataset")
    if other not in datasets:
        raise ValueError(
            f"{where}, which is no dataset of this configuration; {suggest(other, set(datasets) - {name})}"
        )
    for key in SAME_IMAGES:
        own, its = getattr(dataset, key), getattr(datasets[other], key)
        if own != its:
            raise ValueError(f"{where}, whose {key} is {its}, not {own}; its classes are drawn from other images")
    drawn = fill_in_left_out(other, datasets, (*asked_by, name)).subset
    if drawn is None or not drawn.takes_some_classes:
        raise ValueError(f"{where}, which has all classes; give it a subset of classes, e.g. subset: {{classes: 40}}")
    left_out = SubsetConfig(classes=drawn.classes, seed=drawn.seed, left_out=drawn.left_out)
    return dataset.model_copy(update={"subset": subset.model_copy(update={"left_out": left_out})})
