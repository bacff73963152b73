"""Estimates of disk space and time for a configuration: the values that `alexnet2012 plan` prints.

A short loop measures how fast each distinct net trains (timing.py); everything else is estimated from that or from
constants. The estimated time is the longer of the longest chain of jobs and all work divided by the slots.
"""

import math
import os
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from alexnet2012.config.schema import RunConfig
from alexnet2012.cpu import KEEP_LARGE_BUFFERS, count_usable_cores, count_usable_memory
from alexnet2012.errors import PlanError
from alexnet2012.gpus import list_cards, say
from alexnet2012.model.geometry import describe
from alexnet2012.provenance import describe_hardware
from alexnet2012.survey import CROPS, STEP_PASSES, Job, Values, Work, packed_bytes

KINDS = {"trainings": "train", "evaluations": "predict", "averages": "average", "baselines": "baselines"}
JOB_KINDS = ("prepare", "baselines", "tables", "train", "predict", "analyse", "average")
CHECKPOINT_NUMBERS = 3 * 2  # two checkpoints are kept while a third is written; each holds weights and velocity
START_FACTOR = 2.0  # a job's start over the measured import of torch: it also opens the tracking store, writes records
USUAL_START_S = 10.0  # a job's start where it is not measured
AFTERWARDS = 6  # jobs at the end, one after another: tables, figures, cards, report, publishing, showing
MOST_PROCESSES = 8  # each needs as much memory as a training
BUDGET_S = 35.0  # after this, nets are not measured but scaled from the last measured one
SILENCE_S = 5.0
NO_RATE = "no rate is known for a GPU: give --images-per-second"


