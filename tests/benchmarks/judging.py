"""From the samples of a contest to comparisons with their goals, and to the floor."""

from statistics import median
from typing import Any

from alexnet2012.reporting.benchmark_results import Comparison, ContenderResult, Direction, Floor, Measure


def compare_speed(
    ours: ContenderResult, theirs: ContenderResult, goal: float | None, cores: tuple[int, int] = (1, 1)
) -> Comparison:
    """How many times as fast as `theirs`, round by round; per core where ours and theirs keep so many `cores` busy."""
    ratios = [
        their_s * cores[1] / (our_s * cores[0])
        for our_s, their_s in zip(ours.seconds_per_unit, theirs.seconds_per_unit, strict=True)
    ]
    return judge(ours.label, theirs.label, "times as fast", ratios, goal, "at least")


def compare_time(ours: ContenderResult, theirs: ContenderResult, goal: float, measure: Measure) -> Comparison:
    """Our seconds over `theirs`, round by round, as "times the seconds" or as a "share", which is to be small."""
    pairs = zip(ours.seconds_per_unit, theirs.seconds_per_unit, strict=True)
    return judge(ours.label, theirs.label, measure, [our_s / their_s for our_s, their_s in pairs], goal, "at most")


def rate(ours: ContenderResult, goal: float | None) -> Comparison:
    """Images a second, by themselves."""
    return judge(ours.label, "the goal", "images/s", [1 / each for each in ours.seconds_per_unit], goal, "at least")


def limit_memory(ours: ContenderResult, goal: float) -> Comparison:
    """The peak of anonymous memory, in bytes."""
    return judge(ours.label, "anonymous memory", "bytes", [ours.peak_anonymous_bytes], goal, "at most")


def judge(
    ours: str, against: str, measure: Measure, values: list[float], goal: float | None, direction: Direction
) -> Comparison:
    """The median of `values`, one a round, beside its goal; without values nothing was measured."""
    if not values:
        return Comparison(ours, against, measure, goal, direction, None, None, None, None)
    value = median(values)
    met = None if goal is None else (value >= goal if direction == "at least" else value <= goal)
    return Comparison(ours, against, measure, goal, direction, value, min(values), max(values), met)


def floor_of_bytes(ours: ContenderResult, amount: float, rates: list[dict[str, Any]]) -> Floor:
    """The time for `amount` bytes of one of our calls at the rate of a copy; `rates`: details of contenders.rates."""
    return make_floor(ours, "bytes", amount, median(each["copy"] for each in rates), "a copy")


def floor_of_flops(ours: ContenderResult, amount: float, rates: list[dict[str, Any]]) -> Floor:
    """The time for `amount` FLOPs of one call at the faster of torch.mm and a large convolution."""
    found = {name: median(each[name] for each in rates) for name in rates[0] if name != "copy"}
    name = max(found, key=found.get)
    return make_floor(ours, "FLOPs", amount, found[name], name)


def make_floor(ours: ContenderResult, what: str, amount: float, rate: float, rate_of: str) -> Floor:
    seconds = amount / rate
    return Floor(what, amount, rate, rate_of, seconds, seconds / median(ours.seconds))
