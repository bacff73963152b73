"""Verbs before anything is trained: what a net and a configuration are, and what they need."""

import json
from argparse import Namespace
from pathlib import Path

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.config.plan import describe_target
from alexnet2012.config.validate import validate
from alexnet2012.errors import ConfigError
from alexnet2012.model.geometry import describe
from alexnet2012.verbs.arguments import (
    DATA,
    JSON,
    NAME,
    OUTPUT,
    VARIANTS,
    Argument,
    argument,
    path,
    positive,
    positive_list,
    positive_rate,
    verb,
)

LAYER = "{:<7}{:<6}{:>7}{:>7}{:>15}{:>13}{:>16}{:>8}"  # a line of the layer table

CLASSES = argument("--classes", type=positive, default=1000)
SIZES = path("--configfile", "take the sizes from this configuration instead of the paper's")


@verb("print a variant's layer table", argument("variant"), CLASSES, JSON, SIZES, VARIANTS)
def run_describe(options: Namespace) -> None:
    table = describe(describe_target(options.variant, options.variants, options.configfile), options.classes)
    if options.json:
        print(json.dumps(table, indent=2))
        return
    print(LAYER.format("layer", "kind", "kernel", "stride", "output", "parameters", "multiply-adds", "towers"))
    for each in table["layers"]:
        size = "x".join(str(side) for side in each["output"])
        counts = f"{each['parameters']:,}", f"{each['multiply_adds']:,}", each["towers"]
        print(LAYER.format(each["name"], each["kind"], each["kernel"] or "-", each["stride"] or "-", size, *counts))
    totals = f"{table['parameters']:,}", f"{table['multiply_adds']:,}"
    print(LAYER.format("", "", "", "", "", *totals, "").rstrip())


def add_target(name: str) -> Argument:
    words = f"what `snakemake {name}` will run, instead of `snakemake`"
    return argument(f"--{name}", dest="targets", action="append_const", const=name, help=words)


CARDS = "also the time on so many cards, each with torch_threads cores beside this machine's"


@verb(
    "print what a configuration will run, its disk and an estimate of its time",
    path("--configfile", default=Path("config/config.yaml")),
    argument("--gpus", type=positive_list, default=(), metavar="1,2,8", help=CARDS),
    add_target("claims"),
    add_target("full"),
    argument("--images-per-second", type=positive_rate, help="of a training on one of those cards"),
    JSON,
    DATA,
    VARIANTS,
)
def run_plan(options: Namespace) -> None:
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


@verb("create the tracking store, the experiment and a configuration's parent run", NAME, OUTPUT)
def run_track(options: Namespace) -> None:
    from alexnet2012.tracking import initialise

    initialise(options.name).save(options.output)


@verb(
    "fetch, check and pack a dataset",
    NAME,
    argument("dataset", help="the dataset's section of the configuration, as JSON; or @FILE that holds it"),
    DATA,
    argument("--check", action="store_true", help="only list the images and compare them with the edition"),
)
def run_prepare(options: Namespace) -> None:
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
