"""References: made bit by bit, never made smaller unasked, and rendered with what is in."""

import json
import shutil
from pathlib import Path

import pytest
from fake_results import PROVENANCE, FakeResults, change, read_grid, save
from figures.figure_inputs import draw_kernels, write_analysis, write_history, write_weights

from alexnet2012.cli import main
from alexnet2012.errors import RecordError
from alexnet2012.reporting.figures.all import draw_figures
from alexnet2012.reporting.page import render_report
from alexnet2012.reporting.reference import update_reference
from alexnet2012.reporting.tables import render_tables

WRONG = {("test", "ten_crop"): (8, 2), ("val", "ten_crop"): (5, 1)}
RUN = "runs/photos/cnn-00000000/seed{}"
PREDICTIONS = "predictions/photos/cnn-00000000/seed{}"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> FakeResults:
    """Three seeds of cnn, one of no-lrn and an ensemble, with figures 3 and 4, curves, benchmarks and a reference."""
    fake = FakeResults(tmp_path_factory.mktemp("made"))
    fake.add("cnn", {0: WRONG, 1: WRONG, 2: WRONG}, ("table1", "table2"))
    fake.add("no-lrn", {0: WRONG}, ("in_text",)).average("5-cnns", WRONG, ("table2",))
    for seed in range(3):
        write_history(fake, "cnn", seed, [0.8, 0.6])
    write_history(fake, "no-lrn", 0, [0.9, 0.7])
    write_weights(fake, 0, draw_kernels(), towers=2)
    write_analysis(fake, 0)
    draw_figures(fake.folder, fake.data)
    save(fake.folder / "benchmarks.json", {"provenance": PROVENANCE, "subjects": []})
    update_reference(fake.folder, fake.data)
    return fake


@pytest.fixture
def finished(made, tmp_path) -> FakeResults:
    """Results as `made` has them, and no reference."""
    shutil.copytree(made.data, tmp_path / "data")
    shutil.copytree(made.folder, tmp_path / "results/some")
    return FakeResults(tmp_path, made.entries)


@pytest.fixture
def reference(made, finished) -> Path:
    """The reference of `finished`."""
    return shutil.copytree(made.root / "results/reference/some", finished.root / "results/reference/some")


@pytest.fixture
def undrawn(monkeypatch) -> None:
    """The reference has those figures alone that the results have: to draw them takes seconds."""
    monkeypatch.setattr("alexnet2012.reporting.reference.draw_figures", lambda *folders: [])


def list_files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def remove_net(folder: Path, seed: int) -> None:
    shutil.rmtree(folder / RUN.format(seed))
    shutil.rmtree(folder / PREDICTIONS.format(seed))


def drawn(reference: Path) -> list[str]:
    return [each["file"] for each in json.loads((reference / "figures/figures.json").read_text(encoding="utf-8"))]


def test_a_reference_holds_records_and_what_tables_count_and_no_weights(reference):
    found = list_files(reference)
    assert {f"{RUN.format(2)}/record.json", f"{RUN.format(2)}/history.parquet"} <= found
    assert {f"{PREDICTIONS.format(2)}/{name}" for name in ("val.json", "val-ranks.npz")} <= found
    assert {"experiments.json", "report.html", "benchmarks.json", "tables/claims.json"} <= found
    assert {"analyses/photos/cnn-00000000/seed0/analysis.json", "figures/figure4.png"} <= found
    assert not [name for name in found if name.endswith((".safetensors", ".npy"))]
    assert drawn(reference) == [
        "claims.png",
        "errors.png",
        "curves.png",
        "differences.png",
        "figure3.png",
        "figure4.png",
    ]


@pytest.mark.slow
def test_it_is_the_same_when_made_again(finished, reference):
    before = {name: (reference / name).read_bytes() for name in list_files(reference)}
    assert main(["reference", str(finished.folder), "--data", str(finished.data)]) == 0
    assert {name: (reference / name).read_bytes() for name in list_files(reference)} == before


