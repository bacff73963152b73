import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from alexnet2012.config.json_schema import FILES, make_schema, write_schemas

ROOT = Path(__file__).parents[3]
CONFIGS = sorted((ROOT / "config").glob("*.yaml"))


def read_for(path: Path) -> Draft202012Validator:
    """The schema that a configuration names in its first line."""
    name = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# yaml-language-server: $schema=")
    schema = json.loads((path.parent / name).read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_the_committed_schemas_are_those_of_the_models(tmp_path):
    write_schemas(tmp_path)
    for name in FILES:
        assert (ROOT / "workflow" / "schemas" / name).read_text(encoding="utf-8") == (tmp_path / name).read_text(
            encoding="utf-8"
        ), "run `make schemas`"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_configuration_fits_the_schema_that_it_names(path):
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert [error.message for error in read_for(path).iter_errors(values)] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"nam": "x"},
        {"net": {"towrs": 2}},
        {"training": {"schedule": {"kind": "fixd", "epochs": [1]}}},
        {"training": {"batch_size": "twelve"}},
        {"per_dataset": {"cifar10": {"net": {"fc_neurons": "y2"}}}},
    ],
    ids=str,
)
def test_a_mistake_in_a_key_or_a_value_is_found(wrong):
    path = ROOT / "config" / "config.yaml"
    right = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert read_for(path).is_valid(right)
    assert not read_for(path).is_valid(right | wrong)


@pytest.mark.parametrize("model", FILES.values(), ids=lambda model: model.__name__)
def test_overridden_settings_are_known_by_name(model):
    training = make_schema(model)["$defs"]["Variant"]["properties"]["training"]
    assert training == {"$ref": "#/$defs/TrainingConfig"}
