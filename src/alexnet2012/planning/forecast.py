"""A configuration's time as plain data: this machine measured for seconds, then a schedule of all jobs."""

import os
import time
from collections.abc import Collection
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from alexnet2012.config.plan import make_plan
from alexnet2012.config.validate import read_yaml
from alexnet2012.planning.baselines import measure_all_costs
from alexnet2012.planning.disk import stored_image_bytes
from alexnet2012.planning.jobs import list_jobs
from alexnet2012.planning.machine import Machine
from alexnet2012.planning.makespan import Job, schedule
from alexnet2012.planning.miniature import measure_overheads
from alexnet2012.planning.rates import Rates, measure_rates, setting_of
from alexnet2012.planning.small_costs import measure_small_costs, measure_snakemake, preparation_seconds
from alexnet2012.planning.work import TrainingWork, Work, list_work
from alexnet2012.preflight import list_missing

AS_THIS_CPU = "as fast as this machine's CPU"


def survey(configfile: Path, variants: Path, data_folder: Path, targets: Collection[str] = ()) -> Work:
    """What the configuration will run when Snakemake is given these targets ("claims", "full").

    Raises ConfigError as the workflow would.
    """
    plan = make_plan(read_yaml(configfile), str(configfile), variants, targets)
    missing = list_missing(plan.config, str(configfile), data_folder, plan.datasets)
    return replace(list_work(plan, data_folder), missing=tuple(missing))


def forecast_time(
    work: Work,
    machine: Machine,
    configfile: Path,
    variants: Path,
    data_folder: Path,
    gpus: tuple[int, ...] = (),
    images_per_second: float | None = None,
) -> dict[str, Any]:
    """Measure this machine for seconds, and schedule all jobs on it and on each number of `gpus` cards.

    `images_per_second`: training images of one such card. Raises PlanError when measuring fails.
    """
    if work.tables_done:
        return {"measured": None, "schedules": []}
    busy_cores = os.getloadavg()[0]
    started = time.monotonic()
    rates = measure_rates(work, machine)
    widest = max((training.run for training in work.trainings), key=lambda run: run.training.torch_threads)
    threads = widest.training.torch_threads
    overheads = measure_overheads(variants, threads, widest.runtime.device, machine.at_once(widest, 2))
    size_px = max(dataset.config.size_px for dataset in work.datasets)
    costs = measure_small_costs(data_folder, size_px, machine.cores)
    snakemake_s = measure_snakemake(configfile)
    preparations = {
        dataset.name: preparation_seconds(dataset, costs, machine.cores, overheads.prepare_s)
        for dataset in work.datasets
        if not dataset.counts.packed
    }

    baselines = measure_all_costs([each for each in work.baselines if not each.done])

    def list_at(card: float | None, origin: str) -> list[Job]:
        def rates_of(training: TrainingWork) -> Rates:
            own = rates[setting_of(training)]
            return own.at(card, origin) if card else replace(own, origin=origin or own.origin)

        return list_jobs(work, rates_of, overheads, costs, preparations, baselines, machine.cores)

    shown = [(training, rates[setting_of(training)]) for training in work.trainings if setting_of(training) in rates]
    on_cuda = any(each.device != "cpu" for _, each in shown)
    origin = "as given" if images_per_second else "measured here" if on_cuda else AS_THIS_CPU
    here = list_at(None, "")
    schedules = [describe_schedule("this machine", here, machine, snakemake_s, shown, None, "measured here")]
    jobs = list_at(images_per_second, origin)
    for cards in gpus:
        larger = replace(machine, cores=machine.cores + cards * threads, cards=cards)
        name = f"{cards} card{'s' if cards > 1 else ''}"
        schedules.append(describe_schedule(name, jobs, larger, snakemake_s, shown, images_per_second, origin))
    return {
        "measured": {
            "took_s": round(time.monotonic() - started, 1),
            "busy_cores_before": busy_cores,
            "rates": describe_rates(shown),
            "overheads": asdict(overheads),
            "small_costs": asdict(costs),
            "preparations_s": preparations,
            "baselines": {name: asdict(each) for name, each in baselines.items()},
            "snakemake_s": snakemake_s,
        },
        "schedules": schedules,
    }


def describe_rates(shown: list[tuple[TrainingWork, Rates]]) -> list[dict[str, Any]]:
    """By dataset and variant, per training when all of them run side by side."""
    rows = {}
    for training, each in shown:
        rows[training.run.dataset_name, training.run.variant] = {
            "dataset": training.run.dataset_name,
            "variant": training.run.variant,
            "images_per_s": each.images_per_s,
            "ten_crop_images_per_s": 1 / each.ten_crop_s,
            "centre_images_per_s": 1 / each.centre_s,
            "epoch_start_s": each.epoch_start_s,
            "checkpoint_s": each.checkpoint_s,
            "processes": each.processes,
            "device": each.device,
            "origin": each.origin,
        }
    return list(rows.values())


def describe_schedule(
    name: str,
    jobs: list[Job],
    machine: Machine,
    snakemake_s: float,
    shown: list[tuple[TrainingWork, Rates]],
    card_images_per_s: float | None,
    origin: str,
) -> dict[str, Any]:
    """One machine's schedule, and what its disk is asked for while trainings run side by side."""
    found = schedule(jobs, machine.cores, machine.cards)
    seconds: dict[str, float] = {}
    for job in jobs:
        seconds[job.kind] = seconds.get(job.kind, 0.0) + job.seconds
    pending = [(training, each) for training, each in shown if not training.done]
    speed = [
        (card_images_per_s or each.images_per_s, stored_image_bytes(training.run.dataset)) for training, each in pending
    ]
    at_once = machine.most_at_once([training for training, _ in pending])
    per_training = max((images * size for images, size in speed), default=0.0)
    return {
        "where": name,
        "cores": machine.cores,
        "cards": machine.cards,
        "makespan_s": found.makespan_s + snakemake_s,
        "lower_bound_s": found.lower_bound_s + snakemake_s,
        "critical_path_s": found.critical_path_s + snakemake_s,
        "work_s": found.work_s + snakemake_s,
        "job_s_by_kind": seconds,
        "images_per_s_origin": origin,
        "simultaneous_trainings": at_once,
        "images_per_s_per_training": max((images for images, _ in speed), default=0.0),
        "read_bytes_per_image": max((size for _, size in speed), default=0),
        "read_bytes_per_s_per_training": per_training,
        "read_bytes_per_s": per_training * at_once,
    }
