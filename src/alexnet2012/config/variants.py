"""Variants, ensembles and recipes, as config/variants.yaml and configuration files write them."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import Field

from alexnet2012.config.validate import Section, check_known, read_yaml, validate
from alexnet2012.errors import ConfigError

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
PAPER = "paper"  # the recipe of the defaults


class Recipe(Section):
    """What lies over a configuration's base net and training in every variant that names it."""

    net: dict[str, Any] = {}
    training: dict[str, Any] = {}


class StartsFrom(Section):
    """A training that begins with the `layers` of another: of `variant` with the same seed, on the dataset that the
    experiment is `pretrained_on`. `training` is a delta over that variant's."""

    variant: str
    layers: list[str] = Field(min_length=1)
    training: dict[str, Any] = {}


class Variant(Section):
    """One numbered variant: where the paper speaks of it, which claims it serves, and only its delta from `base`, or
    from its `recipe` laid over that. A number may be written as a multiple of the base's: `kernels: x1.5`.

    A delta of `runtime` changes how it is carried out.

    `published`: what its training is at the length that the author published, asked for by `length: published`.
    """

    section: str
    claims: list[str] = []
    recipe: str | None = None
    starts_from: StartsFrom | None = None
    net: dict[str, Any] = {}
    training: dict[str, Any] = {}
    published: dict[str, Any] = {}
    runtime: dict[str, Any] = {}


class Members(Section):
    variant: str
    seeds: list[int] = Field(min_length=1)


class Ensemble(Section):
    section: str
    claims: list[str] = []
    members: list[Members] = Field(min_length=1)


class VariantsFile(Section):
    recipes: dict[str, Recipe] = {}
    variants: dict[str, Variant]
    ensembles: dict[str, Ensemble] = {}


@dataclass(frozen=True)
class Variants:
    """Those of the variants file at `path` and, in `places` by where they are written, a configuration's own."""

    path: Path
    recipes: dict[str, Recipe]
    variants: dict[str, Variant]
    ensembles: dict[str, Ensemble]
    places: dict[str, str] = field(default_factory=dict)

    def where(self, name: str) -> str:
        """Where a variant or an ensemble is written, for messages."""
        return self.places.get(name, f"{self.path}: {name}")

    def extend(self, variants: dict[str, Variant], ensembles: dict[str, Ensemble], source: str) -> "Variants":
        """These and a configuration's own; raises ConfigError for a name that is taken, and as `load_variants` does."""
        places = {name: f"{source}: variants.{name}" for name in variants}
        places |= {name: f"{source}: ensembles.{name}" for name in ensembles}
        for name, where in places.items():
            if name in self.variants or name in self.ensembles:
                raise ConfigError(f"{where}: {self.path} has this name already; choose another one")
        found = replace(
            self,
            variants={**self.variants, **variants},
            ensembles={**self.ensembles, **ensembles},
            places=places,
        )
        return check_variants(found, variants, ensembles)


def load_variants(path: Path) -> Variants:
    """Variants and ensembles of a file; raises ConfigError where a name would not do as a folder's or a row's, or where
    one refers to a recipe or a variant that is not there."""
    file = validate(VariantsFile, read_yaml(path), str(path))
    found = Variants(path, file.recipes, file.variants, file.ensembles)
    return check_variants(found, file.variants, file.ensembles)


def check_variants(known: Variants, variants: dict[str, Variant], ensembles: dict[str, Ensemble]) -> Variants:
    for name, variant in variants.items():
        check_name(known.where(name), name)
        if variant.recipe is not None:
            check_known(f"{known.where(name)}.recipe", "recipe", variant.recipe, (PAPER, *known.recipes))
        check_starts_from(f"{known.where(name)}.starts_from.variant", variant.starts_from, known)
    for name, ensemble in ensembles.items():
        check_name(known.where(name), name)
        if name in known.variants:
            raise ConfigError(f"{known.where(name)} is a variant and an ensemble; give one of them another name")
        for index, group in enumerate(ensemble.members):
            check_known(f"{known.where(name)}.members[{index}]", "variant", group.variant, known.variants)
    return known


def check_name(where: str, name: str) -> None:
    """Raises ConfigError for a name that could not be a folder's."""
    if not re.fullmatch(NAME_PATTERN, name):
        raise ConfigError(
            f'{where}: "{name}" cannot name a folder of results; use letters, digits, ".", "_" and "-", and begin '
            "with a letter or a digit"
        )


def check_starts_from(where: str, start: StartsFrom | None, known: Variants) -> None:
    """Raises ConfigError where a training would start from one that is not there, or from one that starts itself."""
    if start is None:
        return
    check_known(where, "variant", start.variant, known.variants)
    if known.variants[start.variant].starts_from is not None:
        raise ConfigError(f"{where}: {start.variant} starts from another training itself; name one that does not")
