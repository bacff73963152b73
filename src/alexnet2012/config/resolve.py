"""Resolving experiments into runs: base, recipe and variant are merged, and the result is checked as a whole."""

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from alexnet2012.config.experiments import (
    PAPER,
    Config,
    Experiment,
    StartsFrom,
    Variant,
    VariantsFile,
    check_references,
    load_variants,
)
from alexnet2012.config.nets import BASELINES, REST, AnyNetConfig, BaselineConfig, LayeredNetConfig, NetConfig
from alexnet2012.config.schema import RunConfig, RuntimeConfig, Start, TrainingConfig
from alexnet2012.config.validate import Model, Section, check_known, located, validate
from alexnet2012.errors import ConfigError
from alexnet2012.model.geometry import list_layers

MULTIPLE = re.compile(r"x(\d+(?:\.\d+)?)")  # a multiple of the base's number: x1.5
SECTIONS = {"net", "training", "runtime"}


class Sections(Section):
    """The sections of a run that configurations and variants set; the defaults are the paper's."""

    net: AnyNetConfig = NetConfig()
    training: TrainingConfig = TrainingConfig()
    runtime: RuntimeConfig = RuntimeConfig()


@dataclass(frozen=True)
class Resolver:
    """A configuration from the file `source`, with all `known` variants: its own, and those of the variants file
    `path`."""

    config: Config
    source: str
    known: VariantsFile
    path: Path

    def where(self, name: str) -> str:
        """The file and key that define a variant or an ensemble, for messages."""
        section = "variants" if name in self.known.variants else "ensembles"
        own = name in self.config.variants or name in self.config.ensembles
        return f"{self.source if own else self.path}: {section}.{name}"

    def resolve_line(self, place: str, experiment: Experiment) -> list[RunConfig]:
        """The runs of an experiment, one per seed; empty for an ensemble.

        `place`: the file and key of the experiment, for messages. Raises ConfigError for unknown names and for settings
        that contradict each other, with the file, the variant and the key.
        """
        for key, what, known in (
            ("dataset", "dataset", self.config.datasets),
            ("variant", "variant", self.known.variants),
            ("ensemble", "ensemble", self.known.ensembles),
            ("pretrained_on", "dataset", self.config.datasets),
        ):
            if (name := getattr(experiment, key)) is not None:
                check_known(f"{place}.{key}", what, name, known)
        return [self.resolve(place, experiment, seed) for seed in experiment.seeds]

    def resolve(
        self, place: str, experiment: Experiment, seed: int, training_delta: dict[str, Any] | None = None
    ) -> RunConfig:
        """One run of an experiment; `training_delta` overrides settings of the variant's training."""
        name, dataset_name = experiment.subject, experiment.dataset
        variant = lay_over_recipe(self.known, name)
        training = merge(variant.training, training_delta or {})
        if experiment.length == "published":
            if not variant.published:
                raise ConfigError(f"{place}: {name} has no training of a published length; remove `length: published`")
            training = merge(training, variant.published)
        variant = variant.model_copy(update={"training": training})
        if variant.is_baseline:
            sections = self.resolve_baseline(name, variant)
        else:
            base = base_on(self.config, dataset_name, self.source)
            sections = lay_over(base, variant.model_dump(include=SECTIONS), self.where(name))
        run = RunConfig(
            name=self.config.name,
            variant=name,
            seed=seed,
            dataset_name=dataset_name,
            dataset=self.config.datasets[dataset_name],
            net=sections.net,
            training=stretch(sections.training, experiment, place),
            runtime=sections.runtime,
        )
        with located(f"{self.source}: variant {name} on {dataset_name}"):
            check_run(run)
        if variant.starts_from is not None:
            return self.start_from(variant.starts_from, run, place, experiment)
        if experiment.pretrained_on is not None:
            raise ConfigError(f"{place}: {name} has no starts_from, so it is not pre-trained; remove pretrained_on")
        return run

    def resolve_baseline(self, name: str, variant: Variant) -> Sections:
        """A baseline's settings, overridden by the configuration's section `baselines`."""
        kind, own, place = variant.net["kind"], self.config.baselines.get(name, {}), f"{self.source}: baselines.{name}"
        if own.get("kind", kind) != kind:
            raise ConfigError(f"{place}.kind: expected {kind}; remove the line")
        net = lay_over(validate(BASELINES[kind], variant.net, self.where(name)), own, place)
        return Sections(net=net, training=TrainingConfig(recipe="baseline"), runtime=self.config.runtime)

    def start_from(self, start: StartsFrom, run: RunConfig, place: str, experiment: Experiment) -> RunConfig:
        """`run` with `starts_from` set to the run that pre-trains it."""
        if experiment.pretrained_on is None:
            raise ConfigError(
                f"{place}: {run.variant} starts from a trained {start.variant}; write pretrained_on: NAME of the "
                "dataset to train that on"
            )
        earlier = Experiment(
            dataset=experiment.pretrained_on, variant=start.variant, seeds=[run.seed], tables=["claims"]
        )
        first = self.resolve(place, earlier, run.seed, merge(start.training, experiment.pretraining))
        with located(f"{self.where(run.variant)}.starts_from"):
            check_start(run, first, start.layers)
        return run.model_copy(update={"starts_from": Start(run=first, layers=start.layers)})


def make_resolver(values: Any, source: str, variants_path: Path) -> Resolver:
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


def base_on(config: Config, dataset_name: str | None, source: str) -> Sections:
    """The base settings of a configuration, with the changes of `per_dataset` for `dataset_name` if that is given."""
    base = lay_over(Sections(), config.model_dump(include=SECTIONS), source)
    if dataset_name not in config.per_dataset:
        return base
    return lay_over(base, config.per_dataset[dataset_name].model_dump(), f"{source}: per_dataset.{dataset_name}")


