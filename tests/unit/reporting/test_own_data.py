"""A report on images of one's own: accuracy, classes, confusions and the worst images come first."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from fake_results import change
from own_pictures import UNKIND, WRONG, add_own_pictures
from page import Element, read_page

from alexnet2012.data.packed import open_packed
from alexnet2012.errors import RecordError
from alexnet2012.reporting.own_data import ClassErrors
from alexnet2012.reporting.own_section import make_own_section
from alexnet2012.reporting.page import render_report
from alexnet2012.reporting.reference import update_reference
from alexnet2012.reporting.tables import render_tables


@pytest.fixture
def own(fake, monkeypatch):
    add_own_pictures(fake)
    monkeypatch.chdir(fake.root)
    render_tables(fake.folder, fake.data)
    return fake


def render(fake) -> Element:
    return read_page(render_report(fake.folder).read_text(encoding="utf-8"))


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


def test_it_leads_with_them(own):
    page = render(own)
    images = len(open_packed(own.data / "photos").split("test"))
    assert f"is right on {100 * (1 - WRONG / images):.1f} % [" in page.one("header").text.replace("\xa0", " ")
    headings = [each.text for each in page.all("h2") if each.text != "Contents"]
    assert headings[:3] == ["photos: what the net gets wrong", "The paper's claims on these images", "Ledger of claims"]
    assert page.text.count("numbers are of ImageNet and do not compare") == 1
    assert "Not the paper's data" not in page.text


def test_unkind_names_are_shown_as_they_are_and_escaped(own):
    page = render(own)
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


def test_without_an_index_an_image_is_named_by_its_row(own):
    paths = [each["path"] for each in worst_of(own)]
    texts = [each.text for each in render(own).one("ul", of="worst").all("li")]
    assert all(path in text and "of test" not in text for path, text in zip(paths, texts, strict=True))
    (own.data / "photos/test/index.parquet").unlink()
    render_tables(own.folder, own.data)
    assert [each["path"] for each in worst_of(own)] == [""] * WRONG
    assert "image 4 of test" in render(own).one("ul", of="worst").all("li")[0].text


def worst_of(fake) -> list[dict]:
    return json.loads((fake.folder / "tables/classes.json").read_text(encoding="utf-8"))["datasets"][0]["worst"]


def test_the_worst_images_are_inside_the_page_the_surest_first(own):
    items = render(own).one("ul", of="worst").all("li")
    assert len(items) == WRONG and "90.0 %" in items[0].text.replace("\xa0", " ")
    assert all(each.one("img").attributes["src"].startswith("data:image/jpeg;base64,") for each in items)
    shutil.rmtree(own.data)
    assert render(own).one("ul", of="worst").all("img") == []


def test_of_many_classes_the_confusions_are_listed(fake, monkeypatch):
    add_own_pictures(fake, [f"class {k}" for k in range(21)])
    monkeypatch.chdir(fake.root)
    render_tables(fake.folder, fake.data)
    section = render(fake).one("section", id="own-photos")
    assert section.all("table", of="matrix") == []
    assert [each.text for each in section.all("h3")][1] == "Most frequent confusions"
    assert section.all("details")[0].one("summary").text == "The other 1 classes"


def test_a_reference_keeps_the_counts_and_shows_no_images(own):
    reference = update_reference(own.folder, own.data)
    assert (reference / "tables/classes.json").read_bytes() == (own.folder / "tables/classes.json").read_bytes()
    page = read_page((reference / "report.html").read_text(encoding="utf-8"))
    assert page.one("ul", of="worst").all("li") and page.one("ul", of="worst").all("img") == []


def test_answers_of_other_weights_are_refused(own):
    path = own.folder / "tables/classes.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    found["datasets"][0]["weights_sha256"] = "of another net"
    path.write_text(json.dumps(found))
    with pytest.raises(RecordError, match=r"classes\.json"):
        render(own)


def test_a_net_at_chance_is_called_that_first(own):
    (record,) = own.folder.glob("runs/photos/cnn-*/seed0/record.json")
    change(record, diverged=True)
    assert "cnn seed 0 did not learn" in render(own).one("header").text


@pytest.mark.parametrize("kind", ["cifar10", "ilsvrc2012"])
def test_other_datasets_have_no_such_section(fake, kind, monkeypatch):
    fake.kind = kind
    add_own_pictures(fake)
    monkeypatch.chdir(fake.root)
    render_tables(fake.folder, fake.data)
    assert not (fake.folder / "tables/classes.json").exists()
    assert render(fake).one("h1").text.startswith("The paper, claim by claim")
