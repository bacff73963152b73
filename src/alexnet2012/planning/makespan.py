"""How long a graph of jobs takes on so many cores and cards: list scheduling, the longest road first."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """One job; `needs` are names of jobs that end before it starts.

    `cores` None takes all of them, and goes first: the workflow gives such jobs, its preparations, priority.
    """

    name: str
    kind: str
    seconds: float
    needs: tuple[str, ...] = ()
    cores: int | None = 1
    cards: int = 0


@dataclass(frozen=True)
class Schedule:
    """`starts_s` by job. No schedule can be shorter than `critical_path_s`, nor than `work_s`: the work of the scarcer
    of cores and cards shared out evenly."""

    makespan_s: float
    starts_s: dict[str, float]
    critical_path_s: float
    work_s: float

    @property
    def lower_bound_s(self) -> float:
        return max(self.critical_path_s, self.work_s)


def schedule(jobs: Iterable[Job], cores: int, cards: int | None) -> Schedule:
    """List scheduling on `cores` and `cards`; None: cards bound nothing, as on a machine without any.

    A job that asks for more than there is gets what there is, as Snakemake does it. Raises ValueError when a job needs
    one that is not among `jobs`, or itself.
    """
    jobs = {job.name: job for job in jobs}
    roads = measure_roads(jobs)
    demands = {
        job.name: (min(cores, cores if job.cores is None else job.cores), 0 if cards is None else min(cards, job.cards))
        for job in jobs.values()
    }
    waiting = {job.name: len(set(job.needs)) for job in jobs.values()}
    followers: dict[str, list[str]] = {name: [] for name in jobs}
    for job in jobs.values():
        for need in set(job.needs):
            followers[need].append(job.name)
    order = {name: place for place, name in enumerate(jobs)}

    def urgency(name: str) -> tuple[bool, float, int]:
        return jobs[name].cores is not None, -roads[name], order[name]

    ready = sorted((name for name, count in waiting.items() if count == 0), key=urgency)
    free_cores, free_cards = cores, cards or 0
    now, running, starts = 0.0, [], {}
    while ready or running:
        for name in tuple(ready):
            wanted_cores, wanted_cards = demands[name]
            if wanted_cores <= free_cores and wanted_cards <= free_cards:
                ready.remove(name)
                free_cores, free_cards = free_cores - wanted_cores, free_cards - wanted_cards
                starts[name] = now
                heapq.heappush(running, (now + jobs[name].seconds, order[name], name))
        now = running[0][0]
        while running and running[0][0] <= now:
            name = heapq.heappop(running)[2]
            free_cores, free_cards = free_cores + demands[name][0], free_cards + demands[name][1]
            for follower in followers[name]:
                waiting[follower] -= 1
                if waiting[follower] == 0:
                    ready.append(follower)
        ready.sort(key=urgency)
    core_work = sum(job.seconds * demands[job.name][0] for job in jobs.values()) / cores
    card_work = sum(job.seconds * demands[job.name][1] for job in jobs.values()) / cards if cards else 0.0
    return Schedule(now, starts, max(roads.values(), default=0.0), max(core_work, card_work))


def measure_roads(jobs: dict[str, Job]) -> dict[str, float]:
    """Seconds from the start of each job to the end of the longest chain that begins with it."""
    followers: dict[str, list[str]] = {name: [] for name in jobs}
    for job in jobs.values():
        for need in set(job.needs):
            if need not in jobs:
                raise ValueError(f"{job.name} needs {need}, which is no job")
            followers[need].append(job.name)
    left = {name: len(after) for name, after in followers.items()}
    ends = [name for name, count in left.items() if count == 0]
    roads: dict[str, float] = {}
    while ends:
        name = ends.pop()
        roads[name] = jobs[name].seconds + max((roads[after] for after in followers[name]), default=0.0)
        for need in set(jobs[name].needs):
            left[need] -= 1
            if left[need] == 0:
                ends.append(need)
    if len(roads) < len(jobs):
        raise ValueError(f"these jobs need each other: {', '.join(sorted(set(jobs) - set(roads)))}")
    return roads
