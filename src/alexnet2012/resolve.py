"""From a configuration and the variants file to the exact list of runs; every mistake is refused here."""

import json
import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from alexnet2012.config import (
    NAME_PATTERN,
    Config,
    RunConfig,
    RuntimeConfig,
    TrainingConfig,
)
from alexnet2012.errors import ConfigError
from alexnet2012.experiment_config import Ensemble, Experiment, Variant, VariantsFile
from alexnet2012.model.geometry import list_layers
from alexnet2012.net_config import NETS, LayeredNetConfig, NetConfig, kind_of_net
from alexnet2012.plan import EnsembleRun, Plan, merge
from alexnet2012.validation import Model, check_known, describe_item, reaches, read_yaml, validate


def make_plan(values: dict[str, Any], source: str, variants_path: Path, claims: bool = False) -> Plan:
    """Validate a configuration read from `source` against the schema and the variants, and resolve every run; those of
    its `claims` section belong to the plan where `claims` is true, and are checked in any case.

    Raises ConfigError that names the file, the variant and the key, and the nearest valid name.
    """
    plain = json.loads(json.dumps(values, default=str))
    config = validate(Config, plain, source)
    variants = load_variants(variants_path)
    for name in config.datasets:
        check_name(f"{source}: datasets", name)
    check_calibration(config, f"{source}: calibration")
    if config.net.get("kind", "alexnet") != "alexnet":
        raise ConfigError(f"{source}: net.kind: the base net is the paper's; nets of layers are variants")
    runs: dict[tuple, RunConfig] = {}
    ensembles: dict[tuple, EnsembleRun] = {}
    experiments = list_lines(config, source)
    for where, experiment in experiments.items():
        check_known(f"{where}.dataset", "dataset", experiment.dataset, config.datasets)
        if experiment.variant is None:
            check_known(f"{where}.ensemble", "ensemble", experiment.ensemble, variants.ensembles, variants_path)
            continue
        check_known(f"{where}.variant", "variant", experiment.variant, variants.variants, variants_path)
        for seed in experiment.seeds:
            run = resolve_run(config, source, variants, variants_path, experiment, seed)
            if runs.setdefault((experiment.dataset, experiment.variant, seed), run) != run:
                raise ConfigError(
                    f"{where}: {experiment.variant} seed {seed} on {experiment.dataset} is asked for at both lengths; "
                    "keep one of them"
                )
    for where, experiment in experiments.items():
        if experiment.ensemble is not None:
            ensembles[experiment.dataset, experiment.ensemble] = resolve_ensemble(
                config, where, experiment, variants.ensembles[experiment.ensemble], runs
            )
    wanted = tuple(experiments.values()) if claims else tuple(config.experiments)
    asked = {(each.dataset, each.variant, seed): None for each in wanted for seed in each.seeds}
    return Plan(config, wanted, tuple(runs[key] for key in asked), tuple(ensembles.values()))


def list_lines(config: Config, source: str) -> dict[str, Experiment]:
    """All experiments, also those for claims, by where they are written."""
    lines = {f"{source}: experiments[{index}]": each for index, each in enumerate(config.experiments)}
    for index, each in enumerate(config.claims):
        lines |= {f"{source}: claims[{index}], {line.variant}": line for line in each.list_experiments()}
    return lines


