"""Runs: a configuration's base, a recipe and a variant's delta, merged and checked as a whole."""

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.config.experiments import Config, Experiment
from alexnet2012.config.nets import (
    BASELINES,
    REST,
    AnyNetConfig,
    BaselineConfig,
    FisherConfig,
    LayeredNetConfig,
    NetConfig,
    SparseConfig,
)
from alexnet2012.config.schema import RunConfig, RuntimeConfig, Start, TrainingConfig
from alexnet2012.config.validate import Section, check_known, located, validate
from alexnet2012.config.variants import PAPER, StartsFrom, Variant, VariantsFile
from alexnet2012.errors import ConfigError
from alexnet2012.model.geometry import list_layers

MULTIPLE = re.compile(r"x(\d+(?:\.\d+)?)")  # of the base's number: x1.5
SECTIONS = {"net", "training", "runtime"}


class Sections(Section):
    """The sections of a run that a configuration and a variant write; the defaults are the paper's."""

    net: AnyNetConfig = NetConfig()
    training: TrainingConfig = TrainingConfig()
    runtime: RuntimeConfig = RuntimeConfig()


@dataclass(frozen=True)
class Resolver:
    """A configuration from the file `source`, and the variants `known` to it: its own and those of the file `path`."""

    config: Config
    source: str
    known: VariantsFile
    path: Path

    def where(self, name: str) -> str:
        """Where a variant or an ensemble is written, for messages."""
        section = "variants" if name in self.known.variants else "ensembles"
        own = name in self.config.variants or name in self.config.ensembles
        return f"{self.source if own else self.path}: {section}.{name}"

    def resolve_line(self, line: str, experiment: Experiment) -> list[RunConfig]:
        """The runs of an experiment, one per seed; none of an ensemble.

        `line` is where the experiment is written. Raises ConfigError for unknown names and for settings that do not go
        together, with the file, the variant and the key.
        """
        for key, what, known in (
            ("dataset", "dataset", self.config.datasets),
            ("variant", "variant", self.known.variants),
            ("ensemble", "ensemble", self.known.ensembles),
            ("pretrained_on", "dataset", self.config.datasets),
        ):
            if (name := getattr(experiment, key)) is not None:
                check_known(f"{line}.{key}", what, name, known)
        return [self.resolve(line, experiment, seed) for seed in experiment.seeds]

    def resolve(
        self, line: str, experiment: Experiment, seed: int, training_delta: dict[str, Any] | None = None
    ) -> RunConfig:
        """One run of an experiment; `training_delta` is laid over the variant's own."""
        name, dataset_name = experiment.subject, experiment.dataset
        variant, where = lay_over_recipe(self.known, name), self.where(name)
        training = merge(variant.training, training_delta or {})
        if experiment.length == "published":
            if not variant.published:
                raise ConfigError(f"{line}: {name} has no training of a published length; remove `length: published`")
            training = merge(training, variant.published)
        variant = variant.model_copy(update={"training": training})
        if variant.is_baseline:
            sections = self.resolve_baseline(name, variant, where)
        else:
            base = base_on(self.config, dataset_name, self.source)
            sections = resolve_sections(base, self.source, variant, where)
        run = RunConfig(
            name=self.config.name,
            variant=name,
            seed=seed,
            dataset_name=dataset_name,
            dataset=self.config.datasets[dataset_name],
            net=sections.net,
            training=stretch(sections.training, experiment, line),
            runtime=sections.runtime,
        )
        with located(f"{self.source}: variant {name} on {dataset_name}"):
            check_run(run)
        if variant.starts_from is not None:
            start = self.resolve_start(line, experiment, seed, variant.starts_from)
            with located(f"{where}.starts_from"):
                check_start(run, start)
            return run.model_copy(update={"starts_from": start})
        if experiment.pretrained_on is not None:
            raise ConfigError(f"{line}: {name} starts from no other training; remove pretrained_on")
        return run

    def resolve_baseline(self, name: str, variant: Variant, where: str) -> Sections:
        """The variant's settings, overlaid by the configuration's own under `baselines`."""
        kind, own, place = variant.net["kind"], self.config.baselines.get(name, {}), f"{self.source}: baselines.{name}"
        if own.get("kind", kind) != kind:
            raise ConfigError(f"{place}.kind: expected {kind}; remove the line")
        with located(place):
            merged = merge(variant.net, own)
        net = validate(BASELINES[kind], merged, where, own, place)
        assert isinstance(net, FisherConfig | SparseConfig)
        return Sections(net=net, training=TrainingConfig(recipe="baseline"), runtime=self.config.runtime)

    def resolve_start(self, line: str, experiment: Experiment, seed: int, start: StartsFrom) -> Start:
        """The training that an experiment starts from."""
        if experiment.pretrained_on is None:
            raise ConfigError(
                f"{line}: {experiment.subject} starts from a training of {start.variant}; write pretrained_on: NAME of "
                "the dataset of that training"
            )
        earlier = Experiment(dataset=experiment.pretrained_on, variant=start.variant, seeds=[seed], tables=["claims"])
        training = merge(start.training, experiment.pretraining)
        return Start(run=self.resolve(line, earlier, seed, training), layers=start.layers)


def base_on(config: Config, dataset_name: str | None, source: str) -> dict[str, Any]:
    """What a configuration writes of the base of the runs on a dataset; without one, of all runs.

    Raises ConfigError if a multiple of a whole number is not whole.
    """
    base = config.model_dump(include=SECTIONS)
    if dataset_name not in config.per_dataset:
        return base
    with located(f"{source}: per_dataset.{dataset_name}"):
        merged: dict[str, Any] = merge(base, config.per_dataset[dataset_name].model_dump(exclude_defaults=True))
    return merged


