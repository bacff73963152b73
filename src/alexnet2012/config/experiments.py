"""The schema of a configuration file: its datasets, experiments and claims, and what lies under every variant."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.config.schema import RuntimeConfig
from alexnet2012.config.validate import Section
from alexnet2012.config.variants import NAME_PATTERN, Ensemble, Variant

TableName = Literal["table1", "table2", "in_text", "claims"]
Length = Literal["here", "published"]  # of a training: what the configuration says, or what the author published


class ClaimExperiment(Section):
    """Variants with their seeds on a dataset, for the ledger of claims alone: `snakemake claims` runs them."""

    dataset: str
    variants: list[str] = Field(min_length=1)
    seeds: list[int] = Field(min_length=1)
    length: Length = "here"

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        return check_seeds(seeds)

    @field_validator("variants")
    @classmethod
    def _each_once(cls, variants: list[str]) -> list[str]:
        if len(set(variants)) != len(variants):
            raise ValueError(f"each variant once, found {', '.join(variants)}")
        return variants

    def list_experiments(self) -> list["Experiment"]:
        """The same, a variant on each line."""
        line = self.model_dump(exclude={"variants"}) | {"tables": ["claims"]}
        return [Experiment(variant=variant, **line) for variant in self.variants]


def check_seeds(seeds: list[int]) -> list[int]:
    if len(set(seeds)) != len(seeds) or any(seed < 0 for seed in seeds):
        raise ValueError(f"seeds must be distinct and not negative, found {seeds}")
    return seeds


class Experiment(Section):
    """One line of the plan: a variant with its seeds, or an ensemble, on a dataset; and the tables that it feeds.

    `pretrained_on`: the dataset of the training that it starts from. `epochs`: so many instead of those of its logged
    schedule, whose changes move with its length.
    """

    dataset: str
    variant: str | None = None
    ensemble: str | None = None
    seeds: list[int] = []
    length: Length = "here"
    pretrained_on: str | None = None
    epochs: int | None = Field(default=None, ge=1)
    tables: list[TableName] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_subject(self) -> "Experiment":
        if (self.variant is None) == (self.ensemble is None):
            raise ValueError("an experiment names either a variant or an ensemble")
        if self.variant is not None and not self.seeds:
            raise ValueError(f"variant {self.variant} needs seeds, e.g. seeds: [0]")
        if self.ensemble is not None:
            for name, usual in (("length", "here"), ("pretrained_on", None), ("epochs", None)):
                if getattr(self, name) != usual:
                    raise ValueError(f"ensemble {self.ensemble} takes its members as they are; remove {name}")
        if self.ensemble is not None and self.seeds:
            raise ValueError(
                f"ensemble {self.ensemble} takes its seeds from its members in variants.yaml; remove seeds"
            )
        check_seeds(self.seeds)
        return self

    @property
    def subject(self) -> str:
        """The name of its variant, or of its ensemble."""
        return self.variant or self.ensemble or ""


RESERVED_NAMES = ("reference", "benchmarks")  # folders of results/ that no configuration may write to


class CalibrationConfig(Section):
    """A net of known accuracy is evaluated on `dataset` first; `weights`: its file, or torch hub's cache if null."""

    dataset: str
    weights: str | None = None


class Config(Section):
    """A whole configuration file. `claims` and `full` are run by the targets of that name, besides `experiments`.

    `net` and `training` lie under every variant of the net; `baselines` lie over the variants of that name. `variants`
    and `ensembles` are the configuration's own, beside those of config/variants.yaml.
    """

    name: str = Field(pattern=NAME_PATTERN)
    datasets: dict[str, DatasetConfig] = Field(min_length=1)
    experiments: list[Experiment] = Field(min_length=1)
    claims: list[ClaimExperiment] = []
    full: list[Experiment] = []
    variants: dict[str, Variant] = {}
    ensembles: dict[str, Ensemble] = {}
    net: dict[str, Any] = {}
    training: dict[str, Any] = {}
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
    def _rotated(cls, datasets: dict[str, DatasetConfig]) -> dict[str, DatasetConfig]:
        """Rotations get the section of what they rotate."""
        found = dict(datasets)
        for name, dataset in datasets.items():
            if dataset.of is None:
                continue
            source = datasets.get(dataset.of)
            if source is None or source.of is not None:
                others = ", ".join(each for each, section in datasets.items() if section.of is None)
                raise ValueError(
                    f"{name}: of is {dataset.of}; name a dataset that has images itself: {others or 'none'}"
                )
            found[name] = dataset.model_copy(update={"source": source, "size_px": source.size_px})
        return found
