import json
from dataclasses import asdict

import pytest
from golden import check_golden
from tiny_training import DEAD_STORE

from alexnet2012 import cli
from alexnet2012.files import read_json
from alexnet2012.reporting import benchmarks
from alexnet2012.reporting.benchmark_results import (
    KEY,
    Benchmark,
    Comparison,
    ContenderResult,
    Floor,
    read_benchmarks,
    read_published,
)
from alexnet2012.reporting.format import to_markdown
from alexnet2012.tracking.publish import BENCHMARKS
from alexnet2012.tracking.store import TrackingIds

OURS = ContenderResult("our net", "job", 2, [3.2, 3.3, 3.1], [128, 128, 128], 4 << 30, 3 << 30)
THEIRS = ContenderResult("torch's parts", "plain", 2, [8.0, 8.1, 7.9], [128, 128, 128], 5 << 30, 9 << 29)
LOADER = ContenderResult("loader", "plain", 1, [0.64, 0.64, 0.64], [128, 128, 128])
STEP = Benchmark(
    "training step",
    "images",
    [OURS, THEIRS, LOADER],
    [
        Comparison("our net (job)", "torch's parts (plain)", "times as fast", 2.4, "at least", 2.5, 2.45, 2.55, True),
        Comparison("our net (job)", "loader (plain)", "times the seconds", 1.06, "at most", 5.0, 4.8, 5.2, False),
    ],
    Floor("FLOPs", 529.3e9, 200e9, "torch.mm", 2.64, 0.825),
    note="of random images",
)
ENSEMBLE = Benchmark(
    "ensemble",
    "calls",
    [ContenderResult("average", "job", 1, [1.5], [1])],
    [
        Comparison("average (job)", "anonymous memory", "bytes", 2.0**30, "at most", 2.0**29, 2.0**29, 2.0**29, True),
        Comparison("average (job)", "whole", "share", 0.1, "at most", 0.092, 0.08, 0.1, True),
        Comparison("our net", "the goal", "images/s", 16000.0, "at least", None, None, None, None),
        Comparison("average (job)", "the goal", "images/s", None, "at least", 15432.1, 15000.0, 15500.0, None),
    ],
    Floor("bytes", 5.4e9, 2e10, "a copy", 0.27, 0.18),
)
PROVENANCE = {
    "commit": "0123456789abcdef",
    "dirty": True,
    "date": "2026-11-24T15:00:00+00:00",
    "hardware": "some CPU, 2 usable cores",
    "torch": "2.14.1",
    "torchvision": "0.29.1",
    "python": "3.11.7",
}


def write_raw(path, *found: Benchmark):
    entries = [{"name": each.subject, "extra_info": {KEY: asdict(each)}} for each in found]
    path.write_text(
        json.dumps({"benchmarks": [*entries, {"extra_info": {"other": 1}}], KEY: PROVENANCE}), encoding="utf-8"
    )
    return path


@pytest.fixture
def raw(tmp_path):
    return write_raw(tmp_path / "raw.json", STEP, ENSEMBLE)


def test_the_verb_writes_table_and_samples_and_leaves_the_values_to_be_published(raw, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "results" / "some"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", DEAD_STORE)
    TrackingIds("", None, None, "some", str(folder.parent)).save(tmp_path / "tracking.json")
    assert cli.main(["benchmarks", str(raw), str(folder), "--tracking", str(tmp_path / "tracking.json")]) == 0
    assert read_json(folder / BENCHMARKS)["values"]["training step/floor fraction"] == 0.825
    table, samples = folder / "tables/benchmarks.md", folder / "benchmarks.json"
    assert capsys.readouterr().out == f"{table}\n{samples}\n"
    assert table.read_text(encoding="utf-8").startswith("# Benchmarks: some\n")
    values = json.loads(samples.read_text(encoding="utf-8"))
    assert values["subjects"][0]["contenders"][1]["seconds"] == [8.0, 8.1, 7.9]
    assert values["provenance"] == PROVENANCE
    assert read_published(samples) == read_benchmarks(raw)


def render(raw) -> str:
    return to_markdown(benchmarks.describe_benchmarks(read_benchmarks(raw), "some"))


def test_the_page_is_the_one_that_was_looked_at(raw):
    """128 / 3.2 = 40 images/s, and a whole call where no images are counted; no row where no memory was seen."""
    check_golden("benchmarks.md", render(raw))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file or directory"),
        ("", "is not JSON"),
        ("[]", "is not what tests/benchmarks write"),
        ('{"benchmarks": []}', "is not what tests/benchmarks write"),
        (json.dumps({"benchmarks": [], KEY: PROVENANCE}), "holds no results of tests/benchmarks"),
        (json.dumps({"benchmarks": [{"extra_info": {}}], KEY: PROVENANCE}), "holds no results of tests/benchmarks"),
        (json.dumps({"benchmarks": [{"extra_info": {KEY: {"subject": "LRN"}}}], KEY: PROVENANCE}), "result of LRN"),
        (json.dumps({"benchmarks": [{"extra_info": {KEY: "LRN"}}], KEY: PROVENANCE}), "result of LRN is not complete"),
    ],
)
def test_a_file_without_results_is_an_error(tmp_path, capsys, content, message):
    raw = tmp_path / "raw.json"
    if content is not None:
        raw.write_text(content, encoding="utf-8")
    assert cli.main(["benchmarks", str(raw), str(tmp_path / "some")]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith(f"error: {raw}") and message in printed
    assert not (tmp_path / "some").exists()
