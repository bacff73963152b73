"""Plain data into sections of the schema, where every mistake becomes a sentence that names its place and its mend."""

import difflib
import types
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from alexnet2012.errors import ConfigError
from alexnet2012.net_config import (
    NETS,
    ActivationLayer,
    ConvLayer,
    FullLayer,
    LocalLayer,
    NormLayer,
    PoolLayer,
)
from alexnet2012.schedule_config import FixedSchedule, LoggedSchedule, PlateauSchedule, TargetSchedule

Model = typing.TypeVar("Model", bound=BaseModel)
SCHEDULES = {"fixed": FixedSchedule, "plateau": PlateauSchedule, "target": TargetSchedule, "logged": LoggedSchedule}
LAYERS = {
    "conv": ConvLayer,
    "local": LocalLayer,
    "fc": FullLayer,
    "pool": PoolLayer,
    "activation": ActivationLayer,
    "lrn": NormLayer,
}


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


def check_known(where: str, what: str, name: str, known: Iterable[str], defined_in: Path | None = None) -> None:
    """Raises ConfigError with the nearest known name when `name` is none of them."""
    if name not in known:
        place = f" in {defined_in}" if defined_in else ""
        raise ConfigError(f'{where}: there is no {what} "{name}"{place}; {suggest(name, known)}')


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
    if kind == "union_tag_not_found":
        return f"{key} has no {item['ctx']['discriminator'].strip(chr(39))}; say which kind it is"
    if kind == "union_tag_invalid":
        context = item["ctx"]
        tag = context["discriminator"].strip("'")
        tag = "kind" if tag not in ("kind", "type") else tag
        return f"{key}.{tag} is {context['tag']!r}: input should be {context['expected_tags'].replace(', ', ' or ')}"
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
    others = [kind for kind, schedule in SCHEDULES.items() if name in schedule.model_fields]
    if others and tag in SCHEDULES and "schedule" in loc:
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
            models = [tags_at(loc, index)[part]]
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
    """Whether the variant's delta, and not the base, wrote the setting at `loc`, or anything of a whole section."""
    if not loc:
        return bool(delta)
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
    """Whether pydantic put this part there to say which kind of section it tried."""
    return loc[index] in tags_at(loc, index)


def tags_at(loc: tuple, index: int) -> dict[str, type[BaseModel]]:
    """The kinds of section that can stand at this place, by the tag that pydantic puts into an error's place."""
    before = loc[index - 1] if index else None
    if before == "schedule":
        return SCHEDULES
    if before == "net":
        return NETS
    return LAYERS if isinstance(before, int) and index > 1 and loc[index - 2] == "layers" else {}


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
