"""What Snakemake says of a run, by this project's logger plugin."""

import io
import logging
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from snakemake_interface_logger_plugins.common import LogEvent

from alexnet2012.training.progress import read_end
from snakemake_logger_plugin_alexnet2012 import FAILED_LINES, LogHandler, RunningJob

PROFILES = Path(__file__).resolve().parents[2] / "profiles"
EPOCH = "cnn seed 0 epoch 2/2  lr 0.01  loss 1.2000  train error 3.00%  val error 5.00%  9 images/s  0.5 s"
SNAKEFILE = f"""
rule all:
    input: "last.txt"
rule train_net:
    output: "{{n}}.txt"
    log: "logs/{{n}}.log"
    message: "train net {{wildcards.n}}"
    shell:
        "(seq 100; echo '{EPOCH}'; [ -e data ]; touch {{output}}) > {{log}} 2>&1"
rule last:
    input: "0.txt"
    output: "last.txt"
    log: "logs/last.log"
    shell: "touch {{output}} 2> {{log}}"
"""


def snakemake(folder: Path, *arguments: str, expected: int = 0) -> list[str]:
    """The lines of a run, stdout and stderr together."""
    command = [str(Path(sys.executable).with_name("snakemake")), "--cores", "1", *arguments]
    environment = {**os.environ, "FORCE_COLOR": "1"}  # as some CI has it
    done = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", env=environment
    )
    assert done.returncode == expected, done.stdout
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """The lines of a dry run, of a run that fails and of one that ends well, all in a pipe."""
    folder = tmp_path_factory.mktemp("workflow")
    (folder / "Snakefile").write_text(SNAKEFILE)
    shutil.copytree(PROFILES / "default", folder / "profiles" / "default")
    dry, failed = snakemake(folder, "--dry-run"), snakemake(folder, expected=1)
    (folder / "data").touch()
    return {"dry": dry, "failed": failed, "well": snakemake(folder)}


def without_times(lines: list[str]) -> list[str]:
    """What stands behind a time of day."""
    return [line[10:] for line in lines if re.match(r"\d\d:\d\d:\d\d  ", line)]


def test_a_job_is_a_line_when_it_starts_and_one_when_it_ends(said):
    assert without_times(said["well"]) == [
        "train net 0",
        "train net 0: done in 0:00:00 (1 of 3 jobs)",
        "  epoch 2/2  lr 0.01  loss 1.2000  train error 3.00%  val error 5.00%",
        "last",
        "last: done in 0:00:00 (2 of 3 jobs)",
    ]
    assert not any("\x1b" in line for line in said["well"])


def test_a_failure_names_the_log_and_shows_its_end(said):
    lines = without_times(said["failed"])

    start = lines.index("train net 0: FAILED after 0:00:00")
    assert lines[start + 1] == "  its log is logs/0.log"
    assert lines[start + 2 :] == [*(f"  | {n}" for n in range(102 - FAILED_LINES, 101)), f"  | {EPOCH}"]
    assert not any("CalledProcessError" in line for line in said["failed"])


def test_a_dry_run_lists_jobs_with_their_reasons_and_the_table_once(said):
    assert said["dry"].count("Job stats:") == 1
    assert "train net 0: missing output files" in said["dry"]
    assert "last: missing output files" in said["dry"]
    assert max(map(len, said["dry"])) <= 100


@pytest.fixture
def handler():
    def make(**settings: bool) -> LogHandler:
        own = {"quiet": None, "stdout": False, "nocolor": False, "dryrun": False, "verbose": False, "debug_dag": False}
        made = LogHandler(SimpleNamespace(**own | {"show_failed_logs": True} | settings), None)
        made.console = Console(file=io.StringIO(), width=80)
        return made

    return make


def test_a_record_that_cannot_be_told_of_does_not_end_the_output(handler, capsys):
    record = logging.LogRecord("snakemake", logging.INFO, "", 0, "", None, None)
    record.event = LogEvent.JOB_FINISHED  # without a job
    handler().emit(record)
    assert "KeyError" in capsys.readouterr().err


def test_the_time_left_is_what_jobs_of_each_rule_took(handler, monkeypatch):
    made = handler()
    monkeypatch.setattr(time, "monotonic", lambda: made.began + 120.0)
    made.stats.update({"train_net": 4, "predict": 2, "total": 6})
    assert made.estimate_left() is None

    made.took["predict"].append(40.0)
    made.running[1] = RunningJob("train_net", "train a", Path("a.log"), made.began)
    assert made.estimate_left() is None  # no training is done yet

    made.took["train_net"].append(80.0)
    made.running[1] = RunningJob("train_net", "train a", Path("a.log"), made.began + 60.0)
    # 3 trainings of 80 s and a prediction of 40 s, less 60 s done; 180 s of work were done in 120 s.
    assert made.estimate_left() == pytest.approx((3 * 80 + 40 - 60) * 120 / 180)


def test_a_terminal_shows_a_bar_and_the_jobs_that_run_with_the_last_line_of_their_logs(handler, tmp_path):
    made, log = handler(), tmp_path / "a.log"
    log.write_text(f"{'first ' * 50}\n{'last ' * 50}\n\n")
    made.stats.update({"train_net": 3, "total": 3})
    made.running[1] = RunningJob("train_net", "train 1", log, made.began)
    made.running[2] = RunningJob("train_net", "train 2", tmp_path / "none yet.log", made.began)

    made.console.print(made.draw())

    bar, first, second = made.console.file.getvalue().splitlines()
    assert bar.rstrip().endswith("0 of 3 jobs") and second.rstrip() == "0:00:00  train 2"
    assert first.startswith("0:00:00  train 1  last last") and len(first) <= 80


def test_a_file_gets_the_last_line_of_each_running_job_now_and_then(handler, tmp_path, monkeypatch):
    monkeypatch.setattr("snakemake_logger_plugin_alexnet2012.TOLD_EVERY_S", 0.01)
    made, log = handler(), tmp_path / "a.log"
    log.write_text("first\nlast\n")
    made.running[1] = RunningJob("train_net", "train 1", log, made.began)
    record = logging.LogRecord("snakemake", logging.INFO, "", 0, "Job stats:", None, None)
    record.event, record.stats = LogEvent.RUN_INFO, {"train_net": 3, "total": 3}
    before = set(threading.enumerate())
    made.emit(record)
    (thread,) = set(threading.enumerate()) - before
    deadline = time.monotonic() + 30
    while "so far" not in made.console.file.getvalue():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    made.close()
    thread.join(30)
    assert not thread.is_alive()
    assert without_times(made.console.file.getvalue().splitlines())[0] == "train 1: 0:00:00 so far; last"


@pytest.mark.parametrize("settings", [{"dryrun": True}, {"quiet": ["all"]}])
def test_a_dry_run_and_a_quiet_run_start_no_thread(handler, settings):
    made, before = handler(**settings), threading.active_count()
    record = logging.LogRecord("snakemake", logging.INFO, "", 0, "Job stats:", None, None)
    record.event, record.stats = LogEvent.RUN_INFO, {"total": 0}
    made.emit(record)
    assert threading.active_count() == before


def test_the_end_of_a_log_is_read_whatever_it_holds(tmp_path):
    log = tmp_path / "a.log"
    assert read_end(log) == []
    log.write_bytes(b"x" * 100_000 + b"\n\xff\xfe broken\r\n\n   \nlast\n")
    assert read_end(log)[1:] == ["\ufffd\ufffd broken", "last"]
    assert len(read_end(log)[0]) < 10_000
