"""The committed references: tables are what records and each image's ranks say, and so is the ledger in docs."""

import json
import shutil
from pathlib import Path

import pytest

from alexnet2012.errors import RecordError
from alexnet2012.files import SCHEMA
from alexnet2012.reporting.compare import load_verdicts
from alexnet2012.reporting.page import render_report
from alexnet2012.reporting.tables import render_tables

ROOT = Path(__file__).parents[3]
REFERENCES = ROOT / "results" / "reference"


@pytest.mark.parametrize("name", sorted(path.name for path in REFERENCES.iterdir()))
def test_its_tables_are_worked_out_again_from_what_is_committed(tmp_path, monkeypatch, name):
    shutil.copytree(REFERENCES / name, tmp_path / "results" / "reference" / name)
    monkeypatch.chdir(tmp_path)
    folder = Path("results", "reference", name)  # one that is committed while its run goes on lacks records
    for path in (made := folder / "tables").glob("[!b]*"):  # benchmarks.md is no table of records
        path.unlink()
    render_tables(folder, Path("data"))
    names = ("table1.md", "table2.md", "in_text.md", "claims.md", "claims.json", "results.csv")
    assert {each: (made / each).read_text(encoding="utf-8") for each in names} == {
        each: (REFERENCES / name / "tables" / each).read_text(encoding="utf-8") for each in names
    }


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in ("cifar10", "tiny-imagenet") else ())
        for name in sorted(path.parent.name for path in REFERENCES.glob("*/report.html"))
    ],
)
def test_its_report_is_rendered_again_from_what_is_committed(tmp_path, monkeypatch, name):
    shutil.copytree(REFERENCES / name, tmp_path / "results" / "reference" / name)
    monkeypatch.chdir(tmp_path)
    (page := Path("results", "reference", name, "report.html")).unlink()
    render_report(page.parent)
    assert page.read_text(encoding="utf-8") == (REFERENCES / name / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("pattern", ["runs/*/*/*/record.json", "predictions/*/*/*/test.json", "analyses/*/*/*/*.json"])
def test_a_record_of_a_newer_schema_is_refused_by_name(tmp_path, pattern):
    reference = shutil.copytree(REFERENCES / "photographs", tmp_path / "reference" / "photographs")
    path = next(path for path in sorted(reference.glob(pattern)) if "cnn" in path.parts[-3])
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"schema": SCHEMA + 1}))
    with pytest.raises(RecordError, match=rf"{path} has schema {SCHEMA + 1}, .* up to {SCHEMA}"):
        render_tables(reference, tmp_path)


def test_a_ledger_of_a_newer_schema_is_refused(tmp_path):
    path = tmp_path / "tables" / "claims.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"schema": SCHEMA + 1, "datasets": []}), encoding="utf-8")
    with pytest.raises(RecordError, match=f"claims.json has schema {SCHEMA + 1}"):
        load_verdicts(tmp_path)


def test_the_docs_have_the_verdict_and_the_interval_of_every_claim_that_is_measured():
    (ledger,) = json.loads((REFERENCES / "cifar10" / "tables" / "claims.json").read_text(encoding="utf-8"))["datasets"]
    rows = read_rows(ROOT / "docs" / "cifar10.md")
    shown = {cells[0]: cells for cells in rows if len(cells) == 5 and cells[0][1:].isdigit()}
    measured = {each["id"]: each for each in ledger["claims"] if each["verdict"] != "not measured"}
    assert shown.keys() == measured.keys()
    for claim, (*_, found, verdict) in shown.items():
        assert verdict == measured[claim]["verdict"].partition(" on cifar10")[0]
        assert measured[claim]["interval"].removesuffix(" points").removesuffix("x") in found


def test_the_docs_have_the_errors_of_tables_1_and_2():
    rows = read_rows(ROOT / "docs" / "cifar10.md")
    shown = [cells for cells in rows if len(cells) == 4 and "%" in cells[1] and "[" in cells[2]]
    assert len(shown) == 7
    measured = [cells for number in (1, 2) for cells in read_rows(REFERENCES / f"cifar10/tables/table{number}.md")]
    for model, _, error, _ in shown:
        name = model.split(",")[0].replace("\\*", "*")
        assert any(cells[0].startswith(name) and error in cells for cells in measured), model


def read_rows(path: Path) -> list[list[str]]:
    """The cells of each line that looks like a table's, with plain spaces."""
    lines = path.read_text(encoding="utf-8").replace("\xa0", " ").splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("|")]
