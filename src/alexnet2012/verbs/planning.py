"""Verbs before anything is trained: what a net and a configuration are, and what they need."""

import argparse
import json
from pathlib import Path

from alexnet2012.errors import ConfigError
from alexnet2012.verbs.arguments import add_data, positive, positive_list, positive_rate


def add_planning_verbs(verbs: argparse._SubParsersAction) -> None:
    verb = verbs.add_parser("describe", help="print a variant's layer table")
    verb.add_argument("variant")
    verb.add_argument("--classes", type=positive, default=1000)
    verb.add_argument("--json", action="store_true", help="print JSON")
    verb.add_argument("--configfile", type=Path, help="take the sizes from this configuration instead of the paper's")
    verb.add_argument("--variants", type=Path, default=Path("config/variants.yaml"))
    verb.set_defaults(run=run_describe)

    verb = verbs.add_parser("plan", help="print what a configuration will run, its disk and an estimate of its time")
    verb.add_argument("--configfile", type=Path, default=Path("config/config.yaml"))
    verb.add_argument(
        "--gpus",
        type=positive_list,
        default=(),
        metavar="1,2,8",
        help="also the time on so many cards, each with torch_threads cores beside this machine's",
    )
    for target in ("claims", "full"):
        words = f"what `snakemake {target}` will run, instead of `snakemake`"
        verb.add_argument(f"--{target}", dest="targets", action="append_const", const=target, help=words)
    verb.add_argument("--images-per-second", type=positive_rate, help="of a training on one of those cards")
    verb.add_argument("--json", action="store_true", help="print JSON")
    add_data(verb)
    verb.add_argument("--variants", type=Path, default=Path("config/variants.yaml"))
    verb.set_defaults(run=run_plan)

    verb = verbs.add_parser("track", help="create the tracking store, the experiment and a configuration's parent run")
    verb.add_argument("name")
    verb.add_argument("output", type=Path)
    verb.set_defaults(run=run_track)

    verb = verbs.add_parser("prepare", help="fetch, check and pack a dataset")
    verb.add_argument("name")
    verb.add_argument("dataset", help="the dataset's section of the configuration, as JSON; or @FILE that holds it")
    add_data(verb)
    verb.add_argument("--check", action="store_true", help="only list the images and compare them with the edition")
    verb.set_defaults(run=run_prepare)


def run_describe(options: argparse.Namespace) -> None:
    from alexnet2012.config.plan import describe_target
    from alexnet2012.model.geometry import describe

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
    from alexnet2012 import estimate

    work = estimate.survey(options.configfile, options.variants, options.data, options.targets or ())
    machine = estimate.look_at_machine(work)
    values = estimate.describe_work(work, machine, options.data)
    if not options.json:
        print(estimate.render_work(values), end="\n\n", flush=True)
    try:
        values |= estimate.estimate_time(work, machine, options.gpus, options.images_per_second)
    finally:  # the work and the disk are known even where measuring fails
        if options.json:
            print(json.dumps(values, indent=2))
    if not options.json:
        print(estimate.render_time(values))


def run_track(options: argparse.Namespace) -> None:
    from alexnet2012.tracking import initialise

    initialise(options.name).save(options.output)


def run_prepare(options: argparse.Namespace) -> None:
    from alexnet2012.config.datasets import DatasetConfig
    from alexnet2012.config.validate import validate
    from alexnet2012.data.prepare import check, prepare

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
