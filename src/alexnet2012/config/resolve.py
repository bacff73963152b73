"""One run from a configuration's base, a recipe and a variant's delta, checked as a whole."""

import re
from typing import Any

from pydantic import ValidationError

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.config.experiments import Config, Experiment
from alexnet2012.config.nets import (
    NETS,
    REST,
    BaselineConfig,
    FisherConfig,
    LayeredNetConfig,
    NetConfig,
    SparseConfig,
    kind_of_net,
)
from alexnet2012.config.schema import RunConfig, RuntimeConfig, Start, TrainingConfig
from alexnet2012.config.validate import Model, Section, check_known, describe_item, walk, wrote
from alexnet2012.config.variants import PAPER, Variant, Variants
from alexnet2012.errors import ConfigError
from alexnet2012.model.geometry import list_layers

MULTIPLE = re.compile(r"x(\d+(?:\.\d+)?)")  # of what the base has: x1.5


def resolve_run(
    config: Config,
    source: str,
    variants: Variants,
    line: str,
    experiment: Experiment,
    seed: int,
    training_delta: dict[str, Any] | None = None,
) -> RunConfig:
    """Base, recipe and the variant's delta, checked as a whole: shapes, crop against image, names of layers.

    `line` is where the experiment is written; `training_delta` lies over the variant's own.
    """
    dataset_name, variant_name = experiment.dataset, experiment.subject
    variant, dataset = lay_over_recipe(variants, variant_name), config.datasets[dataset_name]
    variant = variant.model_copy(update={"training": merge(variant.training, training_delta or {})})
    if experiment.length == "published":
        if not variant.published:
            raise ConfigError(
                f"{source}: {variant_name} has no training of a published length; remove `length: published`"
            )
        variant = variant.model_copy(update={"training": merge(variant.training, variant.published)})
    variant_source, where = variants.where(variant_name), f"{source}: variant {variant_name} on {dataset_name}"
    common: dict[str, Any] = {"name": config.name, "variant": variant_name, "seed": seed}
    common |= {"dataset_name": dataset_name, "dataset": dataset}
    if is_baseline(variant):
        check_is_no_training(variant, variant_source, experiment, line)
        baseline = resolve_baseline(config, source, variant, variant_name, variant_source)
        check_patches(baseline, dataset, where)
        training = TrainingConfig(recipe="baseline")
        return RunConfig(**common, net=baseline, training=training, runtime=config.runtime)
    net, training = resolve_sections(config, variant, source, variant_source)
    training = stretch(training, experiment, line)
    if net.crop_px > dataset.size_px:
        raise ConfigError(
            f"{where}: net.crop_px is {net.crop_px}, larger than the dataset's size_px of {dataset.size_px}; "
            f"make it at most {dataset.size_px}"
        )
    check_net(net, where)
    check_layers(net, training, where)
    runtime = resolve_runtime(config.runtime, variant, variant_source)
    if runtime.placement == "two-devices" and (reason := why_not_two(net, training)):
        raise ConfigError(f"{where}: {reason}, or use runtime.placement: one-device")
    run = RunConfig(**common, net=net, training=training, runtime=runtime)
    if variant.starts_from is None:
        if experiment.pretrained_on is not None:
            raise ConfigError(f"{line}: {variant_name} starts from no other training; remove pretrained_on")
        return run
    if experiment.pretrained_on is None:
        raise ConfigError(
            f"{line}: {variant_name} starts from a training of {variant.starts_from.variant}; name the dataset of that "
            "training as pretrained_on"
        )
    earlier = Experiment(
        dataset=experiment.pretrained_on, variant=variant.starts_from.variant, seeds=[seed], tables=["claims"]
    )
    delta = variant.starts_from.training
    first = resolve_run(config, source, variants, line, earlier, seed, delta)
    start = Start(run=first, layers=variant.starts_from.layers)
    check_start(run, start, f"{variant_source}.starts_from")
    return run.model_copy(update={"starts_from": start})


def lay_over_recipe(variants: Variants, name: str) -> Variant:
    """The variant with its recipe's deltas below its own."""
    variant = variants.variants[name]
    if variant.recipe in (None, PAPER):
        return variant
    recipe = variants.recipes[variant.recipe]
    training = merge({**recipe.training, "recipe": variant.recipe}, variant.training)
    return variant.model_copy(update={"net": merge(recipe.net, variant.net), "training": training})


