"""Markdown of tables, such as tables.py writes, as HTML for a page that makes no request."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.tree import SyntaxTreeNode
from markupsafe import Markup, escape

LEDGER_HEADER = "claim"  # of the first column of a ledger's table
# A table wider than the window scrolls in a box of its own, by keyboard too.
BOX = '<div class="scroll" role="region" tabindex="0" aria-label="Table">\n<table>\n'
# Below a table stands a list of what made it, for those who ask.
FOLDED = Markup('<details class="origin">\n<summary>What made these numbers</summary>\n{}</details>\n')
# An interval, a number with its unit and a name such as top-1 are each read as one word.
WHOLE = re.compile(r"\[-?[\d.,]+, -?[\d.,]+\]|-?[\d.,]+ %|\btop-\d\b")


@dataclass(frozen=True)
class Part:
    """What stands under one second-level heading of a ledger, before and after the table of claims; that is left out.

    The `title` of what stands before the first such heading is empty.
    """

    title: str
    before: Markup
    after: Markup


def to_html(text: str, deeper: int) -> Markup:
    """HTML of markdown with tables, its headings `deeper` levels down, its lists of origins folded away.

    HTML within the text is escaped; links and images stay as they are written: records hold none, and an image would
    be a request.
    """
    return render(parse(text), deeper)


def to_inline_html(text: str) -> Markup:
    """The same for what stands in one cell, a sentence without blocks."""
    return Markup(make_parser().renderInline(text))


def split_ledger(text: str, deeper: int) -> list[Part]:
    """The parts of a ledger's markdown, without its first-level heading and its tables of claims."""
    parts: list[tuple[str, list, list]] = [("", [], [])]
    past_table = False
    for node in parse(text):
        if node.type == "heading" and node.tag in ("h1", "h2"):
            past_table = False
            if node.tag == "h2":
                parts.append((node.children[0].content, [], []))
        elif is_ledger(node):
            past_table = True
        else:
            parts[-1][1 + past_table].append(node)
    return [Part(title, render(before, deeper), render(after, deeper)) for title, before, after in parts]


def parse(text: str) -> list[SyntaxTreeNode]:
    """The blocks of the text, in order."""
    return SyntaxTreeNode(make_parser().parse(text)).children


def is_ledger(node: SyntaxTreeNode) -> bool:
    return node.type == "table" and first_cell(node) == LEDGER_HEADER


def is_origin(node: SyntaxTreeNode) -> bool:
    """A list of what made a table names its commit."""
    return node.type == "bullet_list" and any(
        each.content.startswith("commit: ") for each in node.walk() if each.type == "inline"
    )


def first_cell(table: SyntaxTreeNode) -> str:
    return next(node.content for node in table.walk() if node.type == "inline")


def render(blocks: Iterable[SyntaxTreeNode], deeper: int) -> Markup:
    parser = make_parser()
    parts = []
    for block in blocks:
        tokens = block.to_tokens()
        if block.type == "heading":
            tokens[0].tag = tokens[-1].tag = f"h{min(6, int(block.tag[1]) + deeper)}"
        html = Markup(parser.renderer.render(tokens, parser.options, {}))
        parts.append(FOLDED.format(html) if is_origin(block) else html)
    return Markup("").join(parts)


def make_parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["image", "link", "autolink"])
    for name, html in {
        "table_open": BOX,
        "table_close": "</table>\n</div>\n",
        "th_open": '<th scope="col">',
        "td_open": "<td>",
    }.items():
        parser.add_render_rule(name, write(html))
    parser.add_render_rule("text", write_text)
    return parser


def write(html: str):
    """A rule of the renderer that writes `html`, whatever the token."""

    def rule(renderer: RendererHTML, tokens, index, options, environment) -> str:
        return html

    return rule


def write_text(renderer: RendererHTML, tokens, index, options, environment) -> str:
    return str(keep_whole(tokens[index].content))


def keep_whole(text: str) -> Markup:
    """The text, escaped, in which no line breaks within an interval, a percentage or top-1."""
    return Markup(WHOLE.sub(r'<span class="whole">\g<0></span>', str(escape(text))))