def lay_over(base: Model, delta: dict[str, Any], where: str) -> Model:
    """`base` with the settings of `delta` replaced. Raises ConfigError, beginning with `where`, for every mistake in
    `delta`."""
    with located(where):
        merged = merge(base.model_dump(), delta)
    return validate(type(base), merged, where)


def lay_over_recipe(known: VariantsFile, name: str) -> Variant:
    """The variant `name`, its changes merged into those of its recipe."""
    variant = known.variants[name]
    if variant.recipe in (None, PAPER):
        return variant
    recipe = known.recipes[variant.recipe]
    training = merge({**recipe.training, "recipe": variant.recipe}, variant.training)
    return variant.model_copy(update={"net": merge(recipe.net, variant.net), "training": training})


def stretch(training: TrainingConfig, experiment: Experiment, place: str) -> TrainingConfig:
    """The training, its logged schedule rescaled to the experiment's `epochs` if that is given."""
    if experiment.epochs is None:
        return training
    if training.schedule.kind != "logged":
        raise ConfigError(
            f"{place}: epochs rescales a logged schedule, but the schedule of {experiment.subject} is "
            f"{training.schedule.kind}; remove epochs"
        )
    try:
        schedule = training.schedule.stretch(experiment.epochs)
    except ValueError as error:
        raise ConfigError(f"{place}: {experiment.subject}: {error}") from None
    return training.model_copy(update={"schedule": schedule})


def check_run(run: RunConfig) -> None:
    """Raise ConfigError if the net cannot be built, or does not fit the dataset, the training or the placement."""
    net, size_px = run.net, run.dataset.size_px
    if isinstance(net, BaselineConfig):
        check_patches(net, size_px)
        return
    if net.crop_px > size_px:
        raise ConfigError(
            f"net.crop_px is {net.crop_px}, larger than the dataset's size_px of {size_px}; make it at most {size_px}"
        )
    layers = [REST, *(layer.name for layer in list_layers(net, classes=2) if layer.fan_in)]
    named = {"training.layer_rates": list(run.training.layer_rates)}
    if run.training.schedule.kind == "logged":
        for each in run.training.schedule.changes:
            named[f"training.schedule, after epoch {each.after}"] = [*each.weights, *each.biases]
    for place, names in named.items():
        for name in names:
            check_known(place, "layer", name, layers)
    if run.runtime.placement == "two-devices":
        check_two_devices(net, run.training)


def check_patches(baseline: BaselineConfig, size_px: int) -> None:
    """Raise ConfigError for patches larger than the image of `size_px`."""
    for index, model in enumerate(baseline.models):
        enlarged_px = size_px * model.enlarged
        side_px = max(grid.side_px for grid in model.grids)
        if side_px > enlarged_px:
            raise ConfigError(
                f"models[{index}]: patches of {side_px} pixels do not fit images of {enlarged_px}; give smaller ones "
                "in the configuration's section baselines"
            )


def check_two_devices(net: NetConfig | LayeredNetConfig, training: TrainingConfig) -> None:
    """Raise ConfigError for a net that cannot be trained with one tower on each of two devices."""
    remedy = "or use runtime.placement: one-device"
    if isinstance(net, LayeredNetConfig) or net.towers != 2:
        raise ConfigError(f"placement two-devices needs a net of two towers; give it net.towers: 2, {remedy}")
    if net.fc_neurons % 2:
        raise ConfigError(f"placement two-devices halves net.fc_neurons, {net.fc_neurons}; make it even, {remedy}")
    if training.compile:
        raise ConfigError(f"training.compile does not work with placement two-devices; remove it, {remedy}")


def check_start(run: RunConfig, first: RunConfig, names: list[str]) -> None:
    """Raise ConfigError unless both nets have the layers `names`, with equal shapes."""
    tables = [list_layers(each.architecture, classes=2) for each in (first, run)]
    nets = [{layer.name: layer for layer in table if layer.fan_in} for table in tables]
    for name in names:
        for each in nets:
            check_known("layers", "layer", name, each)
        shapes = [(each[name].kernel, each[name].fan_in, each[name].output[0]) for each in nets]
        if shapes[0] != shapes[1]:
            raise ConfigError(
                f"layers: {name} has another shape in {first.variant} than in {run.variant}; leave it out"
            )


def merge(base: Any, delta: Any, key: str = "") -> Any:
    """`delta` merged into `base`: mappings recursively; any other value replaces the base's.

    A mapping with another `kind` (a schedule) replaces the base's mapping, whose keys differ. A string such as x1.5
    multiplies the base's number, so that a variant means the same at every scale. Raises ConfigError, beginning with
    the dotted `key`, if a multiple of a whole number is not whole.
    """
    if isinstance(base, dict) and isinstance(delta, dict) and base.get("kind") == delta.get("kind", base.get("kind")):
        start = f"{key}." if key else ""
        return {**base, **{name: merge(base.get(name), value, f"{start}{name}") for name, value in delta.items()}}
    if isinstance(delta, str) and isinstance(base, int | float) and (factor := MULTIPLE.fullmatch(delta)):
        if isinstance(base, float):
            return base * float(factor[1])
        product = base * Fraction(factor[1])  # as written: in floats 100 * 1.1 is not 110
        if product.denominator != 1:
            raise ConfigError(
                f"{key}: {delta} of {base} is {float(product):g}, where a whole number is needed; change it"
            )
        return int(product)
    return delta
