"""Where the slots of a finished workflow spent their time, from Snakemake's notes of its jobs and our records."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

NETS = ("train_net", "predict", "predict_val", "analyse")  # the rules whose records say how long they computed


@dataclass(frozen=True)
class Job:
    """Seconds since the epoch, and how many slots it takes."""

    rule: str
    began: float
    ended: float
    slots: int = 1

    @property
    def seconds(self) -> float:
        return self.slots * (self.ended - self.began)


@dataclass(frozen=True)
class Split:
    """Shares of slots x elapsed; they add up to 1.

    `compute`: what trainings, predictions and analyses recorded; `start_up`: the rest of those jobs, which is imports,
    checks and files; `other_jobs`: tables, averages, tracking; `tail`: slots without a job after the last moment at
    which all had one; `idle`: such slots before that, while Snakemake started and chose.
    """

    compute: float
    start_up: float
    other_jobs: float
    tail: float
    idle: float


def read_jobs(root: Path, since: float) -> list[Job]:
    """Each job that ended after `since`, once, in the order in which they began."""
    notes = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in (root / ".snakemake" / "metadata").iterdir()
        if path.is_file()
    ]
    own = {(note["rule"], *note["log"]): note for note in notes if note["endtime"] > since}
    jobs = [
        Job(note["rule"], note["starttime"], note["endtime"], count_slots(root / note["log"][0]))
        for note in own.values()
    ]
    return sorted(jobs, key=lambda job: job.began)


def count_slots(log: Path) -> int:
    """The processes of the training that wrote `log`; 1 for any other job."""
    record = Path(str(log).replace("/logs/train/", "/runs/")).with_suffix("") / "record.json"
    return json.loads(record.read_text(encoding="utf-8"))["processes"] if record.is_file() else 1


def read_compute(results: Path, stage: str) -> dict[Path, float]:
    """Slot seconds that single nets recorded in a `stage`, "runs", "predictions" or "analyses", by the net's folder in
    it; a training's include the evaluations of its epochs."""
    found: dict[Path, float] = {}
    for path in (results / stage).glob("**/*.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        if record.get("kind") in ("training", "prediction", "analysis"):
            net = path.parent.relative_to(results / stage)
            found[net] = found.get(net, 0) + record["wall_time_s"] * record.get("processes", 1)
    return found


def split_time(jobs: Iterable[Job], compute: float, began: float, ended: float, slots: int) -> Split:
    """How `slots` spent the time from `began` to `ended`."""
    jobs = list(jobs)
    whole = slots * (ended - began)
    nets = sum(job.seconds for job in jobs if job.rule in NETS)
    others = sum(job.seconds for job in jobs if job.rule not in NETS)
    full = last_full_moment(jobs, slots, began)
    busy_after = sum(max(0.0, job.ended - max(job.began, full)) * job.slots for job in jobs)
    tail = slots * (ended - full) - busy_after
    return Split(
        compute / whole, (nets - compute) / whole, others / whole, tail / whole, (whole - nets - others - tail) / whole
    )


def last_full_moment(jobs: list[Job], slots: int, began: float) -> float:
    """The last moment at which `slots` jobs ran at once; `began` where there was none."""
    changes = sorted([(job.ended, -job.slots) for job in jobs] + [(job.began, job.slots) for job in jobs])
    running, last = 0, began
    for moment, change in changes:
        if running >= slots and change < 0:
            last = moment
        running += change
    return last