def stretch(training: TrainingConfig, experiment: Experiment, line: str) -> TrainingConfig:
    """With the experiment's own number of epochs, where it gives one."""
    if experiment.epochs is None:
        return training
    if training.schedule.kind != "logged":
        raise ConfigError(
            f"{line}: epochs is the length of a logged schedule, and that of {experiment.variant} is "
            f"{training.schedule.kind}; remove epochs"
        )
    try:
        schedule = training.schedule.stretch(experiment.epochs)
    except ValueError as error:
        raise ConfigError(f"{line}: {experiment.variant}: {error}") from None
    return training.model_copy(update={"schedule": schedule})


def check_layers(net: NetConfig | LayeredNetConfig, training: TrainingConfig, where: str) -> None:
    """Raises ConfigError for a rate of a layer that the net does not have."""
    known = [REST, *(layer.name for layer in list_layers(net, classes=2) if layer.fan_in)]
    named = {"training.layer_rates": list(training.layer_rates)}
    if training.schedule.kind == "logged":
        for each in training.schedule.changes:
            named[f"training.schedule, after epoch {each.after}"] = [*each.weights, *each.biases]
    for place, names in named.items():
        for name in names:
            check_known(f"{where}: {place}", "layer", name, known)


def check_start(run: RunConfig, start: Start, where: str) -> None:
    """Raises ConfigError unless both nets have the layers that are taken over, of the same shape."""
    tables = [list_layers(each.architecture, classes=2) for each in (start.run, run)]
    nets = [{layer.name: layer for layer in table if layer.fan_in} for table in tables]
    for name in start.layers:
        for each in nets:
            check_known(f"{where}.layers", "layer", name, each)
        shapes = [(each[name].kernel, each[name].fan_in, each[name].output[0]) for each in nets]
        if shapes[0] != shapes[1]:
            raise ConfigError(
                f"{where}.layers: {name} has another shape in {start.run.variant} than in {run.variant}; leave it out"
            )


def is_baseline(variant: Variant) -> bool:
    """Whether it is no net, but one of the systems that table 1 compares the net with."""
    return issubclass(NETS.get(str(kind_of_net(variant.net)), NetConfig), BaselineConfig)


def resolve_baseline(
    config: Config, source: str, variant: Variant, variant_name: str, variant_source: str
) -> FisherConfig | SparseConfig:
    """The variant's settings, overlaid by the configuration's own of that name."""
    own = config.baselines.get(variant_name, {})
    merged, kind = merge(variant.net, own), str(kind_of_net(variant.net))
    if own.get("kind", kind) != kind:
        raise ConfigError(f"{source}: baselines.{variant_name}.kind: it is of kind {kind}; remove the line")
    found = check_merged(NETS[kind], merged, "", variant_source, own, f"{source}: baselines.{variant_name}")
    assert isinstance(found, FisherConfig | SparseConfig), "see is_baseline"
    return found


def check_is_no_training(variant: Variant, variant_source: str, experiment: Experiment, line: str) -> None:
    """Raises ConfigError for settings that only a net's training has."""
    for section in ("recipe", "training", "published", "runtime", "starts_from"):
        if getattr(variant, section):
            raise ConfigError(f"{variant_source}: {section} is for nets, and this is a baseline; all it has is in net")
    for key in ("epochs", "pretrained_on"):
        if getattr(experiment, key) is not None:
            raise ConfigError(f"{line}: {experiment.variant} is a baseline and no net; remove {key}")


def check_patches(baseline: BaselineConfig, dataset: DatasetConfig, where: str) -> None:
    """Raises ConfigError for patches that are larger than the image."""
    for index, model in enumerate(baseline.models):
        size_px = dataset.size_px * model.enlarged
        if too_large := [grid.side_px for grid in model.grids if grid.side_px > size_px]:
            raise ConfigError(
                f"{where}: models[{index}]: patches of {too_large[0]} pixels do not fit images of {size_px}; give "
                f"smaller ones in the configuration's section baselines"
            )


def resolve_runtime(base: RuntimeConfig, variant: Variant, where: str) -> RuntimeConfig:
    try:
        return RuntimeConfig.model_validate(base.model_dump() | variant.runtime)
    except ValidationError as error:
        messages = [f"{where}: {describe_item(RuntimeConfig, item, 'runtime')}" for item in error.errors()]
        raise ConfigError("\n".join(messages)) from None


