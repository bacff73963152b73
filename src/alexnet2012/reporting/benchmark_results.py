"""What a benchmark found: its contenders' raw samples, the comparisons with their goals, and the floor."""

from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

from alexnet2012.errors import RecordError
from alexnet2012.files import read_json

# Of each benchmark's extra_info in pytest-benchmark's JSON, and of the provenance at its top.
KEY = "alexnet2012"

# What a comparison's value is: seconds of the other for each of ours; seconds of ours for each of the other's;
# a rate of ours; a share of something that the benchmark's subject or note names; bytes.
Measure = Literal["times as fast", "times the seconds", "images/s", "share", "bytes"]
Direction = Literal["at least", "at most"]


@dataclass(frozen=True)
class ContenderResult:
    """One contender: `seconds` of each of its calls and the `units` that each worked through; peaks in bytes, None
    where they were not measured; `environment`: "job" as the workflow's jobs, "plain" as people run it."""

    name: str
    environment: str
    threads: int
    seconds: list[float]
    units: list[float]
    peak_rss_bytes: int | None = None
    peak_anonymous_bytes: int | None = None

    @property
    def label(self) -> str:
        return f"{self.name} ({self.environment})"

    @property
    def seconds_per_unit(self) -> list[float]:
        return [seconds / units for seconds, units in zip(self.seconds, self.units, strict=True)]

    @property
    def typical_s(self) -> float:
        """The median of the seconds for a unit."""
        return median(self.seconds_per_unit)


@dataclass(frozen=True)
class Comparison:
    """`value` is the median over rounds, `low` and `high` their extremes; all None where nothing was measured.

    `ours` and `against` are labels of contenders, or words where the goal is no contender; `goal` None: only reported.
    """

    ours: str
    against: str
    measure: Measure
    goal: float | None
    direction: Direction
    value: float | None
    low: float | None
    high: float | None
    met: bool | None


@dataclass(frozen=True)
class Floor:
    """The least seconds that `amount` FLOPs or bytes of one call take at the `rate` a second of `rate_of`, measured
    in the same contest; `fraction` is that floor over our seconds."""

    what: Literal["FLOPs", "bytes"]
    amount: float
    rate: float
    rate_of: str
    seconds: float
    fraction: float


@dataclass(frozen=True)
class Benchmark:
    """One subject. `unit` is what its contenders count, e.g. "images"; `toy`: at sizes that prove the harness only."""

    subject: str
    unit: str
    contenders: list[ContenderResult]
    comparisons: list[Comparison]
    floor: Floor | None = None
    toy: bool = False
    note: str = ""

    def find(self, label: str) -> ContenderResult | None:
        return next((each for each in self.contenders if each.label == label), None)


@dataclass(frozen=True)
class Benchmarks:
    """All subjects of a run, and the provenance of that run."""

    provenance: dict[str, Any]
    subjects: list[Benchmark]


def read_published(path: Path) -> Benchmarks:
    """The results that a benchmarks.json holds; raises RecordError when it is not complete."""
    values = read_json(path)
    if not isinstance(values, dict) or not {"provenance", "subjects"} <= values.keys():
        raise RecordError(f"{path} holds no results of tests/benchmarks; run `make bench`")
    return Benchmarks(values["provenance"], [parse_benchmark(each, path) for each in values["subjects"]])


def read_benchmarks(raw: Path) -> Benchmarks:
    """The results in pytest-benchmark's JSON; entries of other benchmarks are passed over.

    Raises RecordError when the file is missing, empty or not JSON, or holds no result of ours.
    """
    values = read_json(raw)
    entries = values.get("benchmarks") if isinstance(values, dict) else None
    if not isinstance(entries, list) or KEY not in values:
        raise RecordError(f"{raw} is not what tests/benchmarks write; run pytest with --benchmark-json={raw} on them")
    found = [entry["extra_info"][KEY] for entry in entries if KEY in entry.get("extra_info", {})]
    if not found:
        raise RecordError(f"{raw} holds no results of tests/benchmarks: look for what failed, and run `make bench`")
    return Benchmarks(values[KEY], [parse_benchmark(each, raw) for each in found])


def parse_benchmark(values: dict[str, Any], source: Path) -> Benchmark:
    try:
        floor = values["floor"]
        return Benchmark(
            **values
            | {
                "contenders": [ContenderResult(**each) for each in values["contenders"]],
                "comparisons": [Comparison(**each) for each in values["comparisons"]],
                "floor": Floor(**floor) if floor else None,
            }
        )
    except (TypeError, KeyError) as error:
        subject = values.get("subject", "?") if isinstance(values, dict) else values
        raise RecordError(f"{source}: the result of {subject} is not complete ({error}); run `make bench`") from None
