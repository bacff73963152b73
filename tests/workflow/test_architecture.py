"""The drawings of docs/architecture.md: Snakemake's rules, and the layers that import-linter enforces."""

import re
import tomllib
from itertools import pairwise

import networkx
from workflow_copy import REPOSITORY

RULES, PACKAGES = re.findall(
    r"```mermaid\n(.*?)```", (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8"), re.DOTALL
)


def test_the_rules_depend_on_each_other_as_drawn(fresh):
    targets = ("claims", "full", "--rulegraph", "mermaid-js")
    printed = fresh.snakemake(*targets, config=str(REPOSITORY / "config/cifar10.yaml")).stdout
    names = dict(re.findall(r"(id\d+)\[(\w+)\]", printed))
    names = {key: "all" if name in ("claims", "full") else name for key, name in names.items()}
    edges = {(names[start], names[end]) for start, end in re.findall(r"(id\d+) --> (id\d+)", printed)}
    real = networkx.DiGraph((start, end) for start, end in edges if start != end)

    chains = [line.strip().split(" --> ") for line in RULES.splitlines()[1:]]
    drawn = {edge for chain in chains for edge in pairwise(chain)}

    assert sorted(drawn) == sorted(networkx.transitive_reduction(real).edges)


def test_the_packages_lie_upon_each_other_as_drawn():
    linter = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers: list[list[str]] = []
    for line in linter["contracts"][0]["layers"]:
        packages = list(dict.fromkeys(name.partition(".")[0] for name in line.split(" | ")))
        if not layers or not set(packages) <= set(layers[-1]):
            layers.append(packages)

    drawn = [box.split(" | ") for box in re.findall(r'\["(.*?)"\]', PACKAGES)]

    assert [["__main__"], *drawn] == layers
