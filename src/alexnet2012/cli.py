"""`alexnet2012 <verb>`: the only thing that a rule calls. Each verb imports what it needs, not what others need."""

import argparse
import json
import sys
from pathlib import Path

from alexnet2012.errors import AlexNet2012Error, ConfigError, Interrupted, RecordError

PUBLISHED = "sent\n"  # what published.txt says when the tracking store has the tables


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; a mistake that the user can mend is a message on stderr and exit code 1 (of `compare`, whose 1 is
    an answer, 2); a signal 143.
    """
    options = parse(arguments)
    try:
        return options.run(options) or 0
    except Interrupted as stopped:
        print(stopped, file=sys.stderr)
        return 143
    except AlexNet2012Error as error:
        print(f"error: {error}", file=sys.stderr)
        return options.failure


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="alexnet2012",
        description="Reproduce the NIPS 2012 ImageNet net, step by step. @FILE stands for arguments, one on each line.",
        fromfile_prefix_chars="@",
    )
    parser.set_defaults(failure=1)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    add_planning_verbs(verbs)
    add_running_verbs(verbs)
    add_reading_verbs(verbs)
    return parser.parse_args(arguments)


def add_planning_verbs(verbs: argparse._SubParsersAction) -> None:
    verb = verbs.add_parser("describe", help="print a variant's layer table")
    verb.add_argument("variant")
    verb.add_argument("--classes", type=positive, default=1000)
    verb.add_argument("--json", action="store_true", help="print JSON")
    verb.add_argument("--configfile", type=Path, help="take the sizes from this configuration instead of the paper's")
    verb.add_argument("--variants", type=Path, default=Path("config/variants.yaml"))
    verb.set_defaults(run=run_describe)

    verb = verbs.add_parser("plan", help="print what a configuration will run, its disk and its time, after a minute")
    verb.add_argument("--configfile", type=Path, default=Path("config/config.yaml"))
    verb.add_argument(
        "--gpus",
        type=positive_list,
        default=(),
        metavar="1,2,8",
        help="also the time on so many cards, each with torch_threads cores beside this machine's",
    )
    verb.add_argument("--claims", action="store_true", help="what `snakemake claims` will run, instead of `snakemake`")
    verb.add_argument("--images-per-second", type=positive_rate, help="of a training on one of those cards")
    verb.add_argument("--json", action="store_true", help="print JSON")
    verb.add_argument("--data", type=Path, default=Path("data"), help="folder of the packed datasets")
    verb.add_argument("--variants", type=Path, default=Path("config/variants.yaml"))
    verb.set_defaults(run=run_plan)

    verb = verbs.add_parser("track", help="create the tracking store, the experiment and a configuration's parent run")
    verb.add_argument("name")
    verb.add_argument("output", type=Path)
    verb.set_defaults(run=run_track)

    verb = verbs.add_parser("prepare", help="fetch, check and pack a dataset")
    verb.add_argument("name")
    verb.add_argument("dataset", help="the dataset's section of the configuration, as JSON; or @FILE that holds it")
    verb.add_argument("--data", type=Path, default=Path("data"))
    verb.add_argument("--check", action="store_true", help="only list the images and compare them with the edition")
    verb.set_defaults(run=run_prepare)


def add_running_verbs(verbs: argparse._SubParsersAction) -> None:
    verb = verbs.add_parser("calibrate", help="check packed ILSVRC-2012 images by torchvision's AlexNet on val")
    verb.add_argument("dataset")
    verb.add_argument("output", type=Path, help="the record, written when the errors are the known ones")
    verb.add_argument("--data", type=Path, default=Path("data"), help="folder of the packed datasets")
    verb.add_argument("--weights", type=Path, help="file of the net's weights; torch hub's cache if not given")
    verb.add_argument("--download", action="store_true", help="fetch the weights where they are not in the cache")
    verb.set_defaults(run=run_calibrate)

    stores = argparse.ArgumentParser(add_help=False)
    stores.add_argument("--tracking", type=Path, required=True, help="what `track` wrote")
    stores.add_argument("--data", type=Path, default=Path("data"), help="folder of the packed datasets")

    verb = verbs.add_parser("train", help="train the run of a folder, or resume it", parents=[stores])
    verb.add_argument("folder", type=Path, help="holds config.yaml; the results go beside it")
    verb.add_argument(
        "--search",
        type=Path,
        nargs="+",
        help="folders of the runs that tried its learning rates, where it has a search",
    )
    verb.set_defaults(run=run_train)

    verb = verbs.add_parser("predict", help="store a trained net's probabilities and errors", parents=[stores])
    verb.add_argument("folder", type=Path, help="a trained run's folder")
    verb.add_argument("output", type=Path, help="folder of the probabilities")
    verb.add_argument("--split", choices=("val", "test"), required=True)
    verb.add_argument(
        "--submission",
        action="store_true",
        help="write SPLIT-submission.txt instead, the five most probable labels of each image: the official format",
    )
    verb.set_defaults(run=run_predict)

    verb = verbs.add_parser("analyse", help="measure what a trained net's kernels and features have learnt")
    verb.add_argument("folder", type=Path, help="a trained run's folder")
    verb.add_argument("output", type=Path, help="folder of analysis.json and examples.npz")
    verb.add_argument("--data", type=Path, default=Path("data"), help="folder of the packed datasets")
    verb.set_defaults(run=run_analyse)

    verb = verbs.add_parser("average", help="average stored probabilities into an ensemble's", parents=[stores])
    verb.add_argument("name")
    verb.add_argument("output", type=Path)
    verb.add_argument("--members", type=Path, nargs="+", required=True, help="folders of the members' probabilities")
    verb.add_argument("--split", choices=("val", "test"), required=True)
    verb.set_defaults(run=run_average)


def add_reading_verbs(verbs: argparse._SubParsersAction) -> None:
    verb = verbs.add_parser("tables", help="render the tables of a results folder")
    verb.add_argument("folder", type=Path)
    verb.add_argument("--data", type=Path, default=Path("data"))
    verb.set_defaults(run=run_tables)

    verb = verbs.add_parser("figures", help="draw the figures of a results folder")
    verb.add_argument("folder", type=Path)
    verb.add_argument("--data", type=Path, default=Path("data"))
    verb.set_defaults(run=run_figures)

    verb = verbs.add_parser("report", help="render report.html of a results folder, one page that stands alone")
    verb.add_argument("folder", type=Path)
    verb.set_defaults(run=run_report)

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


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def positive_list(text: str) -> tuple[int, ...]:
    try:
        return tuple(positive(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers; write e.g. 1,2,8") from None


def positive_rate(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def run_describe(options: argparse.Namespace) -> None:
    from alexnet2012.model.geometry import describe
    from alexnet2012.resolve import describe_target

    table = describe(describe_target(options.variant, options.variants, options.configfile), options.classes)
    if options.json:
        print(json.dumps(table, indent=2))
        return
    print(
        f"{'layer':<7}{'kind':<6}{'kernel':>7}{'stride':>7}{'output':>15}{'parameters':>13}{'multiply-adds':>16}{'towers':>8}"
    )
    for layer in table["layers"]:
        size = "x".join(str(side) for side in layer["output"])
        kernel, stride = layer["kernel"] or "-", layer["stride"] or "-"
        print(
            f"{layer['name']:<7}{layer['kind']:<6}{kernel:>7}{stride:>7}{size:>15}"
            f"{layer['parameters']:>13,}{layer['multiply_adds']:>16,}{layer['towers']:>8}"
        )
    print(f"{'':<42}{table['parameters']:>13,}{table['multiply_adds']:>16,}")


def run_plan(options: argparse.Namespace) -> None:
    from alexnet2012.planning import forecast, report
    from alexnet2012.planning.describe import describe_work
    from alexnet2012.planning.machine import look_at_machine

    work = forecast.survey(options.configfile, options.variants, options.data, options.claims)
    machine = look_at_machine(work)
    values = describe_work(work, machine, options.data)
    if not options.json:
        print(report.render_work(values), end="\n\n", flush=True)
    try:
        values |= forecast.forecast_time(
            work,
            machine,
            options.configfile,
            options.variants,
            options.data,
            options.gpus,
            options.images_per_second,
        )
    finally:  # the work and the disk are known even where measuring fails
        if options.json:
            print(json.dumps(values, indent=2))
    if not options.json:
        print(report.render_time(values))


def run_track(options: argparse.Namespace) -> None:
    from alexnet2012.tracking import initialise

    initialise(options.name).save(options.output)


def run_prepare(options: argparse.Namespace) -> None:
    from alexnet2012.config import DatasetConfig
    from alexnet2012.data.prepare import check, prepare
    from alexnet2012.validation import validate

    source = f"dataset {options.name}"
    dataset = validate(DatasetConfig, parse_json(options.dataset, source), source)
    if options.check:
        check(options.name, dataset, options.data)
    else:
        prepare(options.name, dataset, options.data)


def parse_json(text: str, source: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{source}: {text!r} is not JSON ({error})") from None


def run_calibrate(options: argparse.Namespace) -> None:
    from alexnet2012.evaluation.calibration import calibrate_torchvision

    weights = options.weights and options.weights.expanduser()
    calibrate_torchvision(options.data / options.dataset, options.output, weights, options.download)
    print(options.output)


def run_train(options: argparse.Namespace) -> None:
    from alexnet2012.training.run import train

    train(options.folder, options.data, options.tracking, options.search)


def run_predict(options: argparse.Namespace) -> None:
    from alexnet2012.evaluation.run import predict, submit

    if options.submission:
        print(submit(options.folder, options.split, options.output, options.data))
        return
    predict(options.folder, options.split, options.output, options.data, options.tracking)


def run_analyse(options: argparse.Namespace) -> None:
    from alexnet2012.evaluation.analysis import analyse

    analyse(options.folder, options.output, options.data)


def run_average(options: argparse.Namespace) -> None:
    from alexnet2012.evaluation.run import average_members

    average_members(options.name, options.members, options.split, options.output, options.data, options.tracking)


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


def run_publish(options: argparse.Namespace) -> None:
    from alexnet2012.files import write_text
    from alexnet2012.tracking import TrackingIds, log_tables

    sent = log_tables(TrackingIds.load(options.tracking), options.tables)
    write_text(options.output, PUBLISHED if sent else "the tracking store could not be reached\n")


def run_benchmarks(options: argparse.Namespace) -> None:
    from alexnet2012.reporting.benchmarks import publish_benchmarks

    for path in publish_benchmarks(options.raw, options.folder, options.tracking):
        print(path)


def run_show(options: argparse.Namespace) -> None:
    paths = sorted((options.folder / "tables").glob("*.md"))
    if not paths:
        raise RecordError(
            f"{options.folder} holds no tables/*.md; run snakemake to make them, or name another folder of results/"
        )
    for path in paths:
        print(f"\n{path.read_text()}")
    print("Tables:", *paths, sep="\n  ")
    published = options.folder / "published.txt"
    if published.exists() and published.read_text() != PUBLISHED:
        print(f"{published.read_text().strip()}: run snakemake -R publish_tables when it can")


def run_compare(options: argparse.Namespace) -> int:
    from alexnet2012.reporting.compare.comparison import compare_folders
    from alexnet2012.reporting.compare.text import describe, render

    comparison = compare_folders(options.a, options.b)
    print(json.dumps(describe(comparison), indent=2) if options.json else render(comparison))
    return 0 if comparison.agrees else 1


def run_ui(options: argparse.Namespace) -> None:
    from alexnet2012.tracking import serve

    serve(port=options.port)
