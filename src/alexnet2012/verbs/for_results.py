"""Verbs that make results readable: tables, figures, reports, comparisons, the run browser."""

import json
import sys
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path

from alexnet2012.errors import ConfigError
from alexnet2012.files import PUBLISHED, write_text
from alexnet2012.verbs.arguments import DATA, JSON, argument, path, port_number, verb

RESULTS = path("folder")
DEFAULT_RESULTS = Path("results/rehearsal")  # those of config/config.yaml


@verb("render the tables of a results folder", RESULTS, DATA, example="results/rehearsal", by_workflow=True)
def run_tables(options: Namespace) -> None:
    from alexnet2012.reporting.tables import render_tables

    print(*render_tables(options.folder, options.data), sep="\n")


@verb("draw the figures of a results folder", RESULTS, DATA, example="results/rehearsal", by_workflow=True)
def run_figures(options: Namespace) -> None:
    from alexnet2012.reporting.figures.all import draw_figures

    print(*draw_figures(options.folder, options.data), sep="\n")


@verb(
    "render report.html of a results folder, one page that stands alone",
    RESULTS,
    example="results/rehearsal",
    by_workflow=True,
)
def run_report(options: Namespace) -> None:
    from alexnet2012.reporting.page import render_report

    print(render_report(options.folder))


@verb(
    "write a model card, and what `classify` needs, beside the weights of every finished net",
    RESULTS,
    DATA,
    example="results/rehearsal",
    by_workflow=True,
)
def run_cards(options: Namespace) -> None:
    from alexnet2012.reporting.cards import write_model_cards

    output, unfinished = write_model_cards(options.folder, options.data)
    print(output, *(f"skipped, not finished: {each}" for each in unfinished), sep="\n")


@verb(
    "bring results and tables into the tracking store",
    path("tables", nargs="+"),
    path("--tracking", required=True),
    path("--output", "file that says when it was done", required=True),
    example="results/cifar10/tables/table1.md --tracking results/cifar10/tracking.json --output published.txt",
    by_workflow=True,
)
def run_publish(options: Namespace) -> None:
    from alexnet2012.reporting.summaries import summarise_variants
    from alexnet2012.tracking.publish import publish
    from alexnet2012.tracking.store import TrackingIds

    ids = TrackingIds.load(options.tracking)
    sent = publish(ids, options.tables, summarise_variants(Path(ids.results, ids.name)))
    write_text(options.output, PUBLISHED if sent else "the tracking store could not be reached\n")


@verb(
    "render what tests/benchmarks measured",
    path("raw", "JSON of pytest-benchmark"),
    path("folder", "a configuration's results; gets tables/benchmarks.md, benchmarks.json"),
    path("--tracking", "what `track` wrote; without it nothing is logged"),
    example="results/rehearsal/benchmarks/raw.json results/rehearsal",
    by_workflow=True,
)
def run_benchmarks(options: Namespace) -> None:
    from alexnet2012.reporting.benchmarks import publish_benchmarks

    print(*publish_benchmarks(options.raw, options.folder, options.tracking), sep="\n")


@verb(
    "add what a results folder holds to results/reference, to be committed; finished or not",
    path("folder", "a configuration's results, e.g. results/cifar10"),
    argument("--no-pictures", action="store_true", help="leave out what shows the dataset's images"),
    DATA,
    example="results/cifar10",
)
def run_reference(options: Namespace) -> None:
    from alexnet2012.reporting.reference import update_reference

    print(update_reference(options.folder, options.data, with_images=not options.no_pictures))


@verb(
    "print what came out of a run in a few lines, or whole tables that fit the terminal",
    path("folder", "results of a configuration; those of the default one if not given", nargs="?"),
    argument("tables", nargs="*", metavar="TABLE", help="table1, table2, in_text or claims"),
    argument("--details", action="store_true", help="with what stands folded away in the report"),
    DATA,
    example="results/rehearsal claims",
)
def run_show(options: Namespace) -> None:
    from rich.console import Console

    from alexnet2012.reporting import terminal
    from alexnet2012.reporting.results import load_results

    names, folder = list(options.tables), options.folder
    if folder is None or (str(folder) in terminal.PAGES and not folder.is_dir()):
        names = [str(folder)] * (folder is not None) + names
        folder = DEFAULT_RESULTS
    if unknown := [name for name in names if name not in terminal.PAGES]:
        raise ConfigError(f"{unknown[0]} is no table; there are {', '.join(terminal.PAGES)}")
    results = load_results(folder, options.data, partial=True)
    if not names:
        print(*terminal.summarise_results(folder, results), sep="\n")
        return
    console = Console(width=None if sys.stdout.isatty() else terminal.FILE_WIDTH, highlight=False)
    terminal.print_pages(results, names, console, options.details)


@verb(
    "say whether two results folders agree: exit code 0 for bit-identical or statistically the same, 1 for different "
    "or not comparable, 2 for an error",
    path("a", "results of a configuration, e.g. results/rehearsal", metavar="A"),
    path("b", "others, e.g. results/reference/rehearsal", metavar="B"),
    JSON,
    failure=2,
    example="results/rehearsal results/reference/rehearsal",
)
def run_compare(options: Namespace) -> int:
    from alexnet2012.reporting.compare import compare_folders
    from alexnet2012.reporting.comparison_text import render_comparison

    comparison = compare_folders(options.a, options.b)
    print(json.dumps(asdict(comparison), indent=2) if options.json else render_comparison(comparison))
    return 0 if comparison.agrees else 1


@verb(
    "make a finished results folder a Workflow Run RO-Crate, which archives and other people's programs read",
    path("folder", "a configuration's results, e.g. results/cifar10"),
    example="results/cifar10",
)
def run_crate(options: Namespace) -> None:
    from alexnet2012.reporting.crate import write_crate

    print(write_crate(options.folder))


@verb(
    "open the MLflow run browser on 127.0.0.1",
    argument("--port", type=port_number, help="the first free one from 5000 on if not given"),
    argument("--open", action="store_true", help="open the list of runs in a web browser"),
    example="--open",
)
def run_ui(options: Namespace) -> None:
    from alexnet2012.tracking.browser import serve

    serve(options.port, open_page=options.open)
