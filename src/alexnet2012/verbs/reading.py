"""Verbs that make results readable: tables, figures, reports, comparisons, the run browser."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from alexnet2012.errors import RecordError
from alexnet2012.verbs.arguments import add_data, positive

PUBLISHED = "sent\n"  # what published.txt says when the tracking store has the tables


def add_reading_verbs(verbs: argparse._SubParsersAction) -> None:
    verb = verbs.add_parser("tables", help="render the tables of a results folder")
    verb.add_argument("folder", type=Path)
    add_data(verb)
    verb.set_defaults(run=run_tables)

    verb = verbs.add_parser("figures", help="draw the figures of a results folder")
    verb.add_argument("folder", type=Path)
    add_data(verb)
    verb.set_defaults(run=run_figures)

    verb = verbs.add_parser("report", help="render report.html of a results folder, one page that stands alone")
    verb.add_argument("folder", type=Path)
    verb.set_defaults(run=run_report)

    verb = verbs.add_parser(
        "cards", help="write a model card, and what `classify` needs, beside the weights of every net"
    )
    verb.add_argument("folder", type=Path)
    add_data(verb)
    verb.set_defaults(run=run_cards)

    verb = verbs.add_parser("publish", help="send the tables, and all that waits to be sent, to the tracking store")
    verb.add_argument("tables", type=Path, nargs="+")
    verb.add_argument("--tracking", type=Path, required=True)
    verb.add_argument("--output", type=Path, required=True, help="file that says when it was done")
    verb.set_defaults(run=run_publish)

    verb = verbs.add_parser("benchmarks", help="render what tests/benchmarks measured")
    verb.add_argument("raw", type=Path, help="JSON of pytest-benchmark")
    verb.add_argument("folder", type=Path, help="a configuration's results; gets tables/benchmarks.md, benchmarks.json")
    verb.add_argument("--tracking", type=Path, help="what `track` wrote; without it nothing is logged")
    verb.set_defaults(run=run_benchmarks)

    verb = verbs.add_parser(
        "reference", help="add what a results folder holds to results/reference, to be committed; finished or not"
    )
    verb.add_argument("folder", type=Path, help="a configuration's results, e.g. results/cifar10")
    verb.add_argument("--no-pictures", action="store_true", help="leave out what shows the dataset's images")
    add_data(verb)
    verb.set_defaults(run=run_reference)

    verb = verbs.add_parser("show", help="print the tables of a results folder and their paths")
    verb.add_argument("folder", type=Path)
    verb.set_defaults(run=run_show)

    verb = verbs.add_parser(
        "compare",
        help="say whether two results folders agree: exit code 0 for bit-identical or statistically the same, "
        "1 for different or not comparable, 2 for an error",
    )
    verb.add_argument("a", type=Path, metavar="A", help="results of a configuration, e.g. results/rehearsal")
    verb.add_argument("b", type=Path, metavar="B", help="others, e.g. results/reference/rehearsal")
    verb.add_argument("--json", action="store_true", help="print JSON")
    verb.set_defaults(run=run_compare, failure=2)

    verb = verbs.add_parser("ui", help="open the MLflow run browser on 127.0.0.1")
    verb.add_argument("--port", type=positive, default=5000)
    verb.set_defaults(run=run_ui)


def run_tables(options: argparse.Namespace) -> None:
    from alexnet2012.reporting.tables import render_tables

    for path in render_tables(options.folder, options.data):
        print(path)


def run_figures(options: argparse.Namespace) -> None:
    from alexnet2012.reporting.figures.draw import draw_figures

    for path in draw_figures(options.folder, options.data):
        print(path)


def run_report(options: argparse.Namespace) -> None:
    from alexnet2012.reporting.report import render_report

    print(render_report(options.folder))


def run_cards(options: argparse.Namespace) -> None:
    from alexnet2012.reporting.model_cards import write_model_cards

    print(write_model_cards(options.folder, options.data))


def run_publish(options: argparse.Namespace) -> None:
    from alexnet2012.files import write_text
    from alexnet2012.tracking import TrackingIds, log_tables

    sent = log_tables(TrackingIds.load(options.tracking), options.tables)
    write_text(options.output, PUBLISHED if sent else "the tracking store could not be reached\n")


def run_benchmarks(options: argparse.Namespace) -> None:
    from alexnet2012.reporting.benchmarks import publish_benchmarks

    for path in publish_benchmarks(options.raw, options.folder, options.tracking):
        print(path)


def run_reference(options: argparse.Namespace) -> None:
    from alexnet2012.reporting.reference import update_reference

    print(update_reference(options.folder, options.data, with_images=not options.no_pictures))


def run_show(options: argparse.Namespace) -> None:
    paths = sorted((options.folder / "tables").glob("*.md"))
    if not paths:
        raise RecordError(
            f"{options.folder} holds no tables/*.md; run snakemake to make them, or name another folder of results/"
        )
    for path in paths:
        print(f"\n{path.read_text(encoding='utf-8')}")
    print("Tables:", *paths, sep="\n  ")
    if (report := options.folder / "report.html").exists():
        print(f"All of it with figures, on one page: {report}")
    published = options.folder / "published.txt"
    if published.exists() and published.read_text(encoding="utf-8") != PUBLISHED:
        print(f"{published.read_text(encoding='utf-8').strip()}: run snakemake -R publish_tables when it can")


def run_compare(options: argparse.Namespace) -> int:
    from alexnet2012.reporting.compare import compare_folders, render_comparison

    comparison = compare_folders(options.a, options.b)
    print(json.dumps(asdict(comparison), indent=2) if options.json else render_comparison(comparison))
    return 0 if comparison.agrees else 1


def run_ui(options: argparse.Namespace) -> None:
    from alexnet2012.tracking import serve

    serve(port=options.port)
