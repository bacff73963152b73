"""report.html: everything that a results folder says, on one page that stands alone."""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from alexnet2012.claims.ledger import Ledger, make_ledgers
from alexnet2012.files import write_text
from alexnet2012.reporting.benchmark_results import read_published
from alexnet2012.reporting.benchmarks import describe_benchmarks
from alexnet2012.reporting.format import Block, Bullets, Heading, Page, Table, in_brackets, make_page, name_dataset
from alexnet2012.reporting.in_text import describe_ledger
from alexnet2012.reporting.origin import list_origin
from alexnet2012.reporting.page_parts import Figure, RunBrowser, list_runs, read_figures, read_store
from alexnet2012.reporting.results import ExperimentResults, Results, learned_of, load_results
from alexnet2012.reporting.tables import make_tables

TEMPLATE = "report.html.jinja"
# The page's words for its tables, in their order.
TABLE_TITLES = {"table1": "Table 1", "table2": "Table 2", "in_text": "Numbers in the text", "benchmarks": "Benchmarks"}
# The colours of verdicts in the order of the page, each with a sign, as colour alone tells some readers nothing.
SIGNS = {
    "supported": "✓",
    "contradicted": "✗",
    "no effect": "○",
    "inconclusive": "?",
    "indicative": "~",
    "not measured": "–",
}
FAVICON = b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">
<rect width="16" height="16" rx="3" fill="#1f4e79"/>
<path d="M3 13 8 3l5 10M5 9.5h6" stroke="#fff" stroke-width="2" fill="none"/></svg>"""
# A table wider than the window scrolls in a box of its own, by keyboard too.
TABLE = Markup(
    '<div class="scroll" role="region" tabindex="0" aria-label="Table">\n<table>\n'
    "<thead>\n<tr>\n{}</tr>\n</thead>\n{}</table>\n</div>\n"
)
# Below a table stands a list of what made it, for those who ask.
FOLDED = Markup('<details class="origin">\n<summary>What made these numbers</summary>\n{}</details>\n')
MARKED = re.compile(r"`([^`]+)`|\*\*(.+?)\*\*")
# An interval, a number with its unit and a name such as top-1 are each read as one word.
UNBROKEN = re.compile(r"\[-?[\d.,]+, -?[\d.,]+\]|-?[\d.,]+ %|\btop-\d\b")


@dataclass(frozen=True)
class LedgerSection:
    """A ledger under the name of its dataset, with the HTML that stands before and after its claims."""

    anchor: str
    title: str
    ledger: Ledger
    before: Markup
    after: Markup

    @property
    def tallies(self) -> dict[str, int]:
        """How many claims have each colour."""
        return {colour: sum(row.colour == colour for row in self.ledger.claims) for colour in SIGNS}


@dataclass(frozen=True)
class DatasetSummary:
    """What was run on a dataset, in words, and what made it: the data's whole digests, and text by the word for it."""

    name: str
    size: str
    nets: list[str]
    digests: list[str]
    origin: dict[str, str]


def render_report(folder: Path) -> Path:
    """Write `folder`/report.html and return its path: the same bytes for the same results.

    Reads experiments.json and the records that it lists, benchmarks.json, figures/figures.json and tracking.json;
    without the last three the page says less. Raises RecordError for a record that may stand in no table, and for a
    figure that is not there.
    """
    results = load_results(folder, Path("data"))  # the data themselves are not read
    tables = make_tables(results)
    if (benchmarks := folder / "benchmarks.json").is_file():
        tables["benchmarks"] = describe_benchmarks(read_published(benchmarks), folder.name)
    figures, store = read_figures(folder / "figures"), read_store(folder / "tracking.json")
    path = folder / "report.html"
    write_text(path, render_page(results, make_ledgers(results), tables, figures, store))
    return path


