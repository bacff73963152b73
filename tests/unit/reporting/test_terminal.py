"""Results on a terminal: the few lines at the end of a run, and whole pages."""

import io
import json
import re
from pathlib import Path

import pytest
from fake_results import FakeResults
from rich.console import Console

from alexnet2012 import cli
from alexnet2012.reporting.results import load_results
from alexnet2012.reporting.terminal import FILE_WIDTH, PAGES, SUMMARY_LINES, print_pages, summarise_results

REFERENCES = Path(__file__).resolve().parents[3] / "results/reference"
DATA = Path("data")


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch):
    """Lines hold paths as they were given."""
    monkeypatch.chdir(REFERENCES.parents[1])


@pytest.fixture(scope="module")
def rehearsal():
    return load_results(REFERENCES / "rehearsal", DATA)


@pytest.fixture(scope="module")
def page(rehearsal):
    """Prints a page of the committed rehearsal into so many columns."""

    def draw(name: str, width: int, unfolded: bool = False) -> str:
        console = Console(file=io.StringIO(), width=width)
        print_pages(rehearsal, [name], console, unfolded)
        return console.file.getvalue()

    return draw


def test_a_summary_is_short():
    folder = Path("results/reference/photographs")
    lines = summarise_results(folder, load_results(folder, DATA))
    assert len(lines) <= SUMMARY_LINES and max(map(len, lines)) <= FILE_WIDTH


def test_a_summary_has_errors_verdicts_and_places(rehearsal):
    summary = summarise_results(Path("results/reference/rehearsal"), rehearsal)
    written = json.loads((REFERENCES / "rehearsal/tables/claims.json").read_text(encoding="utf-8"))
    colours = [row["colour"] for row in written["datasets"][0]["claims"]]
    counts = {colour: colours.count(colour) for colour in ("supported", "contradicted")}
    text = "\n".join(summary)
    assert len(summary) <= SUMMARY_LINES and max(map(len, summary)) <= FILE_WIDTH
    assert f"{counts['supported']} supported, {counts['contradicted']} contradicted" in text
    errors = (REFERENCES / "rehearsal/tables/table1.md").read_text(encoding="utf-8").replace("\N{NO-BREAK SPACE}", " ")
    cnn = re.search(r"^1 CNN on cifar10 test +(\S+ % \[.*?\]) +37.5 % ", text, re.MULTILINE)
    assert cnn[1] in errors and "5 CNNs on cifar10 test" in text
    assert all(place in text for place in ("report.html", "alexnet2012 show", "make ui"))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_the_terminal(page, name):
    lines = page(name, 60).splitlines()
    assert len(lines) > 10 and max(map(len, lines)) <= 60


def test_a_page_has_what_the_markdown_has(page):
    text = page("table1", 1000).replace("\N{NO-BREAK SPACE}", " ")
    table = [line for line in (REFERENCES / "rehearsal/tables/table1.md").read_text().splitlines() if line[0:1] == "|"]
    for row in (row for row in table if "---" not in row):
        for cell in row.replace("\N{NO-BREAK SPACE}", " ").strip("|").split("|"):
            assert cell.strip().replace("`", "") in text
    assert "**" not in text and "`" not in text


@pytest.mark.parametrize("finished", [["cnn"], ["cnn", "no-lrn"]])
def test_a_run_that_goes_on_shows_what_is_finished(tmp_path, capsys, finished):
    fake = FakeResults(tmp_path).add("cnn", {0: {}}, ("table1",)).add("no-lrn", {0: {}}, ("in_text",))
    for key in {"cnn", "no-lrn"} - set(finished):
        (fake.folder / f"runs/photos/{key}-00000000/seed0/record.json").unlink()

    assert cli.main(["show", str(fake.folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    unfinished = 2 - len(finished)
    assert lines[0].startswith(f"some: {unfinished} of 2 nets and ensembles") == bool(unfinished)
    assert (f"progress: alexnet2012 status {fake.folder}" in lines) == bool(unfinished)
    assert any("1 CNN on photos" in line for line in lines) == ("cnn" in finished)
    assert cli.main(["show", str(fake.folder), *PAGES]) == 0
    assert ("Not complete" in capsys.readouterr().out) == bool(unfinished)


def test_what_cannot_be_shown_ends_in_a_sentence(tmp_path, capsys):
    assert cli.main(["show", str(tmp_path)]) == 1
    assert f"{tmp_path}/experiments.json" in capsys.readouterr().err
    assert cli.main(["show", str(REFERENCES / "rehearsal"), "table3"]) == 1
    assert capsys.readouterr().err == "error: table3 is no table; there are table1, table2, in_text, claims\n"
