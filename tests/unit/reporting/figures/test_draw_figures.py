import json

import matplotlib
import pytest
from fake_results import FakeResults, change
from figure_inputs import add_everything, run_folder, write_history
from PIL import Image

from alexnet2012.cli import main
from alexnet2012.errors import RecordError
from alexnet2012.reporting.figures.all import DRAWN_BY, draw_figures
from alexnet2012.reporting.figures.names import NEEDED, list_files
from alexnet2012.reporting.page_parts import read_figures

FILES = ["figure1.png", "figure3.png", "figure4.png", "curves.png", "crops.png"]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> FakeResults:
    fake = FakeResults(tmp_path_factory.mktemp("drawn"))
    add_everything(fake)
    draw_figures(fake.folder, fake.data)
    return fake


def test_the_report_reads_every_figure_in_the_order_of_the_paper(drawn):
    found = read_figures(drawn.folder / "figures")
    assert [
        each["file"] for each in json.loads((drawn.folder / "figures/figures.json").read_text(encoding="utf-8"))
    ] == FILES
    assert [each.title.split(":")[0] for each in found] == [
        "Figure 1",
        "Figure 3",
        "Figure 4",
        "Training curves",
        "Error by number of crops",
    ]
    assert all("photos" in each.caption for each in found)
    assert all(400 <= each.width <= 1500 and each.height <= 900 for each in found)


def test_pictures_have_at_least_150_dots_an_inch_and_no_version_inside(drawn):
    for name in FILES:
        with Image.open(drawn.folder / "figures" / name) as image:
            assert round(image.info["dpi"][0]) >= 150
            assert "Software" not in image.info


def test_the_same_results_give_the_same_bytes_whatever_the_users_settings(drawn):
    before = {name: (drawn.folder / "figures" / name).read_bytes() for name in FILES}
    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9, "savefig.dpi": 50}):
        draw_figures(drawn.folder, drawn.data)
    assert {name: (drawn.folder / "figures" / name).read_bytes() for name in FILES} == before


def test_what_old_results_lack_is_left_out(fake):
    fake.add("cnn", {0: {}}, ("table1",))
    write_history(fake, "cnn", 0, [0.8, 0.6])
    assert draw_figures(fake.folder, fake.data) == [fake.folder / "figures" / "curves.png"]


def test_several_datasets_have_their_own_files_and_the_verb_prints_them(fake, capsys):
    for dataset in ("photos", "more"):
        fake.add("cnn", {0: {}}, ("table1",), dataset)
        write_history(fake, "cnn", 0, [0.8, 0.6], dataset=dataset)
    assert main(["figures", str(fake.folder), "--data", str(fake.data)]) == 0
    names = ["curves-photos.png", "curves-more.png"]
    assert capsys.readouterr().out.splitlines() == [str(fake.folder / "figures" / name) for name in names]
    assert [
        each["file"] for each in json.loads((fake.folder / "figures/figures.json").read_text(encoding="utf-8"))
    ] == names


def test_a_record_without_its_commit_stands_in_no_figure(fake):
    fake.add("cnn", {0: {}}, ("table1",))
    change(run_folder(fake, "cnn", 0) / "record.json", provenance={})
    with pytest.raises(RecordError, match="does not say its commit"):
        draw_figures(fake.folder, fake.data)


def test_every_figure_that_is_planned_is_drawn_by_something():
    assert list(NEEDED) == list(DRAWN_BY)


@pytest.mark.parametrize(
    ("experiments", "analysed", "files"),
    [
        ([("a", "cnn"), ("a", None)], True, ["figure3.png", "figure4.png", "curves.png", "crops.png"]),
        ([("a", "cnn")], False, ["figure3.png", "curves.png", "crops.png"]),
        ([("a", "one-gpu")], True, ["curves.png"]),
        ([("a", "four-layer-relu")], False, ["curves.png"]),
        ([("a", "four-layer-relu"), ("a", "four-layer-tanh")], False, ["figure1.png", "curves.png"]),
        (
            [("a", "one-gpu"), ("b", "cnn")],
            True,
            ["curves-a.png", "figure3-b.png", "figure4-b.png", "curves-b.png", "crops-b.png"],
        ),
    ],
)
def test_the_files_that_a_plan_is_sure_to_give(experiments, analysed, files):
    assert list_files(experiments, analysed) == files
