"""From a configuration and the variants file to the exact list of runs; every mistake is refused here."""

import difflib
import json
import re
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from alexnet2012.config import (
    NAME_PATTERN,
    Config,
    DatasetConfig,
    Ensemble,
    FixedSchedule,
    NetConfig,
    PlateauSchedule,
    RunConfig,
    TrainingConfig,
    Variant,
    VariantsFile,
    digest8,
)
from alexnet2012.errors import ConfigError
from alexnet2012.model.geometry import list_layers

Model = typing.TypeVar("Model", bound=BaseModel)
SCHEDULES = {"fixed": FixedSchedule, "plateau": PlateauSchedule}  # by the tag that pydantic puts into an error's place


@dataclass(frozen=True)
class EnsembleRun:
    """An ensemble with its members' runs, all on one dataset."""

    name: str
    config_name: str
    dataset_name: str
    members: tuple[RunConfig, ...]

    @property
    def hash8(self) -> str:
        return digest8([[run.variant, run.hash8, run.seed] for run in self.members])

    @property
    def predictions(self) -> Path:
        """Folder of the average's probabilities, relative to the working directory."""
        return Path(
            "results", self.config_name, "predictions", self.dataset_name, f"{self.name}-{self.hash8}", "average"
        )


@dataclass(frozen=True)
class Plan:
    """What a configuration asks for: its runs and ensembles, each once."""

    config: Config
    runs: tuple[RunConfig, ...]
    ensembles: tuple[EnsembleRun, ...]

    def list_experiments(self) -> dict[str, Any]:
        """The plan as plain data, for those who read results: each experiment with the folders of its runs."""
        runs = {(run.dataset_name, run.variant, run.seed): run for run in self.runs}
        ensembles = {(ensemble.dataset_name, ensemble.name): ensemble for ensemble in self.ensembles}
        listed = []
        for each in self.config.experiments:
            entry = {
                "dataset": each.dataset,
                "kind": self.config.datasets[each.dataset].kind,
                "tables": list(each.tables),
            }
            if each.ensemble is not None:
                entry |= {
                    "ensemble": each.ensemble,
                    "predictions": [str(ensembles[each.dataset, each.ensemble].predictions)],
                }
            else:
                own = [runs[each.dataset, each.variant, seed] for seed in each.seeds]
                entry |= {"variant": each.variant, "seeds": each.seeds, "runs": [str(run.folder) for run in own]}
                entry["predictions"] = [str(run.predictions) for run in own]
            listed.append(entry)
        return {"name": self.config.name, "experiments": listed}


def make_plan(values: dict[str, Any], source: str, variants_path: Path) -> Plan:
    """Validate a configuration read from `source` against the schema and the variants, and resolve every run.

    Raises ConfigError that names the file, the variant and the key, and the nearest valid name.
    """
    plain = json.loads(json.dumps(values, default=str))
    config = validate(Config, plain, source)
    variants = load_variants(variants_path)
    for name, dataset in config.datasets.items():
        check_name(f"{source}: datasets", name)
        check_folder(f"{source}: datasets.{name}", dataset)
    runs: dict[tuple, RunConfig] = {}
    for index, experiment in enumerate(config.experiments):
        where = f"{source}: experiments[{index}]"
        check_known(f"{where}.dataset", "dataset", experiment.dataset, config.datasets)
        if experiment.variant is None:
            check_known(f"{where}.ensemble", f"ensemble of {variants_path}", experiment.ensemble, variants.ensembles)
            continue
        check_known(f"{where}.variant", f"variant of {variants_path}", experiment.variant, variants.variants)
        for seed in experiment.seeds:
            run = resolve_run(config, source, variants, variants_path, experiment.dataset, experiment.variant, seed)
            runs[(experiment.dataset, experiment.variant, seed)] = run
    ensembles = {
        (experiment.dataset, experiment.ensemble): resolve_ensemble(
            config, source, index, variants.ensembles[experiment.ensemble], runs
        )
        for index, experiment in enumerate(config.experiments)
        if experiment.ensemble is not None
    }
    return Plan(config, tuple(runs.values()), tuple(ensembles.values()))


