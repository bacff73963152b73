"""Figures 3 and 4: kernels, their chroma, predictions and neighbours stand where they should."""

import numpy as np
import pytest
from figure_inputs import draw_kernels, write_analysis, write_weights
from matplotlib.colors import to_hex
from own_pictures import WRONG, add_own_pictures

from alexnet2012.data.packed import open_packed
from alexnet2012.reporting.figures import figure3, figure4, of_one_net
from alexnet2012.reporting.figures.style import BLUE, ORANGE
from alexnet2012.reporting.own_data import count_answers


@pytest.fixture
def cnn(fake):
    return fake.add("cnn", {0: {}, 1: {}}, ("table1",))


def test_a_kernel_spans_its_own_range_around_mid_grey():
    kernel = np.zeros((3, 1, 2), np.float32)
    kernel[0, 0] = [2.0, -1.0]
    assert figure3.to_colours(kernel).tolist() == [[[1.0, 0.5, 0.5], [0.25, 0.5, 0.5]]]
    assert (figure3.to_colours(np.zeros((3, 2, 2))) == 0.5).all()


def test_kernels_stand_in_rows_of_sixteen_with_white_between():
    kernels = np.zeros((18, 3, 2, 2))
    kernels[17, :, 0, 0] = -1.0
    image = figure3.tile(kernels)
    assert image.shape == (2 * 3 - 1, 16 * 3 - 1, 3)
    assert (image[2] == 1).all() and (image[:, 2] == 1).all()
    assert image[3, 3].tolist() == [0, 0, 0]
    assert (image[3:, 6:] == 1).all()  # the second row has two kernels


def test_figure_3_keeps_the_towers_apart(cnn):
    kernels = draw_kernels(count=4)
    write_weights(cnn, 0, kernels, towers=2)
    drawing = figure3.draw_figure3(cnn.load(), "photos")
    assert [axes.get_title() for axes in drawing.figure.axes] == ["tower 1, seed 0", "tower 2, seed 0"]
    for axes, tower in zip(drawing.figure.axes, (kernels[:2], kernels[2:]), strict=True):
        assert np.allclose(axes.images[0].get_array(), figure3.tile(tower))
    assert "4 kernels of conv1, 3x3 pixels, of seed 0 (tower 1 above, tower 2 below)" in drawing.caption


def test_figure_4_shows_the_truth_in_its_own_colour(cnn):
    write_analysis(cnn, 1)
    drawing = figure4.draw_figure4(cnn.load(), "photos")
    figure = drawing.figure
    bars = [axes for axes in figure.axes if axes.patches and not axes.images]
    assert len(bars) == 8
    colours = [[to_hex(bar.get_facecolor()).upper() for bar in axes.patches] for axes in bars]
    assert colours[0] == [BLUE, *[ORANGE] * 4]
    assert colours[2] == [ORANGE, BLUE, *[ORANGE] * 3]
    assert [bar.get_width() for bar in bars[0].patches] == [0.5, 0.25, 0.125, 0.0625, 0.0625]
    assert [text.get_text() for text in bars[0].texts][:2] == ["tench", "black-and-tan c…"]
    assert "shown is seed 1" in drawing.caption
    assert "precision at 5 of 40 queries from test among 900 training images" in drawing.caption


def test_figure_4_frames_neighbours_of_other_classes(cnn):
    write_analysis(cnn, 0)
    figure = figure4.draw_figure4(cnn.load(), "photos").figure
    _, features, _, pixels = figure.subfigs[1].subfigs
    assert features.get_suptitle() == "nearest by features (fc7); precision at 5: 62.5 %"
    assert pixels.get_suptitle() == "nearest by pixels; precision at 5: 25.0 %"
    framed = [[axes.spines["left"].get_visible() for axes in part.axes] for part in (features, pixels)]
    assert framed[0] == [name_section == 4 for name_section in range(30)]
    assert all(framed[1])


@pytest.mark.parametrize(("classes", "drawn"), [(20, True), (21, False)])
def test_a_net_has_its_confusion_matrix_where_it_has_not_too_many_classes(fake, classes, drawn, monkeypatch):
    names = [f"class {k}" for k in range(classes)]
    monkeypatch.setattr(of_one_net, "MOST_CLASSES", 20)
    add_own_pictures(fake, names)
    write_weights(fake, 0, draw_kernels(), towers=2)
    dataset = open_packed(fake.data / "photos")
    net = fake.load().find("photos", "cnn").nets[0]
    of_one_net.draw_net(net, dataset)
    files = {path.name for path in net.run_folder.glob("*.png")}
    assert files == {"kernels.png"} | ({"confusion_matrix.png"} if drawn else set())


def test_a_confusion_matrix_and_the_worst_answers_name_classes_in_words(fake):
    add_own_pictures(fake, ["n01440764", "dog", "cat"])
    dataset, net = open_packed(fake.data / "photos"), fake.load().find("photos", "cnn").nets[0]
    axes = of_one_net.draw_confusions(net, dataset).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["tench", "dog", "cat"]
    assert count_answers(net, dataset).classes == ["tench", "dog", "cat"]


def test_the_cells_of_a_confusion_matrix_are_the_images_of_a_class(fake):
    add_own_pictures(fake)
    dataset = open_packed(fake.data / "photos")
    axes = of_one_net.draw_confusions(fake.load().find("photos", "cnn").nets[0], dataset).axes[0]
    cells = {text.get_position(): int(text.get_text()) for text in axes.texts}
    labels = dataset.split("test").labels
    for label, images in enumerate(np.bincount(labels, minlength=20)):
        assert sum(count for (_, row), count in cells.items() if row == label) == images
    assert sum(count for (answer, row), count in cells.items() if answer == row) == len(labels) - WRONG
