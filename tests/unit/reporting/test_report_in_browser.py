"""The report as headless Chromium shows it: a verdict, every picture, and no request."""

import re
from pathlib import Path

import pytest
from chromium import needs_chromium, rendered
from page import Element, read_page
from report_inputs import render_by_hand

POLICY = "default-src 'none';"
# Written into the page by a script of the test's own, which the page's policy would not let run.
WITNESS = """<script>addEventListener("load", () => {
  const pictures = [...document.images];
  const root = document.documentElement;
  root.dataset.pictures = pictures.length;
  root.dataset.loaded = pictures.filter(each => each.complete && each.naturalWidth > 0).length;
  const resources = performance.getEntriesByType("resource");
  root.dataset.requests = resources.filter(each => !each.name.startsWith("data:")).length;
  root.dataset.ground = getComputedStyle(document.querySelector(".verdict.contradicted")).backgroundColor;
});</script>"""

pytestmark = needs_chromium


def browse(text: str, folder: Path) -> Element:
    """The page as Chromium has it once it is loaded, WITNESS's findings among the attributes of <html>."""
    assert text.count(POLICY) == 1
    path = folder / "page.html"
    path.write_text(
        text.replace(POLICY, f"{POLICY} script-src 'unsafe-inline';").replace("</body>", f"{WITNESS}</body>"),
        encoding="utf-8",
    )
    return read_page(rendered(path.as_uri(), folder / "profile"))


def findings(page: Element) -> dict[str, str]:
    attributes = page.one("html").attributes
    return {key: attributes[f"data-{key}"] for key in ("pictures", "loaded", "requests")}


@pytest.fixture
def text(reported) -> str:
    return render_by_hand(reported)


def test_the_report_shows_its_verdicts_and_all_its_pictures_and_asks_nobody(text, tmp_path):
    page = browse(text, tmp_path)
    assert findings(page) == {"pictures": "2", "loaded": "2", "requests": "0"}
    assert page.one("tr", data_claim="C25").one("td", data_label="verdict").text == "✗ contradicted"
    assert page.one("html").attributes["data-ground"] == "rgb(255, 235, 233)"


def test_a_broken_picture_and_a_request_would_be_seen(text, tmp_path):
    broken = re.sub(r"(data:image/png;base64,)[^\"]*", r"\1AAAA", text, count=1)
    asking = broken.replace("img-src data:", "img-src data: http:").replace(
        "</main>", '<img src="http://127.0.0.1:9/x.png" alt=""></main>'
    )
    assert findings(browse(asking, tmp_path)) == {"pictures": "3", "loaded": "1", "requests": "1"}
