import json
import re
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LINES, EXTRA_LINES = (
    [
        line
        for line in (ROOT / "envs" / name).read_text(encoding="utf-8").splitlines()
        if line.strip() and not line.startswith("#")
    ]
    for name in ("requirements.txt", "extras.txt")
)
CONDA = yaml.safe_load((ROOT / "envs/alexnet2012.yaml").read_text(encoding="utf-8"))


def locked(lines: list[str] = LINES) -> dict[str, Version]:
    return {canonicalize_name(name): Version(pin) for name, pin in (line.split("==") for line in lines)}


def test_every_line_of_the_lock_pins_one_public_version():
    loose = [line for line in LINES + EXTRA_LINES if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9a-z.]*", line)]
    assert loose == []
    assert len(locked()) == len(LINES) > 100


@pytest.mark.parametrize("line", PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"])
def test_every_dependency_is_satisfied_by_the_lock(line):
    needed = Requirement(line)
    assert needed.specifier.contains(locked()[canonicalize_name(needed.name)])


@pytest.mark.parametrize("extra", sorted(PROJECT["optional-dependencies"].keys() - {"dev"}))
def test_every_other_extra_is_pinned_beside_the_lock_and_adds_to_no_plain_install(extra):
    assert locked().keys().isdisjoint(locked(EXTRA_LINES))
    for needed in map(Requirement, PROJECT["optional-dependencies"][extra]):
        assert needed.specifier.contains(locked(EXTRA_LINES)[canonicalize_name(needed.name)])


def test_the_lock_holds_what_the_results_were_made_with():
    assert (str(locked()["torch"]), str(locked()["torchvision"])) == ("2.14.1", "0.29.1")
    assert locked()["mlflow"] < Version("3.18")


def test_the_lock_leaves_torchs_companions_to_torch():
    companions = ("nvidia", "cuda", "triton")
    assert [name for name in locked() if name.startswith(companions)] == ["nvidia-ml-py"]


def test_the_conda_environment_is_the_lock():
    pins = next(entry["pip"] for entry in CONDA["dependencies"] if isinstance(entry, dict))
    assert pins == LINES
    assert "pip" in CONDA["dependencies"]


def test_the_conda_environment_has_a_python_that_the_project_takes():
    pins = [entry for entry in CONDA["dependencies"] if isinstance(entry, str) and entry.startswith("python=")]
    assert len(pins) == 1
    assert SpecifierSet(PROJECT["requires-python"]).contains(pins[0].removeprefix("python="))


def test_the_installed_environment_is_the_lock():
    """By public version: a CPU build of torch calls itself 2.14.1+cpu."""
    found = {name: installed(name) for name in locked()}
    missing = [name for name, each in found.items() if each is None]
    other = {name: str(each) for name, each in found.items() if each is not None and each.public != str(locked()[name])}
    assert (missing, other) == ([], {})


def installed(name: str) -> Version | None:
    try:
        return Version(version(name))
    except PackageNotFoundError:
        return None


def test_one_version_is_named_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    zenodo = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
    assert {citation["version"], zenodo["version"], version("alexnet2012")} == {PROJECT["version"]}
    newest = re.search(r"^## (\S+) \((.*)\)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest.groups() == (PROJECT["version"], str(citation["date-released"]))
    assert (zenodo["title"], zenodo["license"]) == (citation["title"], citation["license"])