@dataclass(frozen=True)
class Machine:
    """A machine's usable cores, GPUs and memory. `cards` None: no GPU, so that trainings run on cores."""

    cores: int
    cards: int | None
    memory_bytes: int
    hardware: str

    def slots(self, job: Job) -> int:
        """Number of such jobs that run at the same time; at least one, even if it asks for more than there is."""
        slots = self.cores // (job.cores or self.cores)
        return max(1, slots if self.cards is None or not job.passes else min(slots, self.cards // job.cards))

    def at_once(self, work: Work) -> int:
        """The largest number of trainings that run at the same time."""
        left = [job for job in work.of_kind("train") if job.left]
        return min(max(map(self.slots, left), default=0), sum(job.left for job in left))


def look_at_machine(work: Work) -> Machine:
    """This machine, with cores counted as in the workflow, and with GPUs only if a training may use them."""
    cards = list_cards() if any(run.runtime.device != "cpu" for _, run in work.nets("train")) else []
    hardware = describe_hardware("cpu") + (f", GPUs: {len(cards)}" if cards else "")
    return Machine(count_usable_cores(), len(cards) or None, count_usable_memory(), hardware)


def describe_work(work: Work, machine: Machine, data_folder: Path) -> Values:
    """All values of the estimate that need no measurement."""
    at_once, packed = machine.at_once(work), sum(map(packed_bytes, work.datasets.values()))
    entries = {name: [job.entry for job in work.of_kind(kind)] for name, kind in KINDS.items()}
    totals, fits = {}, packed <= machine.memory_bytes
    for name, kind in KINDS.items():
        totals[name] = sum(job.count for job in work.of_kind(kind))
        totals[f"{name}_done"] = sum(job.done for job in work.of_kind(kind))
    totals["training_steps"] = sum(each["steps_each"] * len(each["seeds"]) for each in entries["trainings"])
    totals["training_steps_left"] = sum(each["steps_left"] for each in entries["trainings"])
    totals["training_images"] = sum(each["images_in_all"] for each in entries["trainings"])
    totals["tables_done"] = work.done
    return {
        "name": work.plan.config.name,
        "machine": {**asdict(machine), "simultaneous_trainings": at_once},
        "datasets": list(work.datasets.values()),
        "missing": work.missing,
        **entries,
        "totals": totals,
        "disk": measure_disk(work, data_folder, at_once),
        "memory": {"memory_bytes": machine.memory_bytes, "packed_bytes": packed, "packed_fits": fits},
    }


def measure_disk(work: Work, data_folder: Path, at_once: int) -> Values:
    """Bytes of all outputs (of checkpoints, those of `at_once` simultaneous trainings); and for each file system, the
    bytes still to be written beside the free ones."""
    weights = sorted(job.output_bytes for job in work.of_kind("train") for _ in range(job.left))
    checkpoints = CHECKPOINT_NUMBERS * sum(weights[len(weights) - at_once :])
    data = sum(job.left * job.output_bytes for job in work.of_kind("prepare"))
    results = checkpoints + sum(job.left * job.output_bytes for job in work.jobs) - data
    systems: dict[int, Values] = {}
    for name, needed in ((str(data_folder), data), (f"results/{work.plan.config.name}", results)):
        folder = Path(name).expanduser().resolve()
        folder = next(each for each in (folder, *folder.parents) if each.exists())
        own = systems.setdefault(folder.stat().st_dev, {"folders": [], "needed_bytes": 0})
        own["folders"].append(name)
        own["needed_bytes"] += needed
        own["free_bytes"] = shutil.disk_usage(folder).free
        own["fits"] = own["needed_bytes"] <= own["free_bytes"]
    return {
        "packed_bytes": {name: packed_bytes(each) for name, each in work.datasets.items()},
        "predictions_bytes": sum(job.count * job.output_bytes for job in work.of_kind("predict", "average")),
        "weights_bytes": sum(job.count * job.output_bytes for job in work.of_kind("train")),
        "checkpoints_bytes": checkpoints,
        "data_needed_bytes": data,
        "results_needed_bytes": results,
        "file_systems": list(systems.values()),
        "fits": all(each["fits"] for each in systems.values()),
    }


def estimate_time(
    work: Work, machine: Machine, gpus: Sequence[int] = (), images_per_second: float | None = None
) -> Values:
    """Measure this machine, and estimate the time of all jobs on it and with each number of cards in `gpus`.

    `images_per_second`: training speed on one such card (of one, where `gpus` is empty); then nothing is measured, and
    this machine's times are None. So are a card's if no speed of a GPU is known. Raises PlanError if measuring fails.
    """
    if work.done:
        return {"measured": None, "schedules": []}
    busy, began = os.getloadavg()[0], time.monotonic()
    rates: dict[str, Values] = {}
    start_s, took_s, here = USUAL_START_S, None, "not measured"
    if images_per_second is None:
        start_s, rates = measure(work, machine)
        took_s, here = round(time.monotonic() - began, 1), "measured here"
    speeds = {key: each["images_per_s"] for key, each in rates.items()}
    given, origin = speeds, here
    if images_per_second:
        given, origin = dict.fromkeys(map(speed_key, work.plan.trainings), images_per_second), "as given"
    elif any(each["device"] == "cpu" for each in rates.values()):
        given, origin = {}, NO_RATE
    threads = max((run.training.torch_threads for _, run in work.nets("train")), default=1)
    schedules = [add_up("this machine", work, start_s, speeds, machine, here)]
    for cards in gpus or ((1,) if images_per_second else ()):
        place = replace(machine, cores=machine.cores + cards * threads, cards=cards)
        schedules.append(add_up(f"{cards} card{'s' * (cards > 1)}", work, start_s, given, place, origin))
    preparations = [job for job in work.of_kind("prepare") if job.left]
    baselines = [(run.hash8, job.entry) for job, run in work.nets("baselines") if job.left]
    measured = {
        "took_s": took_s,
        "busy_cores_before": busy,
        "rates": list(rates.values()),
        "overheads": {"start_s": start_s},
        "preparations_s": {
            job.entry["name"]: start_s + job.seconds + job.core_s / machine.cores for job in preparations
        },
        "baselines": {name: {key: entry[key] for key in ("encode_s", "descriptor_s")} for name, entry in baselines},
    }
    return {"measured": measured, "schedules": schedules}


def measure(work: Work, machine: Machine) -> tuple[float, dict[str, Values]]:
    """Seconds that a job needs to start, and by speed_key the speed of each net with jobs left.

    Measures in as many processes as trainings will run at the same time. After BUDGET_S, speeds are scaled from the
    previous net by multiply-adds. Raises PlanError if a process dies, and whatever a training would raise.
    """
    rates: dict[str, Values] = {}
    began, speed, device, cost_before = time.monotonic(), 0.0, "", 0
    processes = 1 if machine.cards else max(1, min(MOST_PROCESSES, machine.at_once(work)))
    left = [run for job, run in work.nets("train", "predict", "analyse") if job.left]
    with measuring(processes) as ask:
        ask("the start of a job", "get_ready")
        start_s = START_FACTOR * (time.monotonic() - began)
        for run in left:
            key = speed_key(run)
            if key in rates:
                continue
            classes = work.datasets[run.dataset_name]["classes"]
            cost = describe(run.architecture, classes)["multiply_adds"]
            if rates and time.monotonic() - began > BUDGET_S:
                speed, origin = speed * cost_before / cost, "by multiply-adds"
            else:
                answers = ask(f"{run.variant} on {run.dataset_name}", "time_training", run.model_dump(), classes)
                speed, device, origin = sum(own for own, _ in answers) / processes, answers[0][1], "measured"
            cost_before = cost
            rates[key] = {"dataset": run.dataset_name, "variant": run.variant}
            rates[key] |= {"images_per_s": speed, "ten_crop_images_per_s": speed * STEP_PASSES / CROPS}
            rates[key] |= {"centre_images_per_s": speed * STEP_PASSES, "processes": processes}
            rates[key] |= {"device": device, "origin": origin}
    return start_s, rates


@contextmanager
def measuring(processes: int) -> Iterator[Callable[..., list[Any]]]:
    """A function that calls a function of timing.py in each of `processes` processes, and returns their answers.

    It prints to stderr what it measures."""
    began = time.monotonic()
    os.environ.update(KEEP_LARGE_BUFFERS)  # glibc reads them when the processes start
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:

        def ask(what: str, function: str, *arguments: Any) -> list[Any]:
            say(f"measuring {what}")
            running = [pool.submit(call_timing, function, *arguments) for _ in range(processes)]
            while wait(running, SILENCE_S).not_done:
                say(f"  still measuring, after {time.monotonic() - began:.0f} s")
            return [each.result() for each in running]

        try:
            yield ask
        except BrokenProcessPool as error:
            raise PlanError(
                "a measuring process was killed, and a training may be too; check that there is enough memory"
            ) from error


def call_timing(function: str, *arguments: Any) -> Any:
    """Call a function of timing.py; runs in a measuring process, because the main one does not import torch."""
    from alexnet2012 import timing

    return getattr(timing, function)(*arguments)


def speed_key(run: RunConfig) -> str:
    """A key that is equal for nets that train at the same speed."""
    settings = run.training.model_dump_json(include={"batch_size", "precision", "compile", "torch_threads"})
    return f"{run.dataset_name} {settings} {run.net.model_dump_json()}"


def add_up(where: str, work: Work, start_s: float, speeds: dict[str, float], machine: Machine, origin: str) -> Values:
    """Estimated times of all unfinished jobs on `machine`. `speeds`: training images/s by speed_key; `origin`: where
    these come from, in words. Times and speeds are None where `speeds` lacks a net with jobs left."""
    seconds = dict.fromkeys(JOB_KINDS, 0.0) | {"tables": AFTERWARDS * start_s}
    alone = work_s = seconds["tables"]
    chains: dict[Path, float] = defaultdict(float)
    trained: dict[Path, float] = {}
    for job in (job for job in work.jobs if job.left):
        speed = speeds.get(speed_key(job.run), math.nan) if job.run and job.passes else math.inf
        taken = job.left * start_s + job.seconds + job.core_s / machine.cores + job.passes / (STEP_PASSES * speed)
        seconds[job.kind] += taken
        work_s += taken / machine.slots(job)
        alone += 0.0 if job.cores else taken
        if job.run and job.kind == "train":
            first = list(work.plan.searches.get(job.run.folder, ()))
            first += [job.run.starts_from.run] if job.run.starts_from else []
            before = max((trained.get(each.folder.parent, 0.0) for each in first), default=0.0)
            trained[job.run.folder.parent] = chains[job.run.folder.parent] = before + taken / job.left
        elif job.run and job.kind == "predict":
            chains[job.run.folder.parent] += taken / job.left
    chain_s = alone + max(chains.values(), default=0.0) + (start_s if seconds["average"] else 0.0)
    left = [run for job, run in work.nets("train") if job.left]
    read = [(speeds.get(speed_key(run), math.nan), work.datasets[run.dataset_name]["image_bytes"]) for run in left]
    speed, size = max(read, key=math.prod, default=(0.0, 0))
    at_once = machine.at_once(work)
    times: Values = {"makespan_s": max(work_s, chain_s), "lower_bound_s": max(work_s, chain_s)}
    times |= {"critical_path_s": chain_s, "work_s": work_s, "images_per_s_per_training": speed}
    times |= {"read_bytes_per_s_per_training": speed * size, "read_bytes_per_s": speed * size * at_once}
    by_kind: Values = seconds
    if math.isnan(work_s + speed):
        times, by_kind = dict.fromkeys(times), dict.fromkeys(seconds)
    place = {"where": where, "cores": machine.cores, "cards": machine.cards}
    others = {"simultaneous_trainings": at_once, "read_bytes_per_image": size, "images_per_s_origin": origin}
    return {**place, **times, "job_s_by_kind": by_kind, **others}