def why_not_two(net: NetConfig | LayeredNetConfig, training: TrainingConfig) -> str:
    """Why this net cannot be trained as a tower on each of two devices; empty where it can."""
    if isinstance(net, LayeredNetConfig) or net.towers != 2:
        return "placement two-devices splits a net of two towers, and this net has none; give it net.towers: 2"
    if net.fc_neurons % 2:
        return f"placement two-devices halves fc6 and fc7, and net.fc_neurons is {net.fc_neurons}; make it even"
    if training.compile:
        return "placement two-devices exchanges features between layers, which cannot be compiled; remove compile"
    return ""


def resolve_sections(
    config: Config, variant: Variant, source: str, variant_source: str
) -> tuple[NetConfig | LayeredNetConfig, TrainingConfig]:
    """Both sections; raises ConfigError with the mistakes of both."""
    mistakes = []
    try:
        net = resolve_net(config.net, variant, source, variant_source)
    except ConfigError as error:
        mistakes.append(str(error))
    try:
        merged = overlay(TrainingConfig(), "training", config.training, variant.training, source, variant_source)
        training = check_merged(TrainingConfig, merged, "training", source, variant.training, variant_source)
    except ConfigError as error:
        mistakes.append(str(error))
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return net, training


def resolve_net(
    base: dict[str, Any], variant: Variant, source: str, variant_source: str
) -> NetConfig | LayeredNetConfig:
    """The paper's net, overlaid by the configuration's base, overlaid by the variant's delta.

    A net of another kind than the base's stands alone.
    """
    merged = overlay(NetConfig(), "net", base, variant.net, source, variant_source)
    kind = str(kind_of_net(merged))
    check_known(f"{variant_source}: net.kind", "kind of net", kind, NETS)
    net = check_merged(NETS[kind], merged, "net", source, variant.net, variant_source)
    assert isinstance(net, NetConfig | LayeredNetConfig), "baselines are resolved by resolve_baseline"
    return net


def overlay(
    defaults: Section, section: str, base: dict[str, Any], delta: dict[str, Any], source: str, delta_source: str
) -> dict[str, Any]:
    """The defaults, overlaid by a configuration's base, overlaid by a variant's delta; plain data, not yet checked."""
    merged: dict[str, Any] = merge(defaults.model_dump(), base, f"{source}: {section}")
    found: dict[str, Any] = merge(merged, delta, f"{delta_source}: {section}")
    return found


def check_merged(
    model: type[Model],
    merged: dict[str, Any],
    section: str,
    base_source: str,
    delta: dict[str, Any],
    delta_source: str,
) -> Model:
    """`merged` as `model`; raises ConfigError that names the source of each mistake."""
    try:
        return model.model_validate(merged)
    except ValidationError as error:
        messages = []
        for item in error.errors():
            *_, place = walk(model, item["loc"])
            source = delta_source if wrote(delta, place) else base_source
            messages.append(f"{source}: {describe_item(model, item, section)}")
        raise ConfigError("\n".join(messages)) from None


def check_net(net: NetConfig | LayeredNetConfig, where: str) -> None:
    try:
        list_layers(net, classes=2)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def merge(base: Any, delta: Any, where: str = "") -> Any:
    """`base` with `delta` laid over it, mapping by mapping; anything but a mapping replaces what was there.

    A mapping with another `kind` (a schedule) replaces the whole, since its keys are other keys. A text such as x1.5
    over a number is that multiple of it, so that a variant means the same at every scale. Raises ConfigError that
    begins with `where` for a multiple of a whole number that is none.
    """
    if isinstance(base, dict) and isinstance(delta, dict) and base.get("kind") == delta.get("kind", base.get("kind")):
        return {**base, **{key: merge(base.get(key), value, f"{where}.{key}") for key, value in delta.items()}}
    if isinstance(delta, str) and isinstance(base, int | float) and (factor := MULTIPLE.fullmatch(delta)):
        product = base * float(factor[1])
        if isinstance(base, float):
            return product
        if product != round(product):
            raise ConfigError(f"{where}: {delta} of {base} is {product:g}, where a whole number is needed; change it")
        return round(product)
    return delta
