"""What the package may import: what pyproject.toml declares, and its own packages from the top down."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def list_imports(path: Path) -> set[str]:
    """Top-level names of what a file imports, inside functions too; none of its own package's."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found - {"alexnet2012"} - set(sys.stdlib_module_names)


@pytest.fixture(scope="module")
def declared() -> set[str]:
    """The distributions that a plain installation brings because the project names them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {canonical(re.match(r"[\w.-]+", line)[0]) for line in project["dependencies"]}


def test_every_import_is_a_declared_dependency(declared):
    providers = packages_distributions()
    undeclared = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in SOURCES
        for name in list_imports(path)
        if not declared & {canonical(each) for each in providers.get(name, ())}
    }
    # Pydantic brings its core, whose type is named; exports say by themselves that their extra is missing.
    extra = {f"src/alexnet2012/evaluation/onnx_export.py: {name}" for name in ("onnxruntime", "onnxscript")}
    extra.add("src/alexnet2012/reporting/crate.py: rocrate")
    assert undeclared == {"src/alexnet2012/config/validate.py: pydantic_core", *extra}


def test_packages_import_downwards():
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == EXIT_STATUS_SUCCESS


def test_no_public_function_or_class_has_the_name_of_another():
    places: dict[str, set[str]] = {}
    for path in SOURCES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, set()).add(str(path.relative_to(ROOT)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
