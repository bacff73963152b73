"""Figure 1, the training curves and the error by number of crops: their lines are the recorded numbers."""

import numpy as np
import pandas as pd
import pytest
from fake_results import change
from figure_inputs import add_pair, write_crops, write_history

from alexnet2012.reporting.figures import curves, error_by_crops, figure1


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


def test_figure_1_of_a_tanh_that_never_got_there_says_at_least(fake):
    fake.kind = "cifar10"
    add_pair(fake, tanh_epochs=None, seeds=(0,))
    title = figure1.draw_figure1(fake.load(), "photos").figure.axes[0].get_title()
    assert "at least 3.33x" in title.replace("\n", " ")


def test_figure_1_needs_both_nets(fake):
    fake.add("four-layer-relu", {0: {}}, ("in_text",))
    write_history(fake, "four-layer-relu", 0, [0.5, 0.2])
    assert figure1.draw_figure1(fake.load(), "photos") is None


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


def test_curves_of_a_plan_without_cnn_are_of_the_first_net_that_was_trained(fake):
    for key in ("a", "b"):
        fake.add(key, {0: {}}, ("in_text",))
        write_history(fake, key, 0, [0.6, 0.5])
    assert "Net: a on" in curves.draw_curves(fake.load(), "photos").caption


def test_a_history_is_read_once(fake, monkeypatch):
    fake.add("cnn", {0: {}}, ("table1",))
    write_history(fake, "cnn", 0, [0.6, 0.5])
    read, found = [], pd.read_parquet
    monkeypatch.setattr(pd, "read_parquet", lambda path: read.append(path) or found(path))
    results = fake.load()
    for _ in range(2):
        curves.draw_curves(results, "photos")
    assert len(read) == 1


def test_crops_show_each_seed_and_the_mean(fake):
    fake.add("cnn", {0: {}, 1: {}}, ("table1",))
    write_crops(fake, 0, [0.5 - 0.01 * k for k in range(10)])
    write_crops(fake, 1, [0.6 - 0.01 * k for k in range(10)])
    drawing = error_by_crops.draw_crops(fake.load(), "photos")
    (axes,) = drawing.figure.axes
    assert [list(line.get_ydata()[[0, 9]].round(6)) for line in axes.lines] == [[50, 41], [60, 51], [55, 46]]
    assert list(axes.lines[0].get_xdata()) == list(range(1, 11))
    assert axes.get_title() == "cnn on photos, 4 epochs, 2 seeds: 9.00 points lower with 10 crops than with one"
    assert axes.lines[2].get_linewidth() > axes.lines[0].get_linewidth()


def test_crops_are_left_out_where_one_prediction_lacks_them(fake):
    fake.add("cnn", {0: {}, 1: {}}, ("table1",))
    write_crops(fake, 0, [0.5] * 10)
    assert error_by_crops.draw_crops(fake.load(), "photos") is None


def test_crops_are_vals_where_test_is_withheld(fake):
    fake.splits = ("val",)
    fake.add("cnn", {0: {}}, ("table2",))
    assert error_by_crops.draw_crops(fake.load(), "photos") is None
    change(fake.folder / "predictions/photos/cnn-00000000/seed0/val.json", errors_by_crops=[0.5] * 10)
    assert error_by_crops.draw_crops(fake.load(), "photos").figure.axes[0].get_ylabel() == "top-1 error on val (%)"
