"""Base class of all settings, and their validation: each mistake is reported on a line with its file and key."""

import difflib
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from alexnet2012.errors import ConfigError

if TYPE_CHECKING:  # functions import it, because the GPU check runs where there is none
    import yaml

# First defaults of settings whose default has changed since, by section: {"LRNConfig": {"n": 5}}. Hashes of runs and
# identities of datasets leave out settings at their first default, so that a new setting changes no older hash, but a
# changed default does. tests/unit/config/test_hashes.py finds each default that needs an entry; so far none does.
CHANGED_DEFAULTS: dict[str, dict[str, Any]] = {}


class Section(BaseModel):
    """Base class of all sections. Strict and frozen: no unknown keys, no type conversions, no infinities."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    def departs(self, *names: str) -> list[str]:
        """The settings among `names` that differ from their defaults."""
        return [name for name in names if getattr(self, name) != type(self).model_fields[name].default]


Model = typing.TypeVar("Model", bound=BaseModel)
Location = tuple[int | str, ...]  # where a pydantic error was found
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]  # also used as a folder name


def check_distinct(values: list[Any]) -> list[Any]:
    """`values` unchanged; raises ValueError if a value occurs twice."""
    for index, value in enumerate(values):
        if value in values[:index]:
            raise ValueError(f"{value!r} is written twice; keep one of them")
    return values


Distinct = AfterValidator(check_distinct)


@cache
def list_introduced(model: type[Section]) -> dict[str, Any]:
    """The defaults that a section's settings were introduced with, as plain data."""
    defaults = {name: field.default for name, field in model.model_fields.items() if not field.is_required()}
    found = {name: dump_departures(default) for name, default in defaults.items()}
    for base in reversed(model.__mro__):
        found |= CHANGED_DEFAULTS.get(base.__name__, {})
    return found


def dump_departures(value: Any) -> Any:
    """A section as plain data without the settings at their first default; other values unchanged."""
    if isinstance(value, Section):
        introduced = list_introduced(type(value))
        values = {name: dump_departures(getattr(value, name)) for name in type(value).model_fields}
        return {name: each for name, each in values.items() if name not in introduced or each != introduced[name]}
    if isinstance(value, dict):
        return {name: dump_departures(each) for name, each in value.items()}
    return [dump_departures(each) for each in value] if isinstance(value, list) else value


def read_yaml(path: Path) -> Any:
    """The parsed file; raises ConfigError if it is missing or not valid YAML, with the line."""
    import yaml

    try:
        return yaml.load(path.read_text(encoding="utf-8"), unique_key_loader())  # noqa: S506 (a SafeLoader)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not text in UTF-8 ({error.reason} at byte {error.start})") from None
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{line}: {problem or error}; this is not valid YAML") from None


@cache
def unique_key_loader() -> "type[yaml.SafeLoader]":
    """A safe YAML loader that refuses duplicate keys; PyYAML would silently keep the last."""
    import yaml

    class UniqueKeyLoader(yaml.SafeLoader):
        def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
            node = super().compose_mapping_node(anchor)
            seen = set()
            for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
                if key.value in seen:
                    problem = f'"{key.value}" is written twice; keep one of them'
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                seen.add(key.value)
            return node

    return UniqueKeyLoader


def validate(model: type[Model], values: Any, source: str) -> Model:
    """`values` as `model`; raises ConfigError with one line per mistake, each beginning with `source`."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = [f"{source}: {describe_error(model, item)}" for item in error.errors()]
        raise ConfigError("\n".join(lines)) from None


def read_nested(value: Any) -> Any:
    """A section or list after `--config`, in which Snakemake leaves numbers as text, with the types that YAML gives."""
    import yaml

    if isinstance(value, Mapping):
        return {key: read_nested(each) for key, each in value.items()}
    if isinstance(value, list):
        return [read_nested(each) for each in value]
    try:
        return yaml.safe_load(value) if isinstance(value, str) else value
    except yaml.YAMLError:
        return value


@contextmanager
def located(where: str) -> Iterator[None]:
    """Prefix the message of a ConfigError raised inside with `where`."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def check_known(where: str, what: str, name: str, known: Iterable[str]) -> None:
    """Raise ConfigError with the nearest known name unless `name` is known."""
    if name not in known:
        raise ConfigError(f'{where}: there is no {what} "{name}"; {suggest(name, known)}')


