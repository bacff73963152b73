"""What a terminal shows of results: a few lines at the end of a run, and whole pages that fit its width."""

from collections.abc import Iterable
from pathlib import Path
from textwrap import wrap

from rich import box
from rich import table as rich_table
from rich.console import Console, RenderableType
from rich.text import Text
from tabulate import tabulate

from alexnet2012 import paper
from alexnet2012.claims.ledger import make_ledgers
from alexnet2012.files import PUBLISHED
from alexnet2012.reporting.format import (
    Block,
    Bullets,
    Details,
    Heading,
    Table,
    error_cell,
    estimate,
    keep_whole,
    missing_note,
    percent,
)
from alexnet2012.reporting.in_text import describe_claims
from alexnet2012.reporting.page import MARKED
from alexnet2012.reporting.results import Results
from alexnet2012.reporting.tables import make_tables

PAGES = ("table1", "table2", "in_text", "claims")
SUMMARY_LINES = 12
SHOWN_DATASETS = 2
# The nets of the summary with the paper's error, and on what.
PAPERS = {
    "cnn": ("1 CNN", paper.TABLE1[2].test, "ILSVRC-2010 test"),
    "5-cnns": ("5 CNNs", paper.TABLE2[2].val, "ILSVRC-2012 val"),
}
FILE_WIDTH = 100  # columns, where the output is no terminal


def summarise_results(folder: Path, results: Results) -> list[str]:
    """At most SUMMARY_LINES lines on the results in `folder`: errors and verdicts, where everything lies, and what to
    look at next.
    """
    firsts = [results.on(dataset)[0] for dataset in results.datasets]
    state = [missing_note(results).partition(":")[0].rstrip(".")]
    if any(first.edition is None and not first.is_own for first in firsts):
        state.append("not the paper's data: signs compare, sizes do not")
    heading = f"{results.name}: {'; '.join(filter(None, state)) or 'what came out'}"
    lines = [*wrap(heading, FILE_WIDTH), *tabulate_nets(results), *list_tallies(results)]
    if results.missing:
        lines.append(f"progress: alexnet2012 status {folder}")
    if (report := folder / "report.html").exists():
        lines.append(f"report: {report}")
    lines.append(f"tables: alexnet2012 show {folder} claims (or {', '.join(PAGES[:-1])})")
    published = folder / "published.txt"
    if published.exists() and (told := published.read_text(encoding="utf-8")) != PUBLISHED:
        lines.append(f"curves: {told.strip()}; run snakemake -R publish_tables when it can be")
    else:
        lines.append("curves: make ui (or alexnet2012 ui --open)")
    weights = sorted(folder.glob("runs/*/cnn-????????/seed*/model.safetensors"))
    if weights:
        lines.append(f"try it: alexnet2012 classify IMAGE --net {weights[0].parent}")
    return lines[:SUMMARY_LINES]


def tabulate_nets(results: Results) -> list[str]:
    """A table of the errors of one CNN and of five; beside the paper's where not all images are one's own."""
    rows = []
    for dataset in results.datasets:
        for key, (label, stated, of) in PAPERS.items():
            net = results.find(dataset, key)
            if net is not None:
                found = error_cell(estimate(net, net.splits[-1], 1, "ten_crop"))
                papers = [] if net.is_own else [f"{percent(stated.top1)} on {of}"]
                rows.append([f"{label} on {dataset} {net.splits[-1]}", found, *papers])
    headers = ["top-1 error", "here", "paper"][: max(map(len, rows), default=0)]
    return tabulate(rows[: 2 * SHOWN_DATASETS], headers, "plain").splitlines() if rows else []


def list_tallies(results: Results) -> list[str]:
    """How many claims have which verdict, a line for each dataset on which one was measured."""
    lines = []
    for ledger in (each for each in make_ledgers(results) if each.measured):
        tally = ", ".join(f"{count} {colour}" for colour, count in ledger.tally.items())
        lines.append(f"claims on {ledger.dataset}: {tally}")
    return lines[:SHOWN_DATASETS]


def print_pages(results: Results, names: Iterable[str], console: Console, unfolded: bool) -> None:
    """Print pages of PAGES; `unfolded`: with what stands folded away in the report."""
    pages = make_tables(results)
    for name in names:
        page = describe_claims(results, make_ledgers(results)) if name == "claims" else pages[name]
        console.rule(Text(page.title, "bold"), align="left")
        for block in (*page.notes, *page.blocks):
            for part in draw_block(block, unfolded):
                console.print(part, end="\n\n")
        if not unfolded:
            console.print(Text("--details prints what the report folds away as well", "dim"), end="\n\n")


def draw_block(block: Block, unfolded: bool) -> Iterable[RenderableType]:
    match block:
        case Heading(text):
            yield to_text(text, "bold underline")
        case Table(headers, rows):
            drawn = rich_table.Table(*headers, box=box.SIMPLE, show_edge=False, pad_edge=False, padding=(0, 1))
            for row in rows:
                drawn.add_row(*map(to_text, row))
            yield drawn
        case Bullets(items):
            yield Text("\n").join(to_text(f"- {item}") for item in items)
        case Details(summary, blocks) if unfolded:
            yield Text(summary, "bold")
            for each in blocks:
                yield from draw_block(each, unfolded)
        case str():
            yield to_text(block)


def to_text(marked: str, style: str = "") -> Text:
    """A page's text, with emphasis and code in colour."""
    text, end = Text(style=style), 0
    for found in MARKED.finditer(marked):
        code, strong = found.groups()
        text.append(keep_whole(marked[end : found.start()])).append(code or strong, "cyan" if code else "bold")
        end = found.end()
    return text.append(keep_whole(marked[end:]))
