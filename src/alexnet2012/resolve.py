"""From a configuration and the variants file to the exact list of runs; every mistake is refused here."""

import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from alexnet2012.config import NAME_PATTERN, Config, RunConfig
from alexnet2012.errors import ConfigError
from alexnet2012.experiment_config import Ensemble, Experiment, Variant, VariantsFile
from alexnet2012.net_config import LayeredNetConfig, NetConfig
from alexnet2012.plan import EnsembleRun, Plan
from alexnet2012.resolve_run import PAPER, check_net, is_baseline, lay_over_recipe, resolve_run, resolve_section
from alexnet2012.validation import check_known, read_yaml, validate

TARGETS = ("claims", "full")  # of Snakemake, and sections of a configuration


def make_plan(values: dict[str, Any], source: str, variants_path: Path, targets: Collection[str] = ()) -> Plan:
    """Validate a configuration read from `source` against the schema and the variants, and resolve every run; those of
    its sections `claims` and `full` belong to the plan where `targets` names these, and are checked in any case.

    Raises ConfigError that names the file, the variant and the key, and the nearest valid name.
    """
    plain = json.loads(json.dumps(values, default=str))
    config = validate(Config, plain, source)
    variants = load_variants(variants_path)
    for name in config.datasets:
        check_name(f"{source}: datasets", name)
    check_calibration(config, f"{source}: calibration")
    known = [name for name, variant in variants.variants.items() if is_baseline(variant)]
    for name in config.baselines:
        check_known(f"{source}: baselines", "baseline", name, known, variants_path)
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
        if experiment.pretrained_on is not None:
            check_known(f"{where}.pretrained_on", "dataset", experiment.pretrained_on, config.datasets)
        for seed in experiment.seeds:
            run = resolve_run(config, source, variants, variants_path, where, experiment, seed)
            if runs.setdefault((experiment.dataset, experiment.variant, seed), run) != run:
                raise ConfigError(
                    f"{where}: {experiment.variant} seed {seed} on {experiment.dataset} is asked for in two ways "
                    "(length, epochs or pretrained_on differ); keep one of them"
                )
    for where, experiment in experiments.items():
        if experiment.ensemble is not None:
            ensembles[experiment.dataset, experiment.ensemble] = resolve_ensemble(
                config, where, experiment, variants.ensembles[experiment.ensemble], runs
            )
    everything = Plan(config, tuple(experiments.values()), tuple(runs.values()), tuple(ensembles.values()))
    wanted = list_lines(config, source, ("experiments", *targets)).values()
    return everything.keep(lambda experiment: experiment in wanted)


def list_lines(
    config: Config, source: str, sections: Collection[str] = ("experiments", *TARGETS)
) -> dict[str, Experiment]:
    """The experiments of these sections, by where they are written."""
    lines = {}
    for section in ("experiments", "full"):
        if section in sections:
            lines |= {f"{source}: {section}[{index}]": each for index, each in enumerate(getattr(config, section))}
    for index, each in enumerate(config.claims if "claims" in sections else ()):
        lines |= {f"{source}: claims[{index}], {line.variant}": line for line in each.list_experiments()}
    return lines


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
    variant = lay_over_recipe(variants, variant_name)
    if is_baseline(variant):
        raise ConfigError(f"{variants_path}: {variant_name} is no net and has no layers; name another variant")
    config = validate(Config, read_yaml(config_path), str(config_path)) if config_path else None
    base, source = (config.net, str(config_path)) if config else ({}, "the paper's net")
    net = resolve_section(NetConfig, "net", base, variant, source, f"{variants_path}: {variant_name}")
    check_net(net, f"{variants_path}: {variant_name}")
    return net


def load_variants(path: Path) -> VariantsFile:
    """Variants and ensembles; raises ConfigError where a name would not do as a folder's or a row's."""
    file = validate(VariantsFile, read_yaml(path), str(path))
    for name in (*file.variants, *file.ensembles):
        check_name(str(path), name)
    for name, variant in file.variants.items():
        check_recipe(f"{path}: variants.{name}", variant, file)
        check_starts_from(f"{path}: variants.{name}", variant, file)
    for name, ensemble in file.ensembles.items():
        if name in file.variants:
            raise ConfigError(f"{path}: {name} is a variant and an ensemble; give one of them another name")
        for index, group in enumerate(ensemble.members):
            check_known(f"{path}: ensembles.{name}.members[{index}]", "variant", group.variant, file.variants)
    return file


def read_run(path: Path) -> RunConfig:
    """The resolved configuration of one run, as stored beside its result."""
    return validate(RunConfig, read_yaml(path), str(path))


def check_name(where: str, name: str) -> None:
    if not re.fullmatch(NAME_PATTERN, name):
        raise ConfigError(
            f'{where}: "{name}" cannot name a folder of results; use letters, digits, ".", "_" and "-", and begin '
            "with a letter or a digit"
        )


def check_recipe(where: str, variant: Variant, file: VariantsFile) -> None:
    if variant.recipe is not None:
        check_known(f"{where}.recipe", "recipe", variant.recipe, (PAPER, *file.recipes))


def check_starts_from(where: str, variant: Variant, file: VariantsFile) -> None:
    start = variant.starts_from
    if start is None:
        return
    check_known(f"{where}.starts_from.variant", "variant", start.variant, file.variants)
    if file.variants[start.variant].starts_from is not None:
        raise ConfigError(
            f"{where}.starts_from.variant: {start.variant} starts from another training itself; name one that does not"
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
