"""Short output for Snakemake: a line when a job starts and one when it ends, the end of a failed job's log, and the
running jobs: on a terminal below the lines, elsewhere in lines every five minutes.

`logger: alexnet2012` in profiles/default loads it. `snakemake --verbose` shows Snakemake's own output.
"""

import logging
import re
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from threading import Event, Thread

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from alexnet2012.training.progress import in_time, read_end

TOLD_EVERY_S = 300.0  # between lines about running jobs, where the output is no terminal
FAILED_LINES = 15  # number of last lines shown from a failed job's log
# Beginnings of Snakemake's messages that are useful only for debugging Snakemake.
IDLE_TALK = (
    *("Assuming unrestricted", "Building DAG", "Using shell", "Conda environments: ignored", "Select jobs"),
    *("Execute ", "Reasons:"),
)
IDLE_EVENTS = (LogEvent.WORKFLOW_STARTED, LogEvent.RESOURCES_INFO, LogEvent.JOB_STARTED, LogEvent.PROGRESS)
FOLLOWS = "input files updated by another job"  # the least informative reason, not shown beside others
LAST_EPOCH = re.compile(r" (epoch \d+/.+ val error \S+)")  # training.progress.EpochProgress.report
COLOURS = {logging.WARNING: "yellow", logging.ERROR: "red", logging.CRITICAL: "red"}


@dataclass(frozen=True)
class RunningJob:
    """A running job of `rule`. `title`: its description; `log`: its log file; `began`: its start, monotonic seconds."""

    rule: str
    title: str
    log: Path | None
    began: float

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began