def suggest(name: str, known: Iterable[str]) -> str:
    """A hint for a message: the nearest known name, whatever its case, or else all of them."""
    by_letters = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.lower(), by_letters, n=1)
    return f'did you mean "{by_letters[close[0]]}"?' if close else f"there are {', '.join(sorted(known)) or 'none'}"


def describe_error(model: type[BaseModel], item: ErrorDetails) -> str:
    """One pydantic error in plain words: the key, the value found, and what was expected."""
    found, message, context = item["input"], item["msg"].removeprefix("Value error, "), item.get("ctx", {})
    *_, place = walk(model, item["loc"])
    if "discriminator" in context:  # pydantic locates the section; the mistake is in its key kind or type
        place.append("type" if "type" in context["discriminator"] else "kind")
    key = dotted(place)
    section = f"{dotted(place[:-1])}: " if place[:-1] else ""
    match item["type"]:
        case "extra_forbidden":
            return f'{section}"{place[-1]}" is not {advise(str(place[-1]), item["loc"], model)}'
        case "missing" | "union_tag_not_found":
            return f'{section}"{place[-1]}" is missing'
        case "union_tag_invalid":
            return f"{key} is {context['tag']!r}: expected {context['expected_tags']}"
        case "value_error":
            return f"{key}: {message}" if key else message
    if not key:
        return f"expected settings, each a `key: value`; found {'nothing' if found is None else type(found).__name__}"
    if found is None:
        return f"{key} is empty; give it a value or remove it"
    return f"{key} is {found!r}: {message[0].lower()}{message[1:]}{advise_spelling(found, item['type'])}"


def advise_spelling(found: Any, expected: str) -> str:
    """A hint on writing the value so that YAML reads the expected type; empty if there is none."""
    if expected == "list_type" and not isinstance(found, dict):
        return f"; write [{found}]"
    if expected not in ("float_type", "int_type") or not isinstance(found, str):
        return ""
    try:  # YAML reads 1e-4 as text
        number = f"{float(found):f}".rstrip("0").rstrip(".") or "0"
    except ValueError:
        return ""
    return f"; it was read as text: write {number}"


def advise(name: str, loc: Location, model: type[BaseModel]) -> str:
    """The end of a message about an unknown setting: the nearest known one, or the kind of section that has it."""
    sections, kinds, _ = walk(model, loc[:-1])
    for other in kinds:
        if name in other.model_fields:
            own, its = tags_of(sections[0])[0], tags_of(other)[0]
            return f"a setting of kind {own} but of kind {its}; write kind: {its} or remove it"
    return f"a setting; {suggest(name, {field for each in sections for field in each.model_fields})}"


def walk(model: type[BaseModel], loc: Location) -> tuple[list[type[BaseModel]], list[type[BaseModel]], list[int | str]]:
    """The sections that may occur at `loc` inside `model`; all members of the union that the last tag chose from; and
    `loc` without the parts that pydantic adds: tags of unions, and [key] for a mapping's key."""
    sections, kinds, place = [model], [], []
    for part in loc:
        chosen = [each for each in sections if part in tags_of(each)]
        if len(sections) > 1 and chosen:
            sections, kinds = chosen, sections
        elif part != "[key]":
            place.append(part)
            if fields := [each.model_fields[part] for each in sections if part in each.model_fields]:
                sections, kinds = [found for field in fields for found in sections_in(field.annotation)], []
    return sections, kinds, place


def tags_of(section: type[BaseModel]) -> tuple[str, ...]:
    """The values of a section's key `kind` or `type` by which unions select it."""
    fields = [section.model_fields[tag] for tag in ("kind", "type") if tag in section.model_fields]
    return tuple(value for field in fields for value in typing.get_args(field.annotation))


def sections_in(annotation: Any) -> list[type[BaseModel]]:
    """Section classes inside an annotation such as dict[str, Variant] or FixedSchedule | PlateauSchedule."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [section for argument in typing.get_args(annotation) for section in sections_in(argument)]


def dotted(place: Iterable[int | str]) -> str:
    """A location in the notation of messages: experiments[0].seeds."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
