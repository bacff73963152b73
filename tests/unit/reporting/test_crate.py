"""A results folder as a Workflow Run RO-Crate, as the library reads it."""

import shutil
from pathlib import Path

import pytest

from alexnet2012.cli import main
from alexnet2012.files import file_digest, read_json

pytest.importorskip("rocrate", reason="the extra `crate` is not installed")
from rocrate.rocrate import ROCrate

REFERENCE = Path(__file__).parents[3] / "results" / "reference" / "photographs"


@pytest.fixture
def results(tmp_path) -> Path:
    return shutil.copytree(REFERENCE, tmp_path / "photographs")


def test_the_crate_has_every_file_with_its_digest_and_the_run_that_made_them(results):
    (results / "tracking.json").write_text("{}", encoding="utf-8")  # this machine's, and so left out
    before = {path for path in results.rglob("*") if path.is_file() and path.name != "tracking.json"}

    assert main(["crate", str(results)]) == 0

    crate = ROCrate(results)
    files = {entity.id: entity for entity in crate.data_entities if "File" in entity.type}
    assert {str(path.relative_to(results)) for path in before} < files.keys()
    for name, entity in files.items():
        assert entity["sha256"] == file_digest(results / name)
        assert int(entity["contentSize"]) == (results / name).stat().st_size
    assert "tracking.json" not in files and "ro-crate-metadata.json" not in files
    assert crate.mainEntity.id == "workflow/Snakefile" and crate.mainEntity.lang.name == "Snakemake"
    (action,) = [each for each in crate.contextual_entities if each.type == "CreateAction"]
    assert action["instrument"] == crate.mainEntity
    record = read_json(next(results.glob("runs/*/*/seed0/record.json")))
    assert record["provenance"]["commit"] in action["description"]
    assert record["dataset"]["digest"] in [each.get("identifier") for each in action["object"]]
    assert {"report.html", "tables/claims.json"} <= {each.id for each in action["result"]}
    profiles = [each.id for each in crate.root_dataset["conformsTo"]]
    assert profiles == [f"https://w3id.org/ro/wfrun/{name}/0.5" for name in ("process", "workflow")]


def test_a_second_time_gives_the_same(results):
    texts = [main(["crate", str(results)]) or (results / "ro-crate-metadata.json").read_text() for _ in range(2)]
    assert read_json(results / "ro-crate-metadata.json")["@graph"]
    assert texts[0] == texts[1]


def test_an_unfinished_run_is_refused(results, capsys):
    next(results.glob("runs/*/*/seed0/record.json")).unlink()

    assert main(["crate", str(results)]) == 1

    assert "record.json" in capsys.readouterr().err
    assert not (results / "workflow").exists()
