"""report.html: everything that a results folder says, on one page that stands alone."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from alexnet2012.claims.ledger import SIGNS, Ledger, make_ledgers
from alexnet2012.config.plan import BASE
from alexnet2012.files import write_text
from alexnet2012.reporting.benchmark_results import read_published
from alexnet2012.reporting.benchmarks import describe_benchmarks
from alexnet2012.reporting.format import (
    UNFED,
    Block,
    Bullets,
    Details,
    Heading,
    Page,
    Table,
    count_seeds,
    describe_state,
    error_cell,
    estimate,
    in_brackets,
    keep_whole,
    name_dataset,
    name_with_seeds,
)
from alexnet2012.reporting.in_text import explain_ledger, exploratory_note
from alexnet2012.reporting.origin import list_origin
from alexnet2012.reporting.own_section import OwnSection, make_own_sections
from alexnet2012.reporting.page_parts import Figure, RunBrowser, embed, list_runs, read_figures, read_store
from alexnet2012.reporting.results import ExperimentResults, Results, learned_of, load_results
from alexnet2012.reporting.tables import make_tables
from alexnet2012.reporting.trained_nets import TrainedNet

TEMPLATE = "report.html.jinja"
# The page's words for its tables, in their order.
TABLE_TITLES = {"table1": "Table 1", "table2": "Table 2", "in_text": "Numbers in the text", "benchmarks": "Benchmarks"}
FAVICON = b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">
<rect width="16" height="16" rx="3" fill="#1f4e79"/>
<path d="M3 13 8 3l5 10M5 9.5h6" stroke="#fff" stroke-width="2" fill="none"/></svg>"""
# A table wider than the window scrolls in a box of its own, by keyboard too.
TABLE = Markup(
    '<div class="scroll" role="region" tabindex="0" aria-label="Table">\n<table>\n'
    "<thead>\n<tr>\n{}</tr>\n</thead>\n{}</table>\n</div>\n"
)
FOLDED = Markup("<details>\n<summary>{}</summary>\n{}</details>\n")
MARKED = re.compile(r"`([^`]+)`|\*\*(.+?)\*\*")
TOP = re.compile(r"\btop-\d\b")


@dataclass(frozen=True)
class LedgerSection:
    """A ledger under the name of its dataset; `error`: of its net; `findings`: the claims of each verdict; `counts`: of
    the claims that were measured, and of all.

    `before` and `after` stand around its table.
    """

    anchor: str
    title: str
    ledger: Ledger
    counts: tuple[int, int]
    error: str
    findings: list[tuple[str, list[str]]]
    before: list[Block]
    after: list[Block]


@dataclass(frozen=True)
class DatasetSummary:
    """What was run on a dataset, in words, and what made it: the data's whole digests, and text by the word for it."""

    name: str
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
    own = make_own_sections(folder, results)
    write_text(path, render_page(results, make_ledgers(results), tables, figures, store, own))
    return path


def render_page(
    results: Results,
    ledgers: list[Ledger],
    tables: dict[str, Page],
    figures: list[Figure],
    store: RunBrowser | None,
    own: Sequence[OwnSection] = (),
) -> str:
    """The report as HTML; `tables` by the keys of TABLE_TITLES."""
    return (
        make_environment()
        .get_template(TEMPLATE)
        .render(
            name=results.name,
            signs=SIGNS,
            favicon=embed("image/svg+xml", FAVICON),
            datasets=[summarise_dataset(results, each) for each in results.datasets],
            notes=describe_state(results, results.datasets),
            sections=[make_section(results, ledger) for ledger in ledgers],
            tables={name: (TABLE_TITLES[name], page.blocks) for name, page in tables.items() if page.blocks != [UNFED]},
            figures=figures,
            own=own,
            runs=(runs := list_runs(results)),
            at_chance=name_unlearned(runs),
            store=store,
        )
    )


