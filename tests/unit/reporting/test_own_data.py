"""A report on images of one's own: accuracy, classes, confusions and the worst images come first."""

import json

import numpy as np
import pandas as pd
import pytest
from fake_results import FakeResults
from own_pictures import UNKIND, WRONG, add_own_pictures
from page import Element, read_page

from alexnet2012.data.packed import open_packed
from alexnet2012.reporting.own_data import ClassErrors
from alexnet2012.reporting.own_section import make_own_section
from alexnet2012.reporting.page import render_report
from alexnet2012.reporting.reference import update_reference
from alexnet2012.reporting.tables import render_tables


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Results with their tables; the working directory is the project's meanwhile. Not to be changed."""
    fake = FakeResults(tmp_path_factory.mktemp("own"))
    add_own_pictures(fake)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(fake.root)
        render_tables(fake.folder, fake.data)
        yield fake


@pytest.fixture(scope="module")
def page(own) -> Element:
    return read_page(render_report(own.folder).read_text(encoding="utf-8"))


def test_answers_are_counted_by_class(own):
    (found,) = json.loads((own.folder / "tables/classes.json").read_text(encoding="utf-8"))["datasets"]
    labels = open_packed(own.data / "photos").split("test").labels
    counts = np.array(found["counts"])
    assert (counts.sum(axis=1) == np.bincount(labels, minlength=20)).all()
    assert (counts.sum(), counts.trace()) == (len(labels), len(labels) - WRONG)
    first = labels[0]
    assert counts[first, (first + 1) % 20] >= 1
    assert [each["row"] for each in found["worst"]] == [4, 3, 2, 1, 0]
    assert found["worst"][0]["probability"] == pytest.approx(0.9)
    index = pd.read_parquet(own.data / "photos/test/index.parquet")
    assert [each["path"] for each in found["worst"]] == index["path"][[4, 3, 2, 1, 0]].tolist()


def test_it_leads_with_them(own, page):
    images = len(open_packed(own.data / "photos").split("test"))
    assert f"is right on {100 * (1 - WRONG / images):.1f} % [" in page.one("header").text.replace("\xa0", " ")
    headings = [each.text for each in page.all("h2") if each.text != "Contents"]
    assert headings[:3] == ["photos: what the net gets wrong", "The paper's claims on these images", "Ledger of claims"]
    assert page.text.count("numbers are of ImageNet and do not compare") == 1
    assert "Not the paper's data" not in page.text


def test_unkind_names_are_shown_as_they_are_and_escaped(page):
    section = page.one("section", id="own-photos")
    assert set(UNKIND) == {"".join(each.children) for each in section.one("table", of="narrow").all("bdi")}
    heads = [row.one("bdi") for row in section.one("table", of="matrix").all("th", scope="row")]
    assert sorted("".join(each.children) for each in heads) == sorted(UNKIND)
    assert page.all("script") == page.all("b") == []


def test_the_matrix_has_the_order_of_the_errors():
    counts = [[2, 0, 0], [1, 1, 0], [0, 2, 0]]
    section = make_own_section(ClassErrors("photos", "cnn", "test", "", ["a", "b", "c"], counts, []), None)
    assert [each.name for each in section.classes] == section.names == ["c", "b", "a"]
    assert section.matrix == [[0, 2, 0], [0, 1, 1], [0, 0, 2]]


def test_the_worst_images_are_inside_the_page_the_surest_first(page):
    items = page.one("ul", of="worst").all("li")
    assert len(items) == WRONG and "90.0 %" in items[0].text.replace("\xa0", " ")
    assert all(each.one("img").attributes["src"].startswith("data:image/jpeg;base64,") for each in items)


def test_a_reference_keeps_the_counts_and_shows_no_images(own):
    reference = update_reference(own.folder, own.data)
    assert (reference / "tables/classes.json").read_bytes() == (own.folder / "tables/classes.json").read_bytes()
    page = read_page((reference / "report.html").read_text(encoding="utf-8"))
    assert page.one("ul", of="worst").all("li") and page.one("ul", of="worst").all("img") == []


def test_other_datasets_have_no_such_section(fake, monkeypatch):
    fake.kind = "cifar10"
    add_own_pictures(fake)
    monkeypatch.chdir(fake.root)
    render_tables(fake.folder, fake.data)
    assert not (fake.folder / "tables/classes.json").exists()
    page = read_page(render_report(fake.folder).read_text(encoding="utf-8"))
    assert page.one("h1").text.startswith("The paper, claim by claim")
