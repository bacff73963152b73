"""The project's files that are no modules: the workflow, its configurations and profiles, and two trained nets."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
# A wheel has them inside the package, where setup.py copies them; otherwise the package is in src/ of a checkout.
INSTALLED = PACKAGE / "project"
PROJECT = INSTALLED if INSTALLED.is_dir() else PACKAGE.parents[1]
FOLDERS = ("config", "nets", "profiles")


def find_project_file(path: Path) -> Path:
    """`path` unless it is missing and the project has it in one of FOLDERS: then the path of that."""
    own = PROJECT / path
    return own if path.parts[:1] and path.parts[0] in FOLDERS and own.exists() and not path.exists() else path
