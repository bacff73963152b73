"""benchmarks.md and benchmarks.json: how fast each part is, beside what people would use instead and its floor."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from alexnet2012.errors import RecordError
from alexnet2012.files import in_bytes, write_json, write_text
from alexnet2012.reporting.benchmark_results import (
    Benchmark,
    Benchmarks,
    Comparison,
    Floor,
    read_benchmarks,
)
from alexnet2012.reporting.format import ABSENT, Bullets, Details, Page, Table, to_markdown
from alexnet2012.reporting.origin import describe_commit
from alexnet2012.tracking.publish import BENCHMARKS, publish
from alexnet2012.tracking.store import TrackingIds

NOT_MEASURED = "not measured"  # a note says why
ENVIRONMENTS = (
    "Every contender runs in a process of its own, rounds in turn. `job`: the environment of the workflow's jobs, in "
    "which glibc keeps large buffers; `plain`: as people run things. Ratios are medians over rounds, in brackets the "
    "smallest and the largest. The floor is the minimum time that the FLOPs or bytes of one call need at the rates "
    "that this machine reached in the same contest; the last column says what part of our time that is."
)
TOY = "**Toy sizes**: these numbers prove that the benchmarks run, and say nothing of speed."
COMPARISONS = ["what", "ours", "theirs", "measured", "goal", "floor / ours"]
FLOORS = ["what", "floor of", "at", "floor", "ours"]
CONTENDERS = ["what", "contender", "threads", "peak resident memory", "peak anonymous memory"]
MET = {None: "", True: ": met", False: ": **missed**"}
UNITS = {"share": "%", "bytes": "GiB"}  # of what is not said in words


def publish_benchmarks(raw: Path, folder: Path, tracking: Path | None) -> list[Path]:
    """From pytest-benchmark's `raw` JSON write `folder`/tables/benchmarks.md and `folder`/benchmarks.json, their paths.

    With `tracking`, the file that `track` wrote, the values are published in MLflow too. Raises RecordError when `raw`
    is unreadable or holds none of our results.
    """
    found = read_benchmarks(raw)
    table, results = folder / "tables" / "benchmarks.md", folder / "benchmarks.json"
    write_text(table, to_markdown(describe_benchmarks(found, folder.name)))
    write_json(results, asdict(found))
    if tracking is not None:
        write_json(folder / BENCHMARKS, {"provenance": found.provenance, "values": list_values(found)})
        publish(TrackingIds.load(tracking), [])
    return [table, results]


def describe_benchmarks(found: Benchmarks, name: str) -> Page:
    unmeasured = [each.subject for each in found.subjects if each.comparisons and not was_measured(each)]
    comparisons = [row for each in found.subjects if was_measured(each) for row in comparison_rows(each)]
    floors = [floor_row(each.subject, each.floor) for each in found.subjects if each.floor is not None]
    contenders = [row for each in found.subjects for row in contender_rows(each)]
    notes = [f"{benchmark.subject}: {benchmark.note}" for benchmark in found.subjects if benchmark.note]
    return Page(
        f"Benchmarks: {name}",
        [
            *([TOY] if any(benchmark.toy for benchmark in found.subjects) else []),
            ENVIRONMENTS,
            Table(COMPARISONS, comparisons),
            *([Bullets(notes)] if notes else []),
            *([Details("Not measured", [Bullets(unmeasured)])] if unmeasured else []),
            Details("Floors", [Table(FLOORS, floors)]),
            Details(
                "Threads and memory of each contender, without the processes that it starts",
                [Table(CONTENDERS, contenders)],
            ),
            describe_provenance(found.provenance),
        ],
    )


def comparison_rows(benchmark: Benchmark) -> list[list[str]]:
    """What was measured of one subject. Its name and floor stand in the first row, ours is named if it has several
    parts."""
    name_ours = side if len({each.ours for each in benchmark.comparisons}) > 1 else pace
    rows = [
        ["", name_ours(benchmark, each.ours), side(benchmark, each.against), spread(each), goal_cell(each), ""]
        for each in benchmark.comparisons
    ]
    rows[0][0], rows[0][-1] = benchmark.subject, f"{benchmark.floor.fraction:.2f}" if benchmark.floor else ABSENT
    return rows


def was_measured(benchmark: Benchmark) -> bool:
    return any(each.value is not None for each in benchmark.comparisons)


def goal_cell(comparison: Comparison) -> str:
    if comparison.goal is None:
        return ABSENT
    goal = f"{number(comparison.goal, comparison.measure)} {UNITS.get(comparison.measure, '')}".strip()
    return f"{comparison.direction} {goal}{MET[comparison.met]}"


def side(benchmark: Benchmark, label: str) -> str:
    """A contender with its pace; the label alone where it names no contender."""
    found = pace(benchmark, label)
    return label if found == ABSENT else f"{label}: {found}"


def pace(benchmark: Benchmark, label: str) -> str:
    """A contender's images a second, or the time of a call where no images are counted."""
    found = benchmark.find(label)
    if found is None or not found.seconds:
        return ABSENT
    return f"{four_digits(1 / found.typical_s)} images/s" if benchmark.unit == "images" else duration(found.typical_s)