def resolve_run(
    config: Config,
    source: str,
    variants: VariantsFile,
    variants_path: Path,
    dataset_name: str,
    variant_name: str,
    seed: int,
) -> RunConfig:
    """Base plus the variant's delta, checked as a whole: shapes, crop against image."""
    variant, dataset = variants.variants[variant_name], config.datasets[dataset_name]
    net, training = resolve_sections(config, variant, source, f"{variants_path}: {variant_name}")
    where = f"{source}: variant {variant_name} on {dataset_name}"
    if net.crop_px > dataset.size_px:
        raise ConfigError(
            f"{where}: net.crop_px is {net.crop_px}, larger than the dataset's size_px of {dataset.size_px}; "
            f"make it at most {dataset.size_px}"
        )
    check_net(net, where)
    return RunConfig(
        name=config.name,
        variant=variant_name,
        seed=seed,
        dataset_name=dataset_name,
        dataset=dataset,
        net=net,
        training=training,
        runtime=config.runtime,
    )


def resolve_sections(
    config: Config, variant: Variant, source: str, variant_source: str
) -> tuple[NetConfig, TrainingConfig]:
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
    """The paper's defaults, overlaid by the configuration's base, overlaid by the variant's delta."""
    delta = getattr(variant, section) if variant else {}
    merged = merge(merge(model().model_dump(), base), delta)
    try:
        return model.model_validate(merged)
    except ValidationError as error:
        messages = [
            f"{variant_source if reaches(delta, item['loc']) else source}: {describe_item(model, item, section)}"
            for item in error.errors()
        ]
        raise ConfigError("\n".join(messages)) from None


def resolve_ensemble(
    config: Config, source: str, index: int, ensemble: Ensemble, runs: dict[tuple, RunConfig]
) -> EnsembleRun:
    experiment = config.experiments[index]
    members = []
    for group in ensemble.members:
        for seed in group.seeds:
            key = (experiment.dataset, group.variant, seed)
            if key not in runs:
                raise ConfigError(
                    f"{source}: experiments[{index}]: ensemble {experiment.ensemble} averages {group.variant} "
                    f"seed {seed} on {experiment.dataset}, which no experiment trains; "
                    f"add seed {seed} to an experiment of {group.variant}"
                )
            if runs[key] in members:
                raise ConfigError(
                    f"{source}: experiments[{index}]: ensemble {experiment.ensemble} names {group.variant} seed {seed} "
                    "twice in variants.yaml; an average counts each net once"
                )
            members.append(runs[key])
    return EnsembleRun(experiment.ensemble, config.name, experiment.dataset, tuple(members))


def describe_target(variant_name: str, variants_path: Path, config_path: Path | None) -> NetConfig:
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


class UniqueKeyLoader(yaml.SafeLoader):
    """Safe YAML that refuses a key written twice in one mapping, of which PyYAML silently keeps the last."""

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                problem = f'"{key.value}" is written twice; keep one of them'
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            seen.add(key.value)
        return node


def read_yaml(path: Path) -> Any:
    """The file's values; raises ConfigError for a missing file or one that is not YAML, with the line."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), UniqueKeyLoader)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not text in UTF-8 ({error.reason} at byte {error.start})") from None
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{path}{line}: {error.problem or error}; this is not valid YAML") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: {error}; this is not valid YAML") from None


def validate(model: type[Model], values: Any, source: str) -> Model:
    """`values` as `model`; raises ConfigError with one line per mistake."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{source}: {describe_item(model, item)}" for item in error.errors())) from None


def merge(base: Any, delta: Any) -> Any:
    """`base` with `delta` laid over it, mapping by mapping; anything but a mapping replaces what was there.

    A mapping with another `kind` (a schedule) replaces the whole, since its keys are other keys.
    """
    if not (isinstance(base, dict) and isinstance(delta, dict)) or base.get("kind") != delta.get(
        "kind", base.get("kind")
    ):
        return delta
    return {**base, **{key: merge(base.get(key), value) for key, value in delta.items()}}


def check_net(net: NetConfig, where: str) -> None:
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