def name_unlearned(runs: list[TrainedNet]) -> list[str]:
    """ "cnn seeds 0, 1 on cifar10", for each variant of which nets did not learn."""
    groups: dict[tuple[str, str], list[int]] = {}
    for net in runs:
        if net.learned is False and net.seed is not None:
            groups.setdefault((net.training["variant"], net.training["dataset"]["name"]), []).append(net.seed)
    return [name_with_seeds(variant, dataset, seeds) for (variant, dataset), seeds in groups.items()]


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
    rows = ledger.measured
    # C05 has a row for each reading.
    named = [(colour, list(dict.fromkeys(row.id for row in rows if row.colour == colour))) for colour in SIGNS]
    return LedgerSection(
        anchor=f"ledger-{ledger.dataset}",
        title=name_dataset(results.on(ledger.dataset)[0]),
        ledger=ledger,
        counts=(len({row.id for row in rows}), len({row.id for row in ledger.claims})),
        error=describe_cnn(results.find(ledger.dataset, BASE)),
        findings=[(colour, ids) for colour, ids in named if ids],
        before=exploratory_note(results),
        after=explain_ledger(results, ledger),
    )


def describe_cnn(net: ExperimentResults | None) -> str:
    """A sentence with the error of the paper's net; empty where it was not trained."""
    if net is None:
        return ""
    split = net.splits[-1]
    found = error_cell(estimate(net, split, 1, "ten_crop"))
    return f"The CNN's top-1 error on {split} is {found}, {count_seeds(net.seeds)}, ten crops."


def summarise_dataset(results: Results, name: str) -> DatasetSummary:
    experiments = results.on(name)
    origin = {key: value for key, value in list_origin(experiments).items() if key != "seeds"}
    nets = [describe_nets(each, learned_of(results, each)) for each in experiments]
    return DatasetSummary(name, nets, sorted({each.digest for each in experiments}), origin)


def describe_nets(experiment: ExperimentResults, learned: str) -> str:
    """ "cnn, seeds 0, 1, 2"; "5-cnns, average of 5"; "tanh, seed 0 (did not learn)"."""
    if experiment.seeds:
        words = f"seed{'s' if len(experiment.seeds) > 1 else ''} {', '.join(map(str, experiment.seeds))}"
    else:
        words = f"average of {len(experiment.members)}"
    return f"{experiment.key}, {words}{in_brackets(learned)}"


def to_html(blocks: Iterable[Block]) -> Markup:
    """The blocks of a page, below a heading of the third level."""
    return Markup("").join(write_html(block) for block in blocks if block)


def write_html(block: Block) -> Markup:
    match block:
        case Heading(text):
            return Markup("<h4>{}</h4>\n").format(to_inline_html(text))
        case Table(headers, rows):
            head = join_lines('<th scope="col">{}</th>\n', headers)
            lines = Markup("").join(Markup("<tr>\n{}</tr>\n").format(join_lines("<td>{}</td>\n", row)) for row in rows)
            return TABLE.format(head, Markup("<tbody>\n{}</tbody>\n").format(lines) if rows else "")
        case Bullets(items):
            return Markup("<ul>\n{}</ul>\n").format(join_lines("<li>{}</li>\n", items))
        case Details(summary, blocks):
            return FOLDED.format(summary, to_html(blocks))
    return Markup("<p>{}</p>\n").format(to_inline_html(block))


def join_lines(form: str, texts: Iterable[str]) -> Markup:
    return Markup("").join(Markup(form).format(to_inline_html(text)) for text in texts)  # noqa: S704 (forms of this file)


def to_inline_html(text: str) -> Markup:
    """A page's text, escaped, with its code and emphasis marked up."""
    parts, end = [], 0
    for found in MARKED.finditer(text):
        code, strong = found.groups()
        marked = Markup("<strong>{}</strong>").format(to_inline_html(strong)) if strong else Markup("<code>{}</code>")
        parts += [escape_whole(text[end : found.start()]), marked if strong else marked.format(code)]
        end = found.end()
    return Markup("").join([*parts, escape_whole(text[end:])])


def escape_whole(text: str) -> Markup:
    """The text, escaped, in which no line breaks within an interval, a percentage or top-1."""
    return Markup(TOP.sub(r'<span class="whole">\g<0></span>', str(escape(keep_whole(text)))))  # noqa: S704 (escaped)