def spread(comparison: Comparison) -> str:
    value, low, high, measure = comparison.value, comparison.low, comparison.high, comparison.measure
    if value is None or low is None or high is None:
        return NOT_MEASURED
    text = amount(value, measure)
    return text if low == high else f"{text} [{number(low, measure)}, {number(high, measure)}]"


def amount(value: float, measure: str) -> str:
    """2.41 times as fast; 1.04 times the seconds; 15,000 images/s; 9.2 %; 0.95 GiB."""
    return f"{number(value, measure)} {UNITS.get(measure, measure)}"


def number(value: float, measure: str) -> str:
    match measure:
        case "share":
            return f"{100 * value:.1f}"
        case "bytes":
            return f"{value / 2**30:.2f}"
        case "images/s":
            return f"{value:,.0f}"
    return f"{value:.2f}" if value < 10 else f"{value:,.1f}"


def floor_row(subject: str, floor: Floor) -> list[str]:
    return [
        subject,
        in_words(floor.amount, floor.what),
        f"{in_words(floor.rate, floor.what)}/s of {floor.rate_of}",
        duration(floor.seconds),
        duration(floor.seconds / floor.fraction),
    ]


def in_words(amount: float, what: str) -> str:
    return in_bytes(amount) if what == "bytes" else f"{amount / 1e9:,.1f} GFLOP"


def duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{four_digits(seconds / size)} {unit}"
    return f"{four_digits(seconds / 1e-6)} µs"


def four_digits(value: float) -> str:
    """17,321; 913.9; 37.12."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def contender_rows(benchmark: Benchmark) -> list[list[str]]:
    rows = []
    for each in benchmark.contenders:
        peaks = [
            ABSENT if peak is None else amount(peak, "bytes")
            for peak in (each.peak_rss_bytes, each.peak_anonymous_bytes)
        ]
        rows.append([benchmark.subject, each.label, str(each.threads), *peaks])
    return rows


def describe_provenance(provenance: dict[str, Any]) -> Details:
    try:
        lines = {
            "commit": describe_commit(provenance),
            "date": provenance["date"][:10],
            "hardware": provenance["hardware"],
            "software": f"torch {provenance['torch']}, torchvision {provenance['torchvision']}, "
            f"Python {provenance['python']}",
        }
    except (TypeError, KeyError) as error:
        raise RecordError(f"the benchmarks do not say what made them ({error}); run `make bench`") from None
    return Details("Provenance", [Bullets([f"{key}: {value}" for key, value in lines.items()])])


def list_values(found: Benchmarks) -> dict[str, float]:
    """Every comparison's value and every floor's fraction, by a name that MLflow takes."""
    values = {}
    for benchmark in found.subjects:
        for each in benchmark.comparisons:
            if each.value is not None:
                values[metric_name(f"{benchmark.subject}/{each.ours} {each.measure} {each.against}")] = each.value
        if benchmark.floor is not None:
            values[metric_name(f"{benchmark.subject}/floor fraction")] = benchmark.floor.fraction
    return values


def metric_name(text: str) -> str:
    """MLflow takes letters, digits, "_", "-", ".", " " and "/", and no more than 250 of them."""
    return re.sub(r"\s+", " ", re.sub(r"[^A-Za-z0-9_\-. /]", " ", text)).strip()[:250]
