"""Every committed page in headless Chromium: tables fit GitHub's width, and a report never scrolls sideways."""

import json
import re
from html import escape
from pathlib import Path

import pytest
from chromium import needs_chromium, rendered
from markdown_it import MarkdownIt
from own_pictures import add_own_pictures
from page import read_page

from alexnet2012.reporting.page import render_report
from alexnet2012.reporting.tables import render_tables

pytestmark = needs_chromium

REFERENCES = Path(__file__).parents[3] / "results" / "reference"
GITHUB_PX = 848  # of a page's text
# What of GitHub's look decides widths.
GITHUB = """<style>
body { margin: 0; font: 16px/1.5 -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; }
body { overflow-wrap: break-word; }
table { display: block; width: max-content; max-width: 100%; overflow: auto; border-collapse: collapse; }
th, td { padding: 6px 13px; border: 1px solid; }
code { font-size: 85%; padding: 0.2em 0.4em; }
</style>"""
# Opens what is folded away in each frame and lists what is wider than its place, then leaves nothing but that list.
WITNESS = """<script>addEventListener("load", () => {
  const wide = each => each.scrollWidth > each.clientWidth + 1;
  const found = {};
  for (const frame of document.querySelectorAll("iframe")) {
    const page = frame.contentDocument;
    page.querySelectorAll("details").forEach(each => each.open = true);
    const boxes = [page.documentElement, ...page.querySelectorAll(frame.dataset.boxes || "nothing")];
    found[frame.name] = boxes.filter(wide).map(each => each.innerText.slice(0, 60));
  }
  document.body.replaceChildren(Object.assign(document.createElement("pre"), {innerText: JSON.stringify(found)}));
});</script>"""


def frame(name: str, page: str, width_px: int, boxes: str = "") -> str:
    """A page in a frame of that width, where the elements `boxes` must not scroll either."""
    described = f'name="{escape(name)}" width="{width_px}" height="900" data-boxes="{boxes}"'
    return f'<iframe {described} style="border: 0" srcdoc="{escape(page)}"></iframe>'


def frame_markdown(name: str, text: str) -> str:
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    return frame(name, GITHUB + html, GITHUB_PX, "table")


def frame_report(name: str, page: str) -> str:
    """On a large screen and on a telephone, where tables scroll in boxes of their own; its pictures of one pixel."""
    light = re.sub(r"(data:image/\w+;base64,)[^\"]+", r"\1iVBORw0KGgo=", page)
    return frame(f"{name} at 1400", light, 1400, ".scroll") + frame(f"{name} at 400", light, 400)


@pytest.fixture
def own_report(fake, monkeypatch) -> str:
    """A report on classes with unkind names."""
    add_own_pictures(fake)
    with monkeypatch.context() as patch:
        patch.chdir(fake.root)
        render_tables(fake.folder, fake.data)
        return render_report(fake.folder).read_text(encoding="utf-8")


def test_no_table_and_no_report_is_wider_than_its_page(own_report, tmp_path):
    tables = sorted(REFERENCES.glob("*/tables/*.md"))
    reports = sorted(REFERENCES.glob("*/report.html"))
    frames = [frame_markdown(f"{path.parts[-3]}/{path.name}", path.read_text(encoding="utf-8")) for path in tables]
    frames += [frame_report(path.parent.name, path.read_text(encoding="utf-8")) for path in reports]
    frames += [frame_report("own", own_report), frame_markdown("wide table", f"| a |\n|---|\n| {'x' * 200} |\n")]
    frames.append(frame("wide page", '<div style="width: 900px">x</div>', 400))
    page = tmp_path / "frames.html"
    page.write_text(f"<!doctype html><meta charset='utf-8'><body>{''.join(frames)}{WITNESS}", encoding="utf-8")
    shown = read_page(rendered(page.as_uri(), tmp_path / "profile", 1500))
    found = json.loads(shown.one("pre").text)
    assert len(found) == len(tables) + 2 * len(reports) + 4
    assert {name for name, wide in found.items() if wide} == {"wide table", "wide page"}, found
