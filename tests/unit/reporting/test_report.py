"""The report's page as a text: what it holds, what it links to, and what it refuses."""

import base64
import io
import json
import re

import pytest
from fake_results import PROVENANCE as BENCHMARKED_BY
from fake_results import change, read_grid, save
from golden import check_golden
from page import Element, read_page
from PIL import Image
from report_inputs import HOSTILE, VERDICTS, render_by_hand

from alexnet2012 import cli
from alexnet2012.errors import RecordError
from alexnet2012.reporting.page import render_report
from alexnet2012.reporting.tables import render_tables


@pytest.fixture
def page(reported) -> Element:
    return read_page(render_by_hand(reported))


def rows(page: Element) -> dict[str, Element]:
    return {row.attributes["data-claim"]: row for row in page.all("tr") if "data-claim" in row.attributes}


def test_the_heading_says_what_was_run(page):
    assert page.one("h1").text == "The paper, claim by claim: some"
    assert page.one("title").text == "alexnet2012: some"
    assert page.one("html").attributes["lang"] == "en"
    assert page.one("p", of="what").text == "photos : cnn, seeds 0, 1; one-gpu, seed 0; 5-cnns, average of 5"


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


def test_the_ledger_shows_every_claim_with_its_verdict_in_colour_sign_and_words(page):
    assert list(rows(page)) == [name for name in VERDICTS if name != "C09"]
    found = rows(page)["C03"]
    assert found.attributes["data-verdict"] == "supported"
    assert found.one("span", of="verdict supported").text == "✓ supported"
    assert found.one("td", data_label="verdict").text == "✓ supported"
    assert found.one("td", data_label="measured").text == "2.61 [2.17, 3.06] points"


def test_how_a_claim_was_tested_and_why_one_was_not_is_folded_away(page):
    folded = {each.one("summary").text: each.one("ul") for each in page.one("section", id="ledger").all("details")}
    assert folded["1 claim was not measured"].text.startswith("C09 what C09 says: photos;")
    lines = dict(each.text.split(": ", 1) for each in folded["C03 what C03 says"].all("li"))
    assert lines["measured"] == "2.61 [2.17, 3.06] / 0.4 [0.1, 0.7] points"
    assert lines["verdict"] == VERDICTS["C03"]
    assert lines["tests"] == "p 0.00123, Holm < 0.0001"
    assert folded["C03 what C03 says"].one("code").text == "test"


def test_the_ledgers_notes_stand_around_its_claims_and_what_made_it_is_folded_away(page):
    section = page.one("section", id="ledger")
    words = ("what C03 says", "Tests over seeds (here 1)", "gap: 0.5 points", "dataset: photos")
    places = [section.text.index(each) for each in words]
    assert places == sorted(places)
    folded = section.all("details")[-1].text
    assert "dataset: photos" in folded and "gap: 0.5 points" not in folded


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


def test_benchmarks_that_were_published_are_a_table_of_the_page(reported):
    save(reported.folder / "benchmarks.json", {"provenance": BENCHMARKED_BY, "subjects": []})
    page = read_page(render_report(reported.folder).read_text(encoding="utf-8"))
    headings = [each.text for each in page.one("section", id="tables").all("h3")]
    assert headings == ["Table 1", "Table 2", "Numbers in the text", "Benchmarks"]
    save(reported.folder / "benchmarks.json", {"subjects": []})
    with pytest.raises(RecordError, match=r"benchmarks.json"):
        render_report(reported.folder)


def test_a_warning_of_too_few_steps_stands_below_its_table(fake, reported):
    fake.add("short", {0: {}}, ("table1",), training={"steps": 240, "epochs": 30})
    tables = read_page(render_report(fake.folder).read_text(encoding="utf-8")).one("section", id="tables")
    assert any("short" in each.text and "too few steps" in each.text for each in tables.all("p"))


def test_tables_are_rendered_with_their_origin_folded_away(page):
    tables = page.one("section", id="tables")
    assert [each.text for each in tables.all("h3")] == ["Table 1"]
    cells = [each.text for each in tables.one("table").all("td")]
    assert cells[:3] == ["Sparse coding [2]", "47.1 %", "44.9 % [42.8, 46.9]"]
    assert cells[3:] == ["1 CNN*", HOSTILE, "7 CNNs*"]
    origin = ["dataset: photos, digest 0123", "commit: 0123456789ab"]
    assert [each.text for each in tables.all("li")] == ["a note", *origin]
    assert tables.one("details").all("li")[1].one("code").text == "0123456789ab"
    assert (tables.one("strong").text, tables.one("p").one("code").text) == ("weight", "code")


def test_every_table_scrolls_in_its_own_box(page):
    boxes = page.all("div", of="scroll")
    assert len(boxes) == len(page.all("table")) == 3
    assert all(box.all("table") and box.attributes["tabindex"] == "0" for box in boxes)


