import json
from pathlib import Path

import matplotlib
import pytest
from fake_results import FakeResults
from figure_inputs import add_everything

from alexnet2012.reporting.figures.all import DRAWN_BY, draw_figures
from alexnet2012.reporting.figures.names import NEEDED, list_files
from alexnet2012.reporting.page_parts import read_figures

NAMES = ["claims", "errors", "curves", "differences", "crops", "figure1", "figure3", "figure4"]
FILES = [f"{name}.png" for name in NAMES]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> FakeResults:
    fake = FakeResults(tmp_path_factory.mktemp("drawn"))
    add_everything(fake)
    draw_figures(fake.folder, fake.data)
    return fake


def test_the_report_reads_every_figure_with_what_came_out_first(drawn):
    found = read_figures(drawn.folder / "figures")
    assert [
        each["file"] for each in json.loads((drawn.folder / "figures/figures.json").read_text(encoding="utf-8"))
    ] == FILES
    assert [each.title.split(":")[0] for each in found] == [
        "The paper's claims",
        "Errors by variant",
        "Learning curves of the base net",
        "Differences to the base net",
        "Error by number of crops",
        "Figure 1",
        "Figure 3",
        "Figure 4",
    ]
    assert all(each.width <= 848 for each in found if "Figure" not in each.title)  # GitHub shows them as they are
    assert all(any(letter.isdigit() for letter in each.alt) and each.alt != each.title for each in found)


def test_titles_name_the_dataset_where_there_are_several(fake):
    fake.add("cnn", {0: {}}, ("table1",), dataset="photos").add("cnn", {0: {}}, ("table1",), dataset="drawings")
    draw_figures(fake.folder, fake.data)
    titles = [each.title for each in read_figures(fake.folder / "figures")]
    assert "Errors by variant, photos" in titles and "Errors by variant, drawings" in titles


def test_the_same_results_give_the_same_bytes_whatever_the_users_settings(drawn):
    before = {name: (drawn.folder / "figures" / name).read_bytes() for name in FILES}
    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9, "savefig.dpi": 50}):
        draw_figures(drawn.folder, drawn.data)
    assert {name: (drawn.folder / "figures" / name).read_bytes() for name in FILES} == before


def test_every_figure_that_is_planned_is_drawn_by_something():
    assert list(NEEDED) == list(DRAWN_BY)
    described = (Path(__file__).parents[4] / "workflow/report/figures").glob("*.rst")
    assert {path.stem for path in described} == set(NEEDED)


@pytest.mark.parametrize(
    ("experiments", "analysed", "names"),
    [
        ([("a", "cnn"), ("a", None)], True, "claims errors curves crops figure3 figure4"),
        ([("a", "cnn"), ("a", "one-gpu")], False, "claims errors curves differences crops figure3"),
        ([("a", "one-gpu")], True, "claims errors curves"),
        ([("a", "four-layer-relu"), ("a", "four-layer-tanh")], False, "claims errors curves figure1"),
        (
            [("a", "one-gpu"), ("b", "cnn")],
            False,
            "claims-a errors-a curves-a claims-b errors-b curves-b crops-b figure3-b",
        ),
    ],
)
def test_the_files_that_a_plan_is_sure_to_give(experiments, analysed, names):
    assert list_files(experiments, analysed) == [f"{name}.png" for name in names.split()]