def check_folder(where: str, dataset: DatasetConfig) -> None:
    if dataset.folder is not None and not Path(dataset.folder).expanduser().is_dir():
        raise ConfigError(f"{where}.folder: {dataset.folder} is not a folder; give the folder that holds the images")


def check_known(where: str, what: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise ConfigError(f'{where}: "{name}" is not a {what}; {suggest(name, known)}')


def suggest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f'did you mean "{close[0]}"?' if close else f"there are {', '.join(sorted(known)) or 'none'}"


def describe_item(model: type[BaseModel], item: dict, section: str = "") -> str:
    """One pydantic error as a sentence: the key below `section`, what was found, what was expected."""
    loc, found, kind = item["loc"], item.get("input"), item["type"]
    place = [section, *untagged(loc)] if section else untagged(loc)
    key, message = dotted(place), item["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return f'{prefix(place)}"{place[-1]}" is not {advise(model, loc)}'
    if kind == "missing":
        return f'{prefix(place)}"{place[-1]}" is missing'
    if kind == "value_error":
        return f"{key}: {message}" if key else message
    if kind == "union_tag_invalid":
        return f"{key}.kind is {item['ctx']['tag']!r}: input should be {' or '.join(map(repr, SCHEDULES))}"
    if found is None:
        return (
            f"{key} is empty; give it a value or remove it" if key else "it is empty; a file of settings was expected"
        )
    if not key:
        return f"it holds a {type(found).__name__}; settings, each a `key: value`, were expected"
    hint = ""
    if isinstance(found, str) and kind in ("float_type", "int_type"):
        hint = f"; it was read as text: write {plain_number(found)}" if plain_number(found) else ""
    return f"{key} is {found!r}: {message[0].lower()}{message[1:]}{hint}"


def advise(model: type[BaseModel], loc: tuple) -> str:
    """What an unknown setting may have meant; a setting of the other kind of schedule is called that."""
    name, known = str(loc[-1]), setting_names(model, loc[:-1])
    tag = loc[-2] if len(loc) > 1 and is_tag(loc, len(loc) - 2) else None
    others = [kind for kind, schedule in SCHEDULES.items() if tag and name in schedule.model_fields]
    if others:
        return f"a setting of a {tag} schedule but of a {others[0]} one; write kind: {others[0]} or remove it"
    return f"a setting; {suggest(name, known)}"


def plain_number(text: str) -> str | None:
    """YAML takes 1e-4 for text; the same number in a form that it takes for a number."""
    try:
        return f"{float(text):f}".rstrip("0").rstrip(".") or "0"
    except ValueError:
        return None


def dotted(loc: Iterable) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")


def prefix(loc: list) -> str:
    return f"{dotted(loc[:-1])}: " if loc[:-1] else ""


def setting_names(model: Any, loc: tuple) -> list[str]:
    """Names of the settings at `loc` inside `model`."""
    models = models_in(model)
    for index, part in enumerate(loc):
        if is_tag(loc, index):
            models = [SCHEDULES[part]]
            continue
        models = [
            found
            for each in models
            for found in (models_in(each.model_fields[part].annotation) if part in each.model_fields else [each])
        ]
    return sorted({name for each in models for name in each.model_fields})


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Section classes inside an annotation such as dict[str, Variant] or FixedSchedule | PlateauSchedule."""
    if (
        isinstance(annotation, type)
        and not isinstance(annotation, types.GenericAlias)
        and issubclass(annotation, BaseModel)
    ):
        return [annotation]
    return [model for argument in typing.get_args(annotation) for model in models_in(argument)]


def reaches(delta: Any, loc: tuple) -> bool:
    """Whether the variant's delta, and not the base, wrote the setting at `loc`."""
    for part in untagged(loc):
        if not isinstance(delta, dict):  # a list or a number: it replaced whatever the base had below
            return True
        if part not in delta:
            return False
        delta = delta[part]
    return True


def untagged(loc: tuple) -> list:
    return [part for index, part in enumerate(loc) if not is_tag(loc, index)]


def is_tag(loc: tuple, index: int) -> bool:
    """Whether pydantic put this part there to say which kind of schedule it tried."""
    return index > 0 and loc[index - 1] == "schedule" and loc[index] in SCHEDULES
