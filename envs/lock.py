"""Write requirements.txt, extras.txt and alexnet2012.yaml: the dependencies in pyproject.toml, pinned as installed.

Run it in the environment to be locked, with all extras installed: `make lock`. torch's CUDA packages are left out,
because torch's own metadata pins them, and an index with CPU builds does not have them.
"""

import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).parent
CUDA_COMPANIONS = re.compile(r"nvidia(?!-ml-py)|cuda|triton")
HEADER = """\
# The exact environment of the committed results; written by envs/lock.py. torch's own CUDA companions are not listed:
# its metadata pins them, and an index with a CPU build has none.
"""
EXTRAS_HEADER = """\
# What the other extras need beside requirements.txt: `pip install --constraint envs/extras.txt --editable '.[onnx]'`;
# written by envs/lock.py.
"""
CONDA = """\
# For `snakemake --sdm conda`: the lock once more, as Snakemake copies this file away from requirements.txt; written by
# envs/lock.py. The package itself is put in by alexnet2012.post-deploy.sh.
name: alexnet2012
channels:
  - conda-forge
dependencies:
  - python=3.11
  - pip
  - pip:
"""


def main() -> None:
    pins = write_lines(find_pins({"dev"}))
    more = [
        pin
        for pin in write_lines(find_pins({"dev", "crate", "notebook", "onnx", "server", "slurm"}))
        if pin not in pins
    ]
    (HERE / "requirements.txt").write_text(HEADER + "".join(f"{pin}\n" for pin in pins), encoding="utf-8")
    (HERE / "extras.txt").write_text(EXTRAS_HEADER + "".join(f"{pin}\n" for pin in more), encoding="utf-8")
    (HERE / "alexnet2012.yaml").write_text(CONDA + "".join(f"      - {pin}\n" for pin in pins), encoding="utf-8")


def write_lines(pins: dict[str, str]) -> list[str]:
    return [f"{name}=={version}" for name, version in sorted(pins.items())]


def find_pins(extras: set[str]) -> dict[str, str]:
    """The installed public versions, by name, of all direct and indirect dependencies of the project with `extras`."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = [line for extra in extras for line in project["optional-dependencies"][extra]]
    waiting = [Requirement(line) for line in project["dependencies"] + optional]
    pins: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        installed = distribution(name)
        pins[name] = installed.version.partition("+")[0]
        for line in installed.requires or []:
            needed = Requirement(line)
            wanted = needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *extras))
            if wanted and not (name == "torch" and CUDA_COMPANIONS.match(needed.name)):
                waiting.append(needed)
    return pins


if __name__ == "__main__":
    main()
