"""JSON schemas of configurations and of config/variants.yaml, by which editors complete keys: `make schemas`."""

import json
import sys
from pathlib import Path
from typing import Any

from alexnet2012.config.experiments import Config, VariantsFile
from alexnet2012.config.resolve import MULTIPLE, Sections
from alexnet2012.config.validate import Section
from alexnet2012.files import write_text

FILES: dict[str, type[Section]] = {"config.schema.json": Config, "variants.schema.json": VariantsFile}
# Keys of sections that override settings, by the section whose settings those are.
OVERRIDES = {
    "net": "net",
    "training": "training",
    "published": "training",
    "pretraining": "training",
    "runtime": "runtime",
    "baselines": "net",
}


def write_schemas(folder: Path) -> None:
    for name, model in FILES.items():
        write_text(folder / name, json.dumps(make_schema(model), indent=1) + "\n")


def make_schema(model: type[Section]) -> dict[str, Any]:
    """The JSON schema of a file; unlike pydantic's own, it knows the settings that may be overridden."""
    schema, settings = model.model_json_schema(), loosen(Sections.model_json_schema())
    schema["$defs"] = settings["$defs"] | schema["$defs"]
    for each in settings["properties"].values():
        del each["default"]
    simple: dict[str, Any] = fill_in(schema, {key: settings["properties"][name] for key, name in OVERRIDES.items()})
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **simple}


def loosen(node: Any) -> Any:
    """A schema whose settings may all be left out, and whose numbers may be multiples of the base's."""
    if isinstance(node, list):
        return [loosen(each) for each in node]
    if not isinstance(node, dict):
        return node
    found = {"anyOf" if key == "oneOf" else key: loosen(value) for key, value in node.items() if key != "required"}
    if node.get("type") in ("integer", "number"):
        return {"anyOf": [found, {"type": "string", "pattern": f"^{MULTIPLE.pattern}$"}]}
    return found


def fill_in(node: Any, overrides: dict[str, Any], key: str = "") -> Any:
    """A schema without titles, its objects of any content replaced by `overrides` where these have the object's key."""
    if isinstance(node, list):
        return [fill_in(each, overrides) for each in node]
    if not isinstance(node, dict):
        return node
    if node.get("additionalProperties") is True and key in overrides:
        return fill_in(overrides[key], {})
    inner = {name: key if name == "additionalProperties" else name for name in node}
    return {name: fill_in(each, overrides, inner[name]) for name, each in node.items() if not is_title(name, each)}


def is_title(name: str, value: Any) -> bool:
    """Whether this is a title that pydantic made of a name."""
    return name == "title" and isinstance(value, str)


if __name__ == "__main__":
    write_schemas(Path(sys.argv[1]))
