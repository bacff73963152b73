"""report.html: everything that a results folder says, on one page that stands alone."""

import base64
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from alexnet2012.errors import RecordError
from alexnet2012.files import write_text
from alexnet2012.reporting.markup import Part, split_ledger, to_html, to_inline_html
from alexnet2012.reporting.net import in_brackets
from alexnet2012.reporting.provenance_note import list_origin
from alexnet2012.reporting.report_figures import read_figures
from alexnet2012.reporting.report_ledger import SIGNS, Ledger, read_ledgers
from alexnet2012.reporting.report_runs import list_runs, read_store
from alexnet2012.reporting.results import Experiment, Results, learned_of, load_results

TEMPLATE = "report.html.jinja"
LEDGER = "claims"  # its markdown is shown as the ledger, not as a table among others
TITLES = {"table1": "Table 1", "table2": "Table 2", "in_text": "Numbers in the text", "benchmarks": "Benchmarks"}
FAVICON = b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">
<rect width="16" height="16" rx="3" fill="#1f4e79"/>
<path d="M3 13 8 3l5 10M5 9.5h6" stroke="#fff" stroke-width="2" fill="none"/></svg>"""


@dataclass(frozen=True)
class Table:
    """A table of tables/*.md; `anchor` is its place in the page."""

    anchor: str
    title: str
    html: Markup


@dataclass(frozen=True)
class LedgerSection:
    """A ledger with the words that claims.md has around it."""

    anchor: str
    title: str
    ledger: Ledger
    before: Markup
    after: Markup


@dataclass(frozen=True)
class Dataset:
    """What was run on a dataset, in words, and what made it: the data's whole digests, and HTML by the word for it."""

    name: str
    size: str
    nets: list[str]
    digests: list[str]
    origin: dict[str, Markup]


def render_report(folder: Path) -> Path:
    """Write `folder`/report.html and return its path: the same bytes for the same results.

    Reads tables/*.md, tables/claims.json, figures/figures.json, tracking.json and the records that experiments.json
    lists; without figures or a tracking store the page says less. Raises RecordError where there are no tables, where
    the ledger is missing or of another rendering than its markdown, and for a figure that is not there.
    """
    tables = read_tables(folder / "tables")
    ledgers = read_ledgers(folder / "tables" / "claims.json")
    preface, sections, rest = join_ledger(folder / "tables" / f"{LEDGER}.md", ledgers)
    results = load_results(folder, Path("data"))  # the data themselves are not read
    store = read_store(folder / "tracking.json")
    page = make_environment().get_template(TEMPLATE)
    text = page.render(
        name=results.name,
        signs=SIGNS,
        favicon=f"data:image/svg+xml;base64,{base64.b64encode(FAVICON).decode()}",
        datasets=[describe_dataset(results, each) for each in results.datasets],
        preface=preface,
        sections=sections,
        rest=rest,
        tables=tables,
        figures=read_figures(folder / "figures"),
        runs=list_runs(results, store),
        store=store,
    )
    path = folder / "report.html"
    write_text(path, text)
    return path


def make_environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("alexnet2012", "reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["inline"] = to_inline_html
    return environment


def read_tables(folder: Path) -> list[Table]:
    """The tables but the ledger, those of the paper first."""
    found = {path.stem: path for path in sorted(folder.glob("*.md"))}
    if not found:
        raise RecordError(f"{folder} holds no tables; run snakemake to make them, or name another folder of results/")
    names = [*(name for name in TITLES if name in found), *(name for name in found if name not in (*TITLES, LEDGER))]
    return [Table(name, TITLES.get(name, name), render_table(found[name])) for name in names]


def render_table(path: Path) -> Markup:
    """Without its first line, the heading, in place of which the page has its own."""
    heading, _, text = path.read_text(encoding="utf-8").partition("\n")
    return to_html(text if heading.startswith("# ") else f"{heading}\n{text}", deeper=2)


def join_ledger(path: Path, ledgers: list[Ledger]) -> tuple[Part, list[LedgerSection], list[Part]]:
    """What claims.md says before its ledgers, the ledgers within their words, and what it says under other headings."""
    if not path.is_file():
        raise RecordError(f"{path} is missing beside claims.json; run snakemake -R render_tables")
    preface, *parts = split_ledger(path.read_text(encoding="utf-8"), deeper=2)
    sections = []
    for ledger in ledgers:
        part = next((each for each in parts if belongs(each, ledger)), None)
        if part is None:
            raise RecordError(
                f"{path} has no part on {ledger.dataset}, as claims.json beside it has; run snakemake -R render_tables"
            )
        sections.append(LedgerSection(f"ledger-{ledger.dataset}", part.title, ledger, part.before, part.after))
    rest = [part for part in parts if not any(belongs(part, ledger) for ledger in ledgers)]
    return preface, sections, rest


def belongs(part: Part, ledger: Ledger) -> bool:
    """The heading is the dataset's name, with the part of it that was packed where that is not the whole."""
    return part.title == ledger.dataset or part.title.startswith(f"{ledger.dataset} (")


def describe_dataset(results: Results, name: str) -> Dataset:
    experiments = results.on(name)
    first = experiments[0]
    size = " / ".join(f"{count:,} {split}" for split, count in first.counts.items())
    lines = {key: value for key, value in list_origin(experiments).items() if key not in ("MLflow runs", "seeds")}
    origin = {key: to_inline_html(value) for key, value in lines.items()}
    if first.part:
        size = f"{first.part}, {size}"
    return Dataset(name, size, list_nets(results, experiments), sorted({each.digest for each in experiments}), origin)


def list_nets(results: Results, experiments: list[Experiment]) -> list[str]:
    """ "cnn, seeds 0, 1, 2"; "5-cnns, average of 5"; "tanh, seed 0 (did not learn)"."""
    return [describe_nets(each, learned_of(results, each)) for each in experiments]


def describe_nets(experiment: Experiment, learned: str) -> str:
    if experiment.seeds:
        words = f"seed{'s' if len(experiment.seeds) > 1 else ''} {', '.join(map(str, experiment.seeds))}"
    else:
        words = f"average of {len(experiment.members)}"
    return f"{experiment.key}, {words}{in_brackets(learned)}"
