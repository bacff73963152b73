"""Verbs before anything is trained: what a net and a configuration are, and what they need."""

import json
from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.config.plan import describe_target
from alexnet2012.config.validate import validate
from alexnet2012.errors import ConfigError
from alexnet2012.files import in_bytes
from alexnet2012.model.geometry import describe
from alexnet2012.verbs.arguments import (
    CONFIG,
    DATA,
    JSON,
    NAME,
    OUTPUT,
    VARIANTS,
    Argument,
    argument,
    positive,
    positive_list,
    positive_rate,
    project_file,
    verb,
)

LAYER = "{:<7}{:<6}{:>7}{:>7}{:>15}{:>13}{:>16}{:>8}"  # a line of the layer table

CLASSES = argument("--classes", type=positive, default=1000)
SIZES = argument("--configfile", type=project_file, help="take the sizes from this configuration, not the paper's")

BUSY_CORES = 0.5  # the load of the last minute from which a note is due


@verb("print a variant's layer table", argument("variant"), CLASSES, JSON, SIZES, VARIANTS, example="cnn --classes 10")
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
RATE = "of a training on one of those cards; this machine is not measured then"


@verb(
    "print what a configuration will run, its disk and an estimate of its time",
    argument("--configfile", type=project_file, default=CONFIG),
    argument("--gpus", type=positive_list, default=(), metavar="1,2,8", help=CARDS),
    add_target("claims"),
    add_target("full"),
    argument("--images-per-second", type=positive_rate, help=RATE),
    JSON,
    DATA,
    VARIANTS,
    example="--configfile config/cifar10.yaml --gpus 1,8",
)
def run_plan(options: Namespace) -> None:
    from alexnet2012 import estimate
    from alexnet2012.survey import survey

    work = survey(options.configfile, options.variants, options.data, options.targets or ())
    machine = estimate.look_at_machine(work)
    values = estimate.describe_work(work, machine, options.data)
    if not options.json:
        print(*list_work(values), "", *list_disk(values), "", sep="\n", flush=True)
    try:
        values |= estimate.estimate_time(work, machine, options.gpus, options.images_per_second)
    finally:  # the work and the disk are known even where measuring fails
        if options.json:
            print(json.dumps(values, indent=2))
    if not options.json:
        print(*list_times(values), sep="\n")


def list_work(values: dict[str, Any]) -> Iterator[str]:
    yield f"{values['name']}: what will run"
    for each in values["datasets"]:
        state = "packed" if each["packed"] else "to be packed again" if each["packed_otherwise"] else "not packed yet"
        sure = "" if each["exact"] else "at most " if each["at_most"] else "about "
        images = ", ".join(f"{count:,} {split}" for split, count in each["images"].items())
        what = f"{each['name']} ({each['kind']}, {each['storage']}, {state})"
        yield f"  {what}: {sure}{images}, {each['classes']:,} classes; {each['origin']}"
    yield from (f"  missing: {sentence}" for sentence in values["missing"])
    for each in values["trainings"]:
        most, seeds = "at most " if each["epochs_at_most"] else "", ", ".join(map(str, each["seeds"]))
        left = f"{len(each['seeds']) - len(each['seeds_done'])} of {len(each['seeds'])} nets left"
        yield f"  train {each['variant']} on {each['dataset']}, seeds {seeds}: {left}"
        epochs = f"{most}{each['epochs']} epochs of {each['images_per_epoch']:,} images"
        steps = f"{each['steps_each']:,} steps a net ({each['steps_per_epoch']:,} an epoch)"
        yield f"    {epochs} = {steps}, {each['steps_left']:,} left; {each['parameters']:,} parameters"
        yield from [f"    warning: {each['few_steps']}"] if each["few_steps"] else []
    for each in values["evaluations"]:
        where = f"{each['variant']} on {each['dataset']} {' and '.join(each['splits'])}"
        seeds = ", ".join(map(str, each["seeds"]))
        left = f"{each['nets'] - each['nets_done']} of {each['nets']} nets left"
        yield f"  evaluate {where}, seeds {seeds}: {each['crops']} crops of {each['images']:,} images, {left}"
    for each in values["averages"]:
        where = f"{each['name']} on {each['dataset']} {each['split']}"
        yield f"  average {where}: {each['members']} nets{', done' * each['done']}"
    for each in values["baselines"]:
        codes = f"codes of {each['dimensions']:,} numbers by {each['models']} models, {each['passes']} passes"
        codes += f"; {in_bytes(each['codes_bytes'])} of codes at a time"
        yield f"  train {each['variant']} on {each['dataset']}, seed {each['seed']}: {codes}{', done' * each['done']}"
    totals = [f"{key.replace('_', ' ')} {count:,}" for key, count in values["totals"].items() if count]
    yield f"  in all: {', '.join(totals)}"