def lay_over_recipe(known: VariantsFile, name: str) -> Variant:
    """The variant with its deltas laid over those of its recipe."""
    variant = known.variants[name]
    if variant.recipe in (None, PAPER):
        return variant
    recipe = known.recipes[variant.recipe]
    training = merge({**recipe.training, "recipe": variant.recipe}, variant.training)
    return variant.model_copy(update={"net": merge(recipe.net, variant.net), "training": training})


def resolve_sections(base: dict[str, Any], source: str, variant: Variant, where: str) -> Sections:
    """The paper's settings, overlaid by a configuration's `base` from `source`, overlaid by the deltas of a variant
    written at `where`; raises ConfigError for every mistake, each with the file that wrote it.

    A net of another kind than the base's replaces it.
    """
    delta = variant.model_dump(include=SECTIONS)
    with located(source):
        merged = merge(Sections().model_dump(), base)
    with located(where):
        merged = merge(merged, delta)
    return validate(Sections, merged, source, delta, where)


def stretch(training: TrainingConfig, experiment: Experiment, line: str) -> TrainingConfig:
    """The training with the experiment's number of epochs, if it gives one."""
    if experiment.epochs is None:
        return training
    if training.schedule.kind != "logged":
        raise ConfigError(
            f"{line}: epochs is the length of a logged schedule, and that of {experiment.subject} is "
            f"{training.schedule.kind}; remove epochs"
        )
    try:
        schedule = training.schedule.stretch(experiment.epochs)
    except ValueError as error:
        raise ConfigError(f"{line}: {experiment.subject}: {error}") from None
    return training.model_copy(update={"schedule": schedule})


def check_run(run: RunConfig) -> None:
    """Raises ConfigError if the net cannot be built, or does not fit the dataset, the training or the placement."""
    if isinstance(run.net, BaselineConfig):
        check_patches(run.net, run.dataset)
        return
    if run.net.crop_px > run.dataset.size_px:
        raise ConfigError(
            f"net.crop_px is {run.net.crop_px}, larger than the dataset's size_px of {run.dataset.size_px}; make it at "
            f"most {run.dataset.size_px}"
        )
    layers = [REST, *(layer.name for layer in list_layers(run.net, classes=2) if layer.fan_in)]
    named = {"training.layer_rates": list(run.training.layer_rates)}
    if run.training.schedule.kind == "logged":
        for each in run.training.schedule.changes:
            named[f"training.schedule, after epoch {each.after}"] = [*each.weights, *each.biases]
    for place, names in named.items():
        for name in names:
            check_known(place, "layer", name, layers)
    if run.runtime.placement == "two-devices":
        check_two_devices(run.net, run.training)


def check_patches(baseline: BaselineConfig, dataset: DatasetConfig) -> None:
    """Raises ConfigError for patches larger than the image."""
    for index, model in enumerate(baseline.models):
        size_px = dataset.size_px * model.enlarged
        for grid in model.grids:
            if grid.side_px > size_px:
                raise ConfigError(
                    f"models[{index}]: patches of {grid.side_px} pixels do not fit images of {size_px}; give smaller "
                    "ones in the configuration's section baselines"
                )


def check_two_devices(net: NetConfig | LayeredNetConfig, training: TrainingConfig) -> None:
    """Raises ConfigError for a net that cannot be trained as one tower on each of two devices."""
    remedy = "or use runtime.placement: one-device"
    if isinstance(net, LayeredNetConfig) or net.towers != 2:
        raise ConfigError(f"placement two-devices needs a net of two towers; give it net.towers: 2, {remedy}")
    if net.fc_neurons % 2:
        raise ConfigError(f"placement two-devices halves net.fc_neurons, {net.fc_neurons}; make it even, {remedy}")
    if training.compile:
        raise ConfigError(f"placement two-devices cannot be compiled; remove training.compile, {remedy}")


def check_start(run: RunConfig, start: Start) -> None:
    """Raises ConfigError unless both nets have the layers that are taken over, of the same shape."""
    tables = [list_layers(each.architecture, classes=2) for each in (start.run, run)]
    nets = [{layer.name: layer for layer in table if layer.fan_in} for table in tables]
    for name in start.layers:
        for each in nets:
            check_known("layers", "layer", name, each)
        shapes = [(each[name].kernel, each[name].fan_in, each[name].output[0]) for each in nets]
        if shapes[0] != shapes[1]:
            raise ConfigError(
                f"layers: {name} has another shape in {start.run.variant} than in {run.variant}; leave it out"
            )


def merge(base: Any, delta: Any, key: str = "") -> Any:
    """`base` with `delta` laid over it, mapping by mapping; anything but a mapping replaces what was there.

    A mapping with another `kind` (a schedule) replaces the whole, since its keys are other keys. A string such as x1.5
    over a number is that multiple of it, so that a variant means the same at every scale. Raises ConfigError that
    begins with the dotted `key` if a multiple of a whole number is not whole.
    """
    if isinstance(base, dict) and isinstance(delta, dict) and base.get("kind") == delta.get("kind", base.get("kind")):
        start = f"{key}." if key else ""
        return {**base, **{name: merge(base.get(name), value, f"{start}{name}") for name, value in delta.items()}}
    if isinstance(delta, str) and isinstance(base, int | float) and (factor := MULTIPLE.fullmatch(delta)):
        if isinstance(base, float):
            return base * float(factor[1])
        product = base * Fraction(factor[1])  # as written: in floats 100 * 1.1 is not 110
        if product != round(product):
            raise ConfigError(
                f"{key}: {delta} of {base} is {float(product):g}, where a whole number is needed; change it"
            )
        return round(product)
    return delta
