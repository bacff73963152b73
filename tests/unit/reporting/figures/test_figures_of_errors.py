"""Figures of errors: their lines and markers are the recorded numbers."""

import numpy as np
import pytest
from fake_results import change
from figure_inputs import add_pair, run_folder, write_crops, write_history

from alexnet2012.reporting.figures import curves, differences, error_by_crops, errors_by_variant, figure1


def lines(axes) -> list:
    """Drawn lines with data, without the target's and the drops'."""
    return [line for line in axes.lines if line.get_linestyle() != ":"]


def drops(axes) -> list[float]:
    return [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == ":"]


def test_figure_1_has_a_line_for_each_seed_and_the_ledgers_ratio(fake):
    fake.kind = "cifar10"
    add_pair(fake)
    drawing = figure1.draw_figure1(fake.load(), "photos")
    (axes,) = drawing.figure.axes
    assert [(line.get_linestyle(), list(line.get_ydata())) for line in lines(axes)] == [
        *[("-", [50, 20])] * 3,
        *[("--", pytest.approx([70, 60, 50, 40, 20]))] * 3,
    ]
    assert axes.get_title() == (
        "Four-layer nets on photos\nepochs to 25 % training error, tanh over ReLU: 3.00x [3.00, 3.00]"
    )
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "ReLU, learning rate 0.004 (3 seeds)",
        "tanh, learning rate 0.016 (3 seeds)",
    ]
    assert [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == ":"] == [25]


def test_curves_show_the_loss_both_errors_their_means_and_the_drops(fake):
    fake.add("no-lrn", {0: {}}, ("in_text",)).add("cnn", {0: {}, 1: {}}, ("table1",))
    write_history(fake, "no-lrn", 0, [0.9, 0.9])
    write_history(fake, "cnn", 0, [0.8, 0.6, 0.5, 0.4], [0.01, 0.01, 0.001, 0.0001])
    write_history(fake, "cnn", 1, [0.6, 0.6, 0.5, 0.5, 0.5])  # its last epoch has no like
    drawing = curves.draw_curves(fake.load(), "photos")
    losses, errors = drawing.figure.axes
    assert [list(np.round(line.get_ydata(), 2)) for line in lines(losses)] == [
        [1.8, 1.6, 1.5, 1.4],
        [1.6, 1.6, 1.5, 1.5],
        [1.7, 1.6, 1.5, 1.45],
    ]
    assert [list(np.round(line.get_ydata())) for line in lines(errors)][2::3] == [[70, 60, 50, 45], [80, 70, 60, 55]]
    assert drops(losses) == drops(errors) == [2, 3]
    assert "45.0 % on training images and 55.0 % on val" in drawing.caption


def test_crops_show_each_seed_and_the_mean(fake):
    fake.add("cnn", {0: {}, 1: {}}, ("table1",))
    write_crops(fake, 0, [0.5 - 0.01 * k for k in range(10)])
    write_crops(fake, 1, [0.6 - 0.01 * k for k in range(10)])
    drawing = error_by_crops.draw_crops(fake.load(), "photos")
    (axes,) = drawing.figure.axes
    assert [list(line.get_ydata()[[0, 9]].round(6)) for line in axes.lines] == [[50, 41], [60, 51], [55, 46]]
    assert list(axes.lines[0].get_xdata()) == list(range(1, 11))
    assert axes.get_title() == "cnn on photos, 4 epochs, 2 seeds:\n9.00 points lower with 10 crops than with one"
    assert axes.lines[2].get_linewidth() > axes.lines[0].get_linewidth()


def test_variants_are_sorted_by_error_and_one_at_chance_is_an_arrow_at_the_edge(fake):
    for key, seeds in {"cnn": {0: 8, 1: 10}, "no-lrn": {0: 4}, "tanh": {0: 18}}.items():
        wrong = {seed: {("test", "ten_crop"): (n, n), ("test", "centre"): (n + 1, n)} for seed, n in seeds.items()}
        fake.add(key, wrong, ("in_text",))
    change(run_folder(fake, "tanh", 0) / "record.json", final={"train_loss": 1.0, "val_top1_error": 0.9})
    drawing = errors_by_variant.draw_errors(fake.load(), "photos")
    (axes,) = drawing.figure.axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["no-lrn, 1 seed", "cnn, 2 seeds", "⚠ tanh, 1 seed (did not learn)"]
    marked = [(line.get_marker(), list(np.round(line.get_xdata()))) for line in axes.lines]
    assert [values for marker, values in marked if marker == "o"] == [[20], [25], [45], [50]]
    assert [values for marker, values in marked if marker == "."] == [[40, 50], [45, 55]]
    assert [marker for marker, _ in marked].count(">") == 2
    assert axes.get_xlim()[1] < 90
    assert [text.get_text() for text in axes.texts] == ["90.0 %"]
    assert axes.lines[-1].get_xdata()[0] == pytest.approx(45)  # the base net's
    assert "from 20.0 % (no-lrn) to 90.0 % (tanh); cnn has 45.0 %" in drawing.alt
    fake.add("sift-fv", {0: {}}, ("table1",), training={"recipe": "baseline"})
    (axes,) = errors_by_variant.draw_errors(fake.load(), "photos").figure.axes
    assert [list(line.get_xdata()) for line in axes.lines].count([0]) == 1  # a baseline has one marker


def test_differences_have_a_panel_for_each_claim_and_bands_of_the_seeds(fake):
    histories = {
        "cnn": [[0.8, 0.6, 0.5], [0.6, 0.6, 0.3]],
        "no-lrn": [[0.9, 0.7, 0.6]],
        "no-conv2": [[0.7, 0.6, 0.3, 0.2]],
        "no-conv3": [[0.7, 0.6, 0.5]],
        "no-dropout": [[0.5, 0.3, 0.1]],
        "four-layer-tanh": [[0.9]],
    }
    for key, seeds in histories.items():
        fake.add(key, {seed: {} for seed in range(len(seeds))}, ("in_text",))
        for seed, train in enumerate(seeds):
            write_history(fake, key, seed, train)
    drawing = differences.draw_differences(fake.load(), "photos")
    lrn, dropout, layers = drawing.figure.axes
    assert [axes.get_title()[:3] for axes in (lrn, dropout, layers)] == ["C05", "C08", "C10"]
    assert dropout.get_ylabel() == "val − training error (points)"
    named = [[line for line in axes.lines if line.get_label()[0] != "_"] for axes in (lrn, dropout, layers)]
    found = [[list(np.round(line.get_ydata(), 6)) for line in each] for each in named]
    assert found == [[[20, 10, 20]], [[0, 0, 0]], [[0, 0, -10], [0, 0, 10]]]
    (band,) = lrn.collections  # of the base net, whose seeds alone are several
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (pytest.approx(-10), pytest.approx(10))
    assert "no-lrn − cnn (val error) +20.0" in drawing.alt