class LogHandler(LogHandlerBase):
    """The handler of Snakemake's log records, which Snakemake has already filtered by --quiet and -p."""

    writes_to_stream, writes_to_file, has_filter, has_formatter, needs_rulegraph = True, False, False, False, False

    def __post_init__(self) -> None:
        own = self.common_settings
        stream = sys.stdout if own.stdout else sys.stderr
        # Without force_terminal, rich treats a log file as a terminal if FORCE_COLOR is set.
        self.console = Console(file=stream, force_terminal=stream.isatty(), no_color=own.nocolor, soft_wrap=True)
        self.stats: Counter[str] = Counter()  # by rule: number of jobs
        self.running: dict[int, RunningJob] = {}
        self.took: defaultdict[str, list[float]] = defaultdict(list)  # by rule: seconds of the finished jobs
        self.began = time.monotonic()
        self.closed = Event()
        self.live = Live(get_renderable=self.draw, console=self.console, transient=True, refresh_per_second=1)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.tell(record)
        except Exception:  # an exception that is not caught here would end the thread that prints all output
            self.handleError(record)

    def tell(self, record: logging.LogRecord) -> None:
        event, settings = getattr(record, "event", None), self.common_settings
        if settings.verbose or settings.debug_dag:
            return self.say_as_snakemake(record)
        match event:
            case LogEvent.RUN_INFO:
                self.plan(record)
            case LogEvent.JOB_INFO:
                self.begin(record)
            case LogEvent.JOB_FINISHED:
                self.finish(vars(record)["job_id"])
            case LogEvent.JOB_ERROR:
                self.fail(record)
            case LogEvent.ERROR if "CalledProcessError in" in record.getMessage():
                pass  # the command of a failed job, which `fail` reports
            case None if record.getMessage().startswith(IDLE_TALK):
                pass
            case _ if event not in IDLE_EVENTS:
                self.say_as_snakemake(record)

    def plan(self, record: logging.LogRecord) -> None:
        """Show the table of jobs; in a dry run Snakemake sends it twice, and only the second, at the end, is shown."""
        first, self.stats = not self.stats, Counter(vars(record)["stats"])
        if not (first and self.common_settings.dryrun):
            self.say_as_snakemake(record)
        if self.common_settings.dryrun or self.common_settings.quiet:
            return
        if self.console.is_interactive:
            self.live.start()
        elif first:
            Thread(target=self.tell_running, daemon=True).start()

    def begin(self, record: logging.LogRecord) -> None:
        """Note and print that a job was started or submitted to a cluster; in a dry run, print why it would run."""
        job = vars(record)
        wildcards = "".join(f" {value}" for value in job["wildcards"].values())
        title = job["rule_msg"] or f"{job['rule_name']}{wildcards}"
        log = Path(job["log"][0]) if job["log"] else None
        self.running[job["jobid"]] = RunningJob(job["rule_name"], title, log, time.monotonic())
        if job["shellcmd"] is None:  # a target, which runs no command
            return
        if self.common_settings.dryrun:
            parts = [part.partition(":")[0].lower() for part in job["reason"].split("; ")]
            reasons = [part for part in parts if part != FOLLOWS] or [FOLLOWS]
            self.console.print(Text(f"{title}: {'; '.join(reasons)}"))
        elif not self.console.is_interactive:
            self.say(title)

    def tell_running(self) -> None:
        """Print the running jobs with the last lines of their logs every TOLD_EVERY_S, until the run ends."""
        while not self.closed.wait(TOLD_EVERY_S):
            for job in self.running.copy().values():
                if job.log is not None:
                    last = "".join(f"; {line}" for line in read_end(job.log)[-1:])
                    self.say(f"{job.title}: {in_time(job.seconds)} so far{last}")

    def finish(self, number: int) -> None:
        job = self.running.pop(number, None)
        if job is None:  # its start was filtered by --quiet rules
            return
        self.took[job.rule].append(job.seconds)
        if self.done == self.stats["total"]:
            self.live.stop()
        if job.log is not None:
            self.say(f"{job.title}: done in {in_time(job.seconds)} ({self.describe_progress()})", "green")
            if job.rule == "train_net" and (epochs := LAST_EPOCH.findall("\n".join(read_end(job.log)))):
                self.say(f"  {epochs[-1]}")

    def fail(self, record: logging.LogRecord) -> None:
        """Print that a job failed, with the path and the last lines of its log."""
        job = vars(record)
        known = self.running.pop(job["jobid"], None)
        title = known.title if known else job["rule_name"]
        self.say(f"{title}: FAILED{f' after {in_time(known.seconds)}' if known else ''}", "red")
        for path in map(Path, job["log"]):
            self.say(f"  its log is {path}", "red")
            if self.common_settings.show_failed_logs:
                for line in read_end(path)[-FAILED_LINES:]:
                    self.say(f"  | {line}")

    def say(self, text: str, style: str = "") -> None:
        """Print a line with the time of day."""
        self.console.print(Text(f"{time.strftime('%H:%M:%S')}  {text}", style))

    def say_as_snakemake(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        if text and text != "None":
            self.console.print(Text(text, COLOURS.get(record.levelno, "")))

    @property
    def done(self) -> int:
        return sum(map(len, self.took.copy().values()))

    def describe_progress(self) -> str:
        """Progress as "12 of 40 jobs, about 0:08:10 left"."""
        left = self.estimate_left()
        about = f", about {in_time(left)} left" if left and left >= 1 else ""
        return f"{self.done} of {self.stats['total']} jobs{about}"

    def estimate_left(self) -> float | None:
        """Seconds until the end, estimated from finished jobs; None while a rule without finished jobs is running.

        Rules that have not started yet are not counted, because they are short in this workflow.
        """
        took, running = self.took.copy(), list(self.running.copy().values())  # `draw` runs in another thread
        if not took or not {job.rule for job in running if job.log is not None} <= took.keys():
            return None
        means = {rule: fmean(seconds) for rule, seconds in took.items()}
        work = sum((self.stats[rule] - len(took[rule])) * mean for rule, mean in means.items())
        work -= sum(min(job.seconds, means.get(job.rule, 0.0)) for job in running)
        spent = sum(map(sum, took.values())) + sum(job.seconds for job in running)
        return work * (time.monotonic() - self.began) / max(spent, 0.001)

    def draw(self) -> Group:
        """The display below the lines on a terminal: a bar, and the running jobs with the last lines of their logs."""
        row = Table.grid(padding=(0, 1))
        row.add_row(ProgressBar(self.stats["total"], self.done, width=40), self.describe_progress())
        lines = [
            Text(f"{in_time(job.seconds)}  {job.title}  {''.join(read_end(job.log)[-1:])}", no_wrap=True)
            for job in self.running.copy().values()
            if job.log is not None
        ]
        return Group(row, *lines)

    def close(self) -> None:
        self.closed.set()
        self.live.stop()
        super().close()
