"""Names of classes in figures: literal, distinct, and never boxes without a word."""

import io
import json
import warnings

import numpy as np
import pytest
from figure_inputs import UNKIND, add_everything
from matplotlib import font_manager
from matplotlib.text import Text

from alexnet2012.reporting.figures import figure4
from alexnet2012.reporting.figures.lettering import letter, list_letters, shorten
from alexnet2012.reporting.figures.style import in_style


@pytest.fixture(autouse=True)
def style():
    with in_style():
        yield


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["tench, Tinca tinca", "goldfish"], ["tench", "goldfish"]),
        (["crane, bird", "crane, machine"], ["crane, bird", "crane, mach…"]),
        (["long first part one", "long first part two"], ["long …rt one", "long …rt two"]),
        (["x" * 20 + "a" + "y" * 20, "x" * 20 + "b" + "y" * 20], ["xxxxxxxx… #0", "xxxxxxxx… #1"]),
        (["same", "same"], ["same #0", "same #1"]),
        (["猫猫猫猫猫猫猫猫"], ["猫猫猫猫猫…"]),
        (["", ", "], ["", ", "]),
    ],
)
def test_names_are_cut_only_where_they_stay_distinct(names, shown):
    assert shorten(names, 12) == shown


def test_an_installed_font_is_taken_for_letters_that_the_own_one_lacks():
    installed = {each.name: each.fname for each in font_manager.fontManager.ttflist}
    own, other = (list_letters(installed[name]) for name in ("DejaVu Sans", "DejaVu Serif"))
    lacking = next(each for each in sorted(other - own) if each.isprintable())
    found = letter([lacking, "cat"], 17)
    assert found.names == [lacking, "cat"] and not found.missing
    assert found.fonts[0] == "DejaVu Sans" and lacking in list_letters(installed[found.fonts[1]])


def test_figure_4_is_drawn_with_unkind_names(fake):
    add_everything(fake)
    path = fake.folder / "analyses/photos/cnn-00000000/seed0/examples.npz"
    with np.load(path) as arrays:
        examples = dict(arrays)
    examples["test_top5"] = np.resize(np.arange(len(UNKIND)), (8, 5))
    examples["test_labels"] = examples["test_top5"][:, 0]
    np.savez(path, **examples)
    (fake.data / "photos/manifest.json").write_text(json.dumps({"classes": UNKIND}), encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a glyph that is missing
        figure = figure4.draw_figure4(fake.load(), "photos").figure
        figure.savefig(io.BytesIO())
    drawn = {text.get_text() for text in figure.findobj(Text)}
    assert set(letter(UNKIND, figure4.LONGEST_NAME).names) <= drawn