def render_page(
    results: Results, ledgers: list[Ledger], tables: dict[str, Page], figures: list[Figure], store: RunBrowser | None
) -> str:
    """The report as HTML; `tables` by the keys of TITLES."""
    return (
        make_environment()
        .get_template(TEMPLATE)
        .render(
            name=results.name,
            signs=SIGNS,
            favicon=f"data:image/svg+xml;base64,{base64.b64encode(FAVICON).decode()}",
            datasets=[summarise_dataset(results, each) for each in results.datasets],
            preface=make_page("Claims", results, ["" for each in ledgers]).blocks,
            sections=[make_section(results, ledger) for ledger in ledgers],
            tables={name: (TABLE_TITLES[name], page.blocks) for name, page in tables.items()},
            figures=figures,
            runs=list_runs(results),
            store=store,
        )
    )


def make_environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("alexnet2012", "reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"inline": to_inline_html, "html": to_html}
    return environment


def make_section(results: Results, ledger: Ledger) -> LedgerSection:
    before, after = map(to_html, describe_ledger(results, ledger))
    title = name_dataset(results.on(ledger.dataset)[0])
    return LedgerSection(f"ledger-{ledger.dataset}", title, ledger, before, after)


def summarise_dataset(results: Results, name: str) -> DatasetSummary:
    experiments = results.on(name)
    first = experiments[0]
    size = " / ".join(f"{count:,} {split}" for split, count in first.counts.items())
    size = f"{first.part}, {size}" if first.part else size
    origin = {key: value for key, value in list_origin(experiments).items() if key not in ("MLflow runs", "seeds")}
    nets = [describe_nets(each, learned_of(results, each)) for each in experiments]
    return DatasetSummary(name, size, nets, sorted({each.digest for each in experiments}), origin)


def describe_nets(experiment: ExperimentResults, learned: str) -> str:
    """ "cnn, seeds 0, 1, 2"; "5-cnns, average of 5"; "tanh, seed 0 (did not learn)"."""
    if experiment.seeds:
        words = f"seed{'s' if len(experiment.seeds) > 1 else ''} {', '.join(map(str, experiment.seeds))}"
    else:
        words = f"average of {len(experiment.members)}"
    return f"{experiment.key}, {words}{in_brackets(learned)}"


def to_html(blocks: Iterable[Block]) -> Markup:
    """The blocks of a page, below a heading of the third level."""
    return Markup("").join(map(write_html, blocks))


def write_html(block: Block) -> Markup:
    match block:
        case Heading(text):
            return Markup("<h4>{}</h4>\n").format(to_inline_html(text))
        case Table(headers, rows):
            head = join_lines('<th scope="col">{}</th>\n', headers)
            lines = Markup("").join(Markup("<tr>\n{}</tr>\n").format(join_lines("<td>{}</td>\n", row)) for row in rows)
            return TABLE.format(head, Markup("<tbody>\n{}</tbody>\n").format(lines) if rows else "")
        case Bullets(items):
            listed = Markup("<ul>\n{}</ul>\n").format(join_lines("<li>{}</li>\n", items))
            return FOLDED.format(listed) if block.of_origin else listed
    return Markup("<p>{}</p>\n").format(to_inline_html(block))


def join_lines(form: str, texts: Iterable[str]) -> Markup:
    return Markup("").join(Markup(form).format(to_inline_html(text)) for text in texts)


def to_inline_html(text: str) -> Markup:
    """A page's text, escaped, with its code and emphasis marked up."""
    parts, end = [], 0
    for found in MARKED.finditer(text):
        code, strong = found.groups()
        marked = Markup("<strong>{}</strong>").format(to_inline_html(strong)) if strong else Markup("<code>{}</code>")
        parts += [keep_whole(text[end : found.start()]), marked if strong else marked.format(code)]
        end = found.end()
    return Markup("").join([*parts, keep_whole(text[end:])])


def keep_whole(text: str) -> Markup:
    """The text, escaped, in which no line breaks within an interval, a percentage or top-1."""
    return Markup(UNBROKEN.sub(r'<span class="whole">\g<0></span>', str(escape(text))))
