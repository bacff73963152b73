"""The committed rehearsal: its tables are what its records and each image's ranks say."""

import shutil
from pathlib import Path

from alexnet2012.reporting.tables import render_tables

REFERENCE = Path(__file__).parents[3] / "results" / "reference" / "rehearsal"


def test_its_tables_are_worked_out_again_from_what_is_committed(tmp_path, monkeypatch):
    shutil.copytree(REFERENCE, tmp_path / "results" / "rehearsal")
    monkeypatch.chdir(tmp_path)
    for path in (made := Path("results/rehearsal/tables")).glob("[!b]*"):  # benchmarks.md is no table of records
        path.unlink()
    render_tables(Path("results/rehearsal"), Path("data"))
    names = ("table1.md", "table2.md", "in_text.md", "claims.md", "claims.json")
    assert {name: (made / name).read_text() for name in names} == {
        name: (REFERENCE / "tables" / name).read_text() for name in names
    }