def test_nets_are_added_as_they_come(finished, undrawn):
    later = finished.root / "later"
    for name in (RUN, PREDICTIONS):
        shutil.move(finished.folder / name.format(2), later / name.format(2))
    reference = update_reference(finished.folder, finished.data)
    assert reference == finished.root / "results/reference/some"
    assert not (reference / RUN.format(2)).exists()
    assert "1 of 5 nets and ensembles is not in yet: cnn seed 2 on photos." in (
        reference / "tables/table1.md"
    ).read_text(encoding="utf-8")
    (reference / "tables/mine.md").write_text("of someone's own\n", encoding="utf-8")
    shutil.copytree(later, finished.folder, dirs_exist_ok=True)
    update_reference(finished.folder, finished.data)
    assert (reference / RUN.format(2) / "record.json").is_file()
    assert (reference / "tables/mine.md").is_file()
    assert "Not complete" not in (reference / "tables/table1.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "lost",
    [
        f"{RUN.format(1)}/record.json",
        "predictions/photos/5-cnns-00000000/average/val.json",
        "analyses/photos/cnn-00000000/seed0/analysis.json",
    ],
)
def test_results_with_fewer_records_are_refused_and_nothing_changes(finished, reference, lost):
    before = {name: (reference / name).read_bytes() for name in list_files(reference)}
    (finished.folder / lost).unlink()
    change(finished.folder / RUN.format(0) / "record.json", wall_time_s=61.0)
    with pytest.raises(RecordError) as caught:
        update_reference(finished.folder, finished.data)
    assert f"lacks 1 of the records that {reference} holds: {lost}" in str(caught.value)
    assert {name: (reference / name).read_bytes() for name in list_files(reference)} == before


def test_a_record_that_no_table_takes_is_refused_before_anything_is_copied(finished):
    change(finished.folder / RUN.format(0) / "record.json", provenance={})
    with pytest.raises(RecordError, match='provenance: "commit" is missing'):
        update_reference(finished.folder, finished.data)
    assert not (finished.root / "results/reference").exists()


def test_without_pictures_the_figures_that_show_no_images_stay(finished, undrawn):
    options = ["--data", str(finished.data), "--no-pictures"]
    assert main(["reference", str(finished.folder), *options]) == 0
    reference = finished.root / "results/reference/some"
    assert drawn(reference) == ["claims.png", "errors.png", "curves.png", "differences.png", "figure3.png"]
    assert not {"figures/figure4.png", "analyses/photos/cnn-00000000/seed0/examples.npz"} & list_files(reference)
    assert "Figure 3" in (reference / "report.html").read_text(encoding="utf-8")
    assert "Figure 4" not in (reference / "report.html").read_text(encoding="utf-8")


def test_figures_that_need_weights_or_data_stay_as_they_were_committed(finished, reference):
    shutil.rmtree(finished.data)
    before = {name: (reference / "figures" / name).read_bytes() for name in ("figure3.png", "figure4.png")}
    assert [path.stem for path in draw_figures(reference, finished.data)] == [
        "claims",
        "errors",
        "curves",
        "differences",
    ]
    assert drawn(reference) == [
        "claims.png",
        "errors.png",
        "curves.png",
        "differences.png",
        "figure3.png",
        "figure4.png",
    ]
    assert {name: (reference / "figures" / name).read_bytes() for name in before} == before


def test_what_is_missing_is_said_in_tables_figures_and_report(finished, reference):
    remove_net(reference, 1)
    (reference / PREDICTIONS.format(2) / "val.json").unlink()
    for name in ("predictions/photos/5-cnns-00000000", "predictions/photos/no-lrn-00000000", "analyses"):
        shutil.rmtree(reference / name)
    note = (
        "4 of 5 nets and ensembles are not in yet: cnn seed 1 on photos; cnn seed 2 on photos (trained, not "
        "evaluated); no-lrn seed 0 on photos (trained, not evaluated); 5-cnns on photos."
    )
    for path in render_tables(reference, finished.data)[:4]:
        assert f"**Not complete**: {note}" in path.read_text(encoding="utf-8")
    rows = {cells[0]: cells for cells in read_grid((reference / "tables/table2.md").read_text(encoding="utf-8"))}
    assert rows["1 CNN"][-1] == "1 seed"
    assert rows["5 CNNs"][2] == "not yet reproduced"
    ledgers = json.loads((reference / "tables/claims.json").read_text(encoding="utf-8"))["datasets"]
    assert "no experiment of no-lrn; it is not in yet" in [row["conditions"] for row in ledgers[0]["claims"]]
    draw_figures(reference, finished.data)
    captions = {
        each["file"]: each["caption"]
        for each in json.loads((reference / "figures/figures.json").read_text(encoding="utf-8"))
    }
    assert captions["curves.png"].endswith(note)
    assert "2 epochs, seed 0" in captions["curves.png"]
    assert note in render_report(reference).read_text(encoding="utf-8")
