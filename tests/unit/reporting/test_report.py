"""The report's page as a text: what it holds, what it links to, and what it refuses."""

import io
import re

import pytest
from fake_results import read_grid, save
from golden import check_golden
from page import Element, read_page
from PIL import Image
from report_inputs import HOSTILE, render_by_hand

from alexnet2012.errors import RecordError
from alexnet2012.reporting.page import render_report
from alexnet2012.reporting.tables import render_tables


@pytest.fixture
def page(reported) -> Element:
    return read_page(render_by_hand(reported))


def test_the_findings_come_first(page):
    text = page.text
    assert page.one("p", of="findings").text == (
        "photos: The CNN's top-1 error on test is 20.0 % [5.0, 40.0], 2 seeds, ten crops. 5 of the paper's 6 claims "
        "were measured: ✓ supported C03, C24; ✗ contradicted C25; ? inconclusive C07; ~ indicative C04."
    )
    places = [
        text.index(each)
        for each in ("claims were measured", "ImageNet and do not compare", "Kernels of conv1", "what C03 says")
    ]
    assert places == sorted(places)
    assert text.count("ImageNet and do not compare") == 1


def test_the_page_says_what_the_tables_and_the_ledger_say(reported):
    """Every cell of the markdown stands in the page, made from the same results."""
    *tables, claims = (path.read_text() for path in render_tables(reported.folder, reported.data)[:4])
    grids = [read_grid(text, number) for text in tables for number in range(text.count("\n|:-"))]
    assert len(grids) == 6  # tables 1 and 2, the latter of two splits; the text's numbers, errors by variant
    page = read_page(render_report(reported.folder).read_text(encoding="utf-8"))
    shown = [
        [[letters(cell.text) for cell in row.walk() if cell.tag in ("th", "td")] for row in table.all("tr")]
        for table in page.one("section", id="tables").all("table")
    ]
    assert shown == [[[letters(cell) for cell in row] for row in grid] for grid in grids]
    measured = page.one("table", of="ledger").all("td", data_label="measured")
    assert [letters(cell.text) for cell in measured] == [letters(row[3]) for row in read_grid(claims)[1:]]


def letters(text: str) -> str:
    """A text without its marks and its spaces, of which Element.text has more."""
    return re.sub(r"[`*\s]", "", text)


def test_every_entry_of_the_contents_has_its_place(page):
    links = [each.attributes["href"] for each in page.one("nav").all("a")]
    assert {"#table1", "#figure-figure1", "#figure-figure3", "#runs", "#provenance"} <= set(links)
    places = [each.attributes["id"] for each in page.walk() if "id" in each.attributes]
    assert len(places) == len(set(places))
    assert {link[1:] for link in links} <= set(places)


def test_what_records_say_is_escaped(page):
    assert page.all("script") == []
    assert len(page.all("img")) == 2
    assert f"conditions: {HOSTILE}" in page.one("section", id="ledger").text
    assert [each.text for each in page.all("summary") if "more" in each.text] == ["Provenance & <more>"]
    assert page.all("figcaption")[0].text.endswith(HOSTILE)
    assert HOSTILE in page.one("section", id="tables").text
    assert page.all("b") == []


def test_nothing_is_fetched_and_only_runs_are_linked(page):
    addresses = [
        (each.tag, value)
        for each in page.walk()
        for key, value in each.attributes.items()
        if key in ("src", "href", "srcset", "data", "action") and not value.startswith(("#", "data:"))
    ]
    runs, query = "http://127.0.0.1:5000/#/experiments/7/runs", "?workflowType=machine_learning"
    ends = (f"{query}&viewStateShareKey=alexnet2012", *(f"/{run}{query}" for run in ("run0", "run1", "run0")))
    assert addresses == [("a", f"{runs}{end}") for end in ends]
    assert not re.search(r"url\(|@import", page.one("style").text)
    assert page.one("link", rel="icon").attributes["href"].startswith("data:image/svg+xml;base64,")


def test_the_page_is_the_one_that_was_looked_at(reported):
    """Without its style and its pictures."""
    text = re.sub(r"<style>.*?</style>", "", render_by_hand(reported), flags=re.DOTALL)
    check_golden("report.html", re.sub(r"base64,[^\"]+", "base64,", text))


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb, by WCAG 2."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_text_stands_out_from_its_ground_by_day_and_by_night(page):
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    themes = re.findall(r":root \{(.*?)\}", page.one("style").text)
    assert len(themes) == 2
    for theme in themes:
        colours = dict(re.findall(r"--([\w-]+): (#\w{6});", theme))
        pairs = [(name.removeprefix("on-"), name) for name in colours if name.startswith("on-")]
        assert len(pairs) == 6
        pairs += [(text, ground) for text in ("text", "faint", "link") for ground in ("page", "raised")]
        for one, other in pairs:
            assert contrast(colours[one], colours[other]) >= 4.5, (one, other)


def png_bytes() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (300, 300)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("content", [b"GIF89a", png_bytes()[:-40], b""], ids=["other", "cut off", "empty"])
def test_a_figure_that_is_no_whole_png_is_refused(reported, content):
    (reported.folder / "figures" / "figure3.png").write_bytes(content)
    with pytest.raises(RecordError, match=r"figure3.png is no whole PNG .* run snakemake to draw it"):
        render_report(reported.folder)


@pytest.mark.parametrize("name", ["lost.png", "../figure1.png", ".."])
def test_a_figure_that_is_not_in_its_folder_is_refused(reported, name):
    save(reported.folder / "figures" / "figures.json", [{"file": name, "title": "x", "caption": "y"}])
    with pytest.raises(RecordError, match=r"figures.json names .*, which is not beside it; run snakemake to draw it"):
        render_report(reported.folder)