def list_disk(values: dict[str, Any]) -> Iterator[str]:
    disk, memory = values["disk"], values["memory"]
    sizes = {f"packed {name}": size for name, size in disk["packed_bytes"].items()}
    sizes |= {name: disk[f"{name}_bytes"] for name in ("predictions", "weights", "checkpoints")}
    yield f"Disk: {', '.join(f'{name} {in_bytes(size)}' for name, size in sizes.items())}"
    for each in disk["file_systems"]:
        verdict = "fits" if each["fits"] else "DOES NOT FIT: make room, or link a folder to a larger disk"
        need = f"{in_bytes(each['needed_bytes'])} still needed, {in_bytes(each['free_bytes'])} free"
        yield f"  {' and '.join(each['folders'])}: {need}: {verdict}"
    fits = "fit, and are read from disk once" if memory["packed_fits"] else "do not fit: each epoch reads the disk"
    yield f"  packed data in {in_bytes(memory['memory_bytes'])} of memory: they {fits}"


def list_times(values: dict[str, Any]) -> Iterator[str]:
    measured, hardware = values["measured"], values["machine"]["hardware"]
    if measured is None:
        yield "Time: none, for everything is done. Snakemake runs a job again where its code or settings changed."
        return
    took = "nothing measured" if measured["took_s"] is None else f"measured for {measured['took_s']:.0f} s"
    yield f"Time, an estimate that may be off by half ({hardware}; {took})"
    if measured["rates"] and (busy := measured["busy_cores_before"]) >= BUSY_CORES:
        yield f"  note: other work kept about {busy:.1f} cores busy before; without it the jobs go faster"
    for each in measured["rates"]:
        speed = f"{each['images_per_s']:,.0f} images/s in training, {each['ten_crop_images_per_s']:,.0f} in evaluation"
        where = f"in each of {each['processes']} processes ({each['device']}; {each['origin']})"
        yield f"  {each['variant']} on {each['dataset']}: {speed}, {where}"
    yield f"  start of a job: {measured['overheads']['start_s']:.1f} s"
    yield from (f"  preparing {name}: {in_round_time(seconds)}" for name, seconds in measured["preparations_s"].items())
    most = "at most " if any(each["epochs_at_most"] for each in values["trainings"]) else ""
    for each in values["schedules"]:
        if each["makespan_s"] is None:
            yield f"  {each['where']}, {each['cores']} cores: {each['images_per_s_origin']}"
            continue
        fastest = f"{each['images_per_s_per_training']:,.0f} images/s, {each['images_per_s_origin']}"
        read = f"{in_bytes(each['read_bytes_per_s'])}/s in reads of {in_bytes(each['read_bytes_per_image'])}"
        yield f"  {each['where']}, {each['cores']} cores: {most}about {in_round_time(each['makespan_s'])}"
        yield f"    trainings at once: {each['simultaneous_trainings']}, the fastest at {fastest}; up to {read}"
    if len(values["schedules"]) > 1:
        yield "  each card is taken to come with torch_threads cores, beside this machine's"


def in_round_time(seconds: float) -> str:
    """A duration as exact as an estimate: in days from two days on, in hours from two hours on, else in minutes."""
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}s"
    return "1 minute" if seconds < 90 else "2 minutes"


@verb(
    "create the tracking store, the experiment and a configuration's parent run",
    NAME,
    OUTPUT,
    example="cifar10 results/cifar10/tracking.json",
    by_workflow=True,
)
def run_track(options: Namespace) -> None:
    from alexnet2012.tracking.store import begin_tracking

    begin_tracking(options.name).save(options.output)


@verb(
    "fetch, check and pack a dataset",
    NAME,
    argument("dataset", help="the dataset's section of the configuration, as JSON; or @FILE that holds it"),
    DATA,
    argument("--check", action="store_true", help="only list the images and compare them with the edition"),
    example="cifar10 @data/configs/cifar10.json",
    by_workflow=True,
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
