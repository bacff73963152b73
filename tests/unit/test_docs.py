"""What README and docs cite exists, and their commands and configurations are accepted."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from snakemake.cli import parse_args

from alexnet2012 import cli
from alexnet2012.config.plan import TARGETS, make_plan

ROOT = Path(__file__).parents[2]
BESIDE = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "config/README.md", "nets/README.md")]
PAGES = sorted([*BESIDE, *(ROOT / "docs").glob("*.md")])
TEXTS = [page.read_text(encoding="utf-8") for page in PAGES]
NAMES = [page.name for page in PAGES]
CITING = [path for folder in ("src", "config", "workflow", "profiles") for path in (ROOT / folder).rglob("*")]
TARGETS_OF_MAKE = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
WORKFLOW = [ROOT / "workflow" / "Snakefile", *(ROOT / "workflow").rglob("*.smk")]
RULES = re.findall(r"^rule (\w+):", "".join(path.read_text(encoding="utf-8") for path in WORKFLOW), re.MULTILINE)


def anchor(heading: str) -> str:
    """What GitHub makes of a heading for links."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def list_commands(text: str) -> list[list[str]]:
    """Indented lines that call a command of this project, without comments."""
    lines = re.findall(r"^    ((?:alexnet2012|snakemake|make) .*)$", text, re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_to_files_and_headings(page):
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith(("http://", "https://")):
            continue
        file, _, heading = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        if heading:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in map(anchor, headings), link


def test_files_of_the_repository_that_are_named_exist():
    places = (ROOT, ROOT / "src" / "alexnet2012")  # CONTRIBUTING.md calls modules by their path in the package
    folders = r"(?<![\w/.-])((?:docs|config|src|workflow|envs|profiles|tests)/[\w./-]+)"
    for path in [*PAGES, *(each for each in CITING if each.suffix in {".py", ".smk", ".yaml", ".jinja"})]:
        for named in re.findall(folders, path.read_text(encoding="utf-8")):
            assert "NAME" in named or any((place / named.rstrip(".")).exists() for place in places), (path, named)


def test_deviations_are_numbered_without_gaps_and_cited_by_their_numbers():
    numbers = [
        int(each) for each in re.findall(r"^\| (\d+) \|", (ROOT / "docs/deviations.md").read_text(), re.MULTILINE)
    ]
    assert numbers == list(range(1, len(numbers) + 1))
    for text in TEXTS:
        for cited in re.findall(r"deviations\.md\), ([\d, and]+)", text):
            assert {int(each) for each in re.findall(r"\d+", cited)} <= {*numbers}


@pytest.mark.parametrize("text", TEXTS, ids=NAMES)
def test_commands_are_understood(text):
    for program, *arguments in list_commands(text):
        if program == "make":
            targets = [each for each in arguments if "=" not in each]
            assert {*targets} <= {*TARGETS_OF_MAKE}, arguments
        elif program == "alexnet2012":
            cli.parse(arguments)
        else:
            local = [each for each in arguments if each not in ("--workflow-profile", "profiles/slurm")]
            _, options = parse_args(local)  # Slurm's executor is an extra
            assert {*options.targets} <= {*RULES}, arguments
            for file in options.configfile or []:
                assert Path(file).name == "my.yaml" or (ROOT / file).is_file(), arguments


@pytest.mark.parametrize("text", TEXTS, ids=NAMES)
def test_configurations_that_stand_alone_are_planned(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = [yaml.safe_load(each) for each in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    for values in [each for each in blocks if "experiments" in each]:
        assert make_plan(values, "docs", ROOT / "config" / "variants.yaml", TARGETS).trainings