def resolve_run(
    config: Config,
    source: str,
    variants: VariantsFile,
    variants_path: Path,
    experiment: Experiment,
    seed: int,
) -> RunConfig:
    """Base plus the variant's delta, checked as a whole: shapes, crop against image."""
    dataset_name, variant_name = experiment.dataset, experiment.variant
    variant, dataset = variants.variants[variant_name], config.datasets[dataset_name]
    if experiment.length == "published":
        if not variant.published:
            raise ConfigError(
                f"{source}: {variant_name} has no training of a published length; remove `length: published`"
            )
        variant = variant.model_copy(update={"training": merge(variant.training, variant.published)})
    net, training = resolve_sections(config, variant, source, f"{variants_path}: {variant_name}")
    where = f"{source}: variant {variant_name} on {dataset_name}"
    if net.crop_px > dataset.size_px:
        raise ConfigError(
            f"{where}: net.crop_px is {net.crop_px}, larger than the dataset's size_px of {dataset.size_px}; "
            f"make it at most {dataset.size_px}"
        )
    check_net(net, where)
    runtime = resolve_runtime(config.runtime, variant, f"{variants_path}: {variant_name}")
    if runtime.placement == "two-devices" and (reason := why_not_two(net, training)):
        raise ConfigError(f"{where}: {reason}, or use runtime.placement: one-device")
    return RunConfig(
        name=config.name,
        variant=variant_name,
        seed=seed,
        dataset_name=dataset_name,
        dataset=dataset,
        net=net,
        training=training,
        runtime=runtime,
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
    resolved, mistakes = [], []
    for model, section, base in ((NetConfig, "net", config.net), (TrainingConfig, "training", config.training)):
        try:
            resolved.append(resolve_section(model, section, base, variant, source, variant_source))
        except ConfigError as error:
            mistakes.append(str(error))
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    net, training = resolved
    return net, training


def resolve_section(
    model: type[Model], section: str, base: dict, variant: Variant | None, source: str, variant_source: str
) -> Model:
    """The paper's defaults, overlaid by the configuration's base, overlaid by the variant's delta.

    A net of another kind than the base's stands alone.
    """
    delta = getattr(variant, section) if variant else {}
    merged = merge(merge(model().model_dump(), base), delta)
    if section == "net":
        kind = str(kind_of_net(merged))
        check_known(f"{variant_source}: net.kind", "kind of net", kind, NETS)
        model = NETS[kind]
    try:
        return model.model_validate(merged)
    except ValidationError as error:
        messages = [
            f"{variant_source if reaches(delta, item['loc']) else source}: {describe_item(model, item, section)}"
            for item in error.errors()
        ]
        raise ConfigError("\n".join(messages)) from None


def resolve_ensemble(
    config: Config, where: str, experiment: Experiment, ensemble: Ensemble, runs: dict[tuple, RunConfig]
) -> EnsembleRun:
    members = []
    for group in ensemble.members:
        for seed in group.seeds:
            key = (experiment.dataset, group.variant, seed)
            if key not in runs:
                raise ConfigError(
                    f"{where}: ensemble {experiment.ensemble} averages {group.variant} "
                    f"seed {seed} on {experiment.dataset}, which no experiment trains; "
                    f"add seed {seed} to an experiment of {group.variant}"
                )
            if runs[key] in members:
                raise ConfigError(
                    f"{where}: ensemble {experiment.ensemble} names {group.variant} seed {seed} "
                    "twice in variants.yaml; an average counts each net once"
                )
            members.append(runs[key])
    return EnsembleRun(experiment.ensemble, config.name, experiment.dataset, tuple(members))


def describe_target(variant_name: str, variants_path: Path, config_path: Path | None) -> NetConfig | LayeredNetConfig:
    """The net of one variant at the paper's sizes, or at those of a configuration file."""
    variants = load_variants(variants_path)
    check_known(str(variants_path), "variant", variant_name, variants.variants)
    config = validate(Config, read_yaml(config_path), str(config_path)) if config_path else None
    base, source = (config.net, str(config_path)) if config else ({}, "the paper's net")
    variant = variants.variants[variant_name]
    net = resolve_section(NetConfig, "net", base, variant, source, f"{variants_path}: {variant_name}")
    check_net(net, f"{variants_path}: {variant_name}")
    return net


def load_variants(path: Path) -> VariantsFile:
    """Variants and ensembles; raises ConfigError where a name would not do as a folder's or a row's."""
    file = validate(VariantsFile, read_yaml(path), str(path))
    for name in (*file.variants, *file.ensembles):
        check_name(str(path), name)
    for name, ensemble in file.ensembles.items():
        if name in file.variants:
            raise ConfigError(f"{path}: {name} is a variant and an ensemble; give one of them another name")
        for index, group in enumerate(ensemble.members):
            check_known(f"{path}: ensembles.{name}.members[{index}]", "variant", group.variant, file.variants)
    return file


def read_run(path: Path) -> RunConfig:
    """The resolved configuration of one run, as stored beside its result."""
    return validate(RunConfig, read_yaml(path), str(path))


def check_net(net: NetConfig | LayeredNetConfig, where: str) -> None:
    try:
        list_layers(net, classes=2)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def check_name(where: str, name: str) -> None:
    if not re.fullmatch(NAME_PATTERN, name):
        raise ConfigError(
            f'{where}: "{name}" cannot name a folder of results; use letters, digits, ".", "_" and "-", and begin '
            "with a letter or a digit"
        )


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