def test_figures_are_inside_the_page_at_the_size_they_were_drawn_for(page, reported):
    pictures = page.all("img")
    for picture, name in zip(pictures, ("figure1", "figure3"), strict=True):
        kind, content = picture.attributes["src"].split(",")
        assert kind == "data:image/png;base64"
        assert base64.b64decode(content) == (reported.folder / "figures" / f"{name}.png").read_bytes()
    # 62 x 40 pixels at 192 to the inch are 31 x 20 of the page's 96.
    assert (pictures[1].attributes["width"], pictures[1].attributes["height"]) == ("31", "20")
    assert [each.attributes["alt"] for each in pictures] == ['Figure 1: "ReLU" & tanh', "Eight grey squares."]
    assert page.all("figcaption")[1].text == "Figure 3. Kernels of conv1."


def test_without_a_folder_of_figures_there_is_no_such_section(reported):
    for path in (reported.folder / "figures").iterdir():
        path.unlink()
    (reported.folder / "figures").rmdir()
    page = read_page(render_report(reported.folder).read_text(encoding="utf-8"))
    assert page.all("section", id="figures") == page.all("img") == page.all("a", href="#figures") == []


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


def test_runs_of_a_store_on_this_machine_say_how_to_open_it(page):
    runs = page.one("section", id="runs")
    assert "Start alexnet2012 ui" in runs.text
    assert runs.all("th", scope="col")[-1].text == "MLflow run"
    assert [row.text for row in runs.all("tr")][1] == "cnn-seed0 photos 4 1.0 2026-11-24 0123456789ab run0"


def test_runs_of_a_server_are_linked_there_without_its_user(reported):
    change(reported.folder / "tracking.json", uri="https://***@mlflow.example.org:8443/lab/")
    page = read_page(render_report(reported.folder).read_text(encoding="utf-8"))
    links = [each.attributes["href"] for each in page.one("section", id="runs").all("a")]
    assert links[:2] == [
        "https://mlflow.example.org:8443/lab/#/experiments/7/runs?workflowType=machine_learning&viewStateShareKey=alexnet2012",
        "https://mlflow.example.org:8443/lab/#/experiments/7/runs/run0?workflowType=machine_learning",
    ]
    assert "alexnet2012 ui" not in page.text


@pytest.mark.parametrize("lost", ["file", "experiment"])
def test_runs_without_a_known_store_are_named_and_not_linked(reported, lost):
    path = reported.folder / "tracking.json"
    if lost == "file":
        path.unlink()
    else:
        save(path, {"uri": "http://dead", "experiment_id": None, "parent_run_id": None, "name": "some"})
    runs = read_page(render_report(reported.folder).read_text(encoding="utf-8")).one("section", id="runs")
    assert runs.all("a") == []
    assert "run1" not in runs.text
    assert runs.all("th", scope="col")[-1].text == "commit"


def test_a_run_that_is_sent_to_the_store_later_is_searched_for_there(reported):
    record = reported.folder / "runs/photos/cnn-00000000/seed0/record.json"
    save(record, json.loads(record.read_text(encoding="utf-8")) | {"mlflow_run_id": None})
    runs = read_page(render_report(reported.folder).read_text(encoding="utf-8")).one("section", id="runs")
    link = runs.all("tr")[1].one("a")
    assert link.text == "search" and "searchFilter=tags.%60configuration%60" in link.attributes["href"]
    assert "%27cnn%27" in link.attributes["href"] and "workflowType=machine_learning" in link.attributes["href"]


def test_provenance_names_commit_versions_hardware_and_data(page):
    section = page.one("section", id="provenance")
    found = dict(zip((each.text for each in section.all("dt")), (each.text for each in section.all("dd")), strict=True))
    assert found["digest of the packed data"] == "photos0123456789abcdef"
    assert found["commit"] == "0123456789ab"
    assert found["software"] == "torch 2.14.1, torchvision 0.29.1, Python 3.11.7"
    assert found["hardware"] == "Some CPU, 2 usable cores"


def test_the_page_is_the_one_that_was_looked_at(reported):
    """Without its style and its pictures."""
    text = re.sub(r"<style>.*?</style>", "", render_by_hand(reported), flags=re.DOTALL)
    check_golden("report.html", re.sub(r"base64,[^\"]+", "base64,", text))


def test_the_same_results_make_the_same_bytes(reported):
    first = render_report(reported.folder).read_bytes()
    assert render_report(reported.folder).read_bytes() == first


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


def test_the_verb_prints_the_pages_path(reported, capsys):
    assert cli.main(["report", str(reported.folder)]) == 0
    assert capsys.readouterr().out == f"{reported.folder}/report.html\n"


def test_a_folder_of_no_results_is_refused(tmp_path, capsys):
    assert cli.main(["report", str(tmp_path)]) == 1
    assert f"{tmp_path}/experiments.json" in capsys.readouterr().err
