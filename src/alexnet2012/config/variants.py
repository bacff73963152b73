"""Variants, ensembles and recipes, as config/variants.yaml and configuration files write them."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from alexnet2012.config.nets import BASELINES, kind_of_net
from alexnet2012.config.validate import Section, check_known, located, read_yaml, validate
from alexnet2012.errors import ConfigError

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]  # also a folder's
PAPER = "paper"  # the recipe of the defaults


class Recipe(Section):
    """Deltas laid over a configuration's base net and training in every variant that names the recipe."""

    net: dict[str, Any] = {}
    training: dict[str, Any] = {}


class StartsFrom(Section):
    """Trained `layers` to begin with: those of `variant` with the same seed, trained on the experiment's
    `pretrained_on`. `training` is a delta over that variant's."""

    variant: str
    layers: list[str] = Field(min_length=1)
    training: dict[str, Any] = {}


class Variant(Section):
    """One variant: its section of the paper, the claims that need it, and its deltas from the base or from its recipe.

    A number may be a multiple of the base's: `kernels: x1.5`. `published` is a further delta of the training, used by
    experiments with `length: published`.
    """

    section: str
    claims: list[str] = []
    recipe: str | None = None
    starts_from: StartsFrom | None = None
    net: dict[str, Any] = {}
    training: dict[str, Any] = {}
    published: dict[str, Any] = {}
    runtime: dict[str, Any] = {}

    @model_validator(mode="after")
    def _baseline_has_no_training(self) -> "Variant":
        for key in ("recipe", "training", "published", "runtime", "starts_from") if self.is_baseline else ():
            if getattr(self, key):
                raise ValueError(f"{key} is for nets, and this is a baseline; remove it")
        return self

    @property
    def is_baseline(self) -> bool:
        """Whether it is not a net but one of the systems that table 1 compares nets with."""
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

    recipes: dict[str, Recipe] = {}
    variants: dict[Name, Variant]
    ensembles: dict[Name, Ensemble] = {}


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
                raise ConfigError(f"{where}: {first} starts from another training itself; name one that does not")
    for name, ensemble in file.ensembles.items():
        if name in file.variants:
            raise ConfigError(f"ensembles.{name} is a variant too; rename one of them")
        for index, group in enumerate(ensemble.members):
            check_known(f"ensembles.{name}.members[{index}]", "variant", group.variant, file.variants)
