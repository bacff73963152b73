"""Strict sections of settings, and plain data turned into them: every mistake is a sentence that names its place."""

import difflib
import types
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from alexnet2012.errors import ConfigError


class Section(BaseModel):
    """Strict and frozen: no unknown keys, no conversions, no infinities."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


Model = typing.TypeVar("Model", bound=BaseModel)
Location = tuple[int | str, ...]  # where a pydantic error was found
TAGS = ("kind", "type")  # the settings by which sections that can stand in one place are told apart


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


def describe_item(model: type[BaseModel], item: ErrorDetails, section: str = "") -> str:
    """One pydantic error as a sentence: the key below `section`, what was found, what was expected."""
    found, kind = item.get("input"), item["type"]
    sections, kinds, place = walk(model, item["loc"])
    place = [section, *place] if section else place
    key, message = dotted(place), item["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return f'{prefix(place)}"{place[-1]}" is not {advise(str(place[-1]), item["loc"], model)}'
    if kind == "missing":
        return f'{prefix(place)}"{place[-1]}" is missing'
    if kind == "value_error":
        return f"{key}: {message}" if key else message
    if kind == "union_tag_not_found":
        return f"{key} has no {item['ctx']['discriminator'].strip(chr(39))}; say which kind it is"
    if kind == "union_tag_invalid":
        context = item["ctx"]
        tag = context["discriminator"].strip("'")
        tag = tag if tag in TAGS else "kind"
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
    elif kind == "list_type" and not isinstance(found, dict):
        hint = f"; write [{found}]"
    return f"{key} is {found!r}: {message[0].lower()}{message[1:]}{hint}"


def advise(name: str, loc: Location, model: type[BaseModel]) -> str:
    """What an unknown setting may have meant; one of another kind of the same section is called that."""
    sections, kinds, _ = walk(model, loc[:-1])
    for other in kinds:
        if name in other.model_fields:
            own, its = (next(iter(tags_of(each))) for each in (sections[0], other))
            return f"a setting of kind {own} but of kind {its}; write kind: {its} or remove it"
    return f"a setting; {suggest(name, {field for each in sections for field in each.model_fields})}"


def walk(model: type[BaseModel], loc: Location) -> tuple[list[type[BaseModel]], list[type[BaseModel]], list[int | str]]:
    """The sections that can stand at `loc` inside `model`; all kinds of section among which the last tag chose; and
    `loc` without the tags that pydantic puts in to say which kind of section it tried."""
    sections, kinds, place = [model], [], []
    for part in loc:
        chosen = [each for each in sections if part in tags_of(each)] if len(sections) > 1 else []
        if chosen:
            sections, kinds = chosen, sections
            continue
        place.append(part)
        if isinstance(part, str) and any(part in each.model_fields for each in sections):
            fields = [each.model_fields[part] for each in sections if part in each.model_fields]
            sections, kinds = [found for field in fields for found in sections_in(field.annotation)], []
    return sections, kinds, place


def tags_of(section: type[BaseModel]) -> tuple[str, ...]:
    """The kinds by which a section is told from others in its place: the values of its `kind` or `type`."""
    fields = [section.model_fields[tag] for tag in TAGS if tag in section.model_fields]
    return tuple(value for field in fields for value in typing.get_args(field.annotation))


def sections_in(annotation: Any) -> list[type[BaseModel]]:
    """Section classes inside an annotation such as dict[str, Variant] or FixedSchedule | PlateauSchedule."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [section for argument in typing.get_args(annotation) for section in sections_in(argument)]


def wrote(delta: Any, place: list[int | str]) -> bool:
    """Whether the variant's delta, and not the base, wrote the setting at `place`, or anything of a whole section."""
    if not place:
        return bool(delta)
    for part in place:
        if not isinstance(delta, dict):  # a list or a number: it replaced whatever the base had below
            return True
        if part not in delta:
            return False
        delta = delta[part]
    return True


def plain_number(text: str) -> str | None:
    """YAML takes 1e-4 for text; the same number in a form that it takes for a number."""
    try:
        return f"{float(text):f}".rstrip("0").rstrip(".") or "0"
    except ValueError:
        return None


def dotted(place: Iterable[int | str]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")


def prefix(place: list[int | str]) -> str:
    return f"{dotted(place[:-1])}: " if place[:-1] else ""


class UniqueKeyLoader(yaml.SafeLoader):
    """Safe YAML that refuses a key written twice in one mapping, of which PyYAML silently keeps the last."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                problem = f'"{key.value}" is written twice; keep one of them'
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            seen.add(key.value)
        return node
