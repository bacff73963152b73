"""One job of each kind in a small project, run again and again from the same state.

Jobs are forks of this process, which has imported what they need, so that one takes a second and not ten.
"""

import gc
import hashlib
import importlib
import io
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import psutil
import yaml
from workflow_copy import COMMIT, REPOSITORY, SMALL_BASELINES, TINY, write_pictures

from alexnet2012 import cli, preflight
from alexnet2012.baselines import encoding
from alexnet2012.config.plan import TARGETS, make_plan
from alexnet2012.fingerprint import STAGES, fingerprint

TWO = "train on two devices"
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link", "os.symlink"}
TIMES = {"wall_time_s", "date", "seconds", "seconds_of_last_run", "energy", "images_per_second", "mlflow_run_id"}
BY_THE_WAY = re.compile(r"/\.|/state/|/shards/")  # temporary files, checkpoints, and notes of an attempt
TIMED = re.compile("seconds|images_per_second|^system/|energy|machine|cpu|memory")
SPACE = 2**28  # of the small disk
PATIENCE_S = 300


class InThisProcess:
    """A pool of processes that is none."""

    def __init__(self, processes, context, initializer, arguments) -> None:
        initializer(*arguments)

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        pass

    map = staticmethod(map)


@dataclass(frozen=True)
class Outcome:
    """How a job ended: exit code (negative: the signal), what it printed, and its changes of files."""

    code: int
    said: str
    changes: int
    seconds: float


@dataclass
class Jobs:
    """The project in `root`, a small disk of its own if this user may mount one; `before` and `after` the undisturbed
    jobs, in the order in which each makes the inputs of the next."""

    root: Path
    is_disk: bool
    commands: dict[str, list[str]]
    saved: Path
    before: dict[str, dict[str, str]] = field(default_factory=dict)
    after: dict[str, dict[str, str]] = field(default_factory=dict)
    undisturbed: dict[str, Outcome] = field(default_factory=dict)

    @classmethod
    def make(cls, top: Path) -> "Jobs":
        """Make the project below `top` and run every job once."""
        encoding.ProcessPoolExecutor = InThisProcess  # type: ignore[misc]  # spawned ones would import all anew
        for stage in STAGES:
            fingerprint(stage)  # seconds, which are spent once
        top.chmod(0o755)
        root = top / "project"
        root.mkdir()
        is_disk = mount(f"-t tmpfs -o size={SPACE} tmpfs {root}")
        (root / "pictures").mkdir()
        write_pictures(root / "pictures")
        variants = yaml.safe_load((REPOSITORY / "config/variants.yaml").read_text(encoding="utf-8"))
        variants["ensembles"]["5-cnns"]["members"] = [{"variant": "cnn", "seeds": [0]}]
        (root / "variants.yaml").write_text(yaml.safe_dump(variants), encoding="utf-8")
        names = ("cnn-two-devices", "cnn", "sift-fv")
        lines = [{"dataset": "pictures", "variant": each, "seeds": [0], "tables": ["table2"]} for each in names]
        lines.append({"dataset": "pictures", "ensemble": "5-cnns", "tables": ["table2"]})
        training = TINY["training"] | {"schedule": {"kind": "fixed", "epochs": [2, 1]}}
        values = TINY | {"experiments": lines, "baselines": SMALL_BASELINES, "training": training}
        here = Path.cwd()
        os.chdir(root)
        try:
            plan = make_plan(values, "tiny.yaml", Path("variants.yaml"), TARGETS).narrow()
            preflight.begin(plan, "tiny.yaml", Path("data"), plan.trainings)
            shown = make_plan(values | {"experiments": lines[1:]}, "tiny.yaml", Path("variants.yaml"), TARGETS).narrow()
            Path("results/tiny/experiments.json").write_text(json.dumps(shown.list_experiments()), encoding="utf-8")
        finally:
            os.chdir(here)
        jobs = cls(root, is_disk, list_commands(plan), top / "saved")
        for kind in jobs.commands:
            if kind != TWO:
                jobs.run_undisturbed(kind)
        return jobs

    def run_undisturbed(self, kind: str) -> None:
        shutil.copytree(self.root, self.saved / kind)
        self.before[kind] = self.list_contents()
        self.undisturbed[kind] = self.run(kind)
        assert self.undisturbed[kind].code == 0, self.undisturbed[kind].said
        for name in (self.saved.parent / "modules").read_text(encoding="utf-8").split():
            with suppress(Exception):
                importlib.import_module(name)  # so that the next forks have it
        gc.freeze()  # or they look through all of that again and again
        self.after[kind] = self.list_contents()

    def restore(self, kind: str) -> None:
        """Make the project what it was before the job `kind`."""
        if kind not in self.before:  # the training on two devices, which no other job needs
            self.restore("train")
            self.run_undisturbed(kind)
        for path in self.root.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(self.saved / kind, self.root, dirs_exist_ok=True)

    def run(
        self,
        kind: str,
        kill_at: tuple[int, float] | None = None,
        kill_after_s: float | None = None,
        victim: int = 0,
        prepare: Callable[[], None] = lambda: None,
        jump_at: tuple[int, float] | None = None,
    ) -> Outcome:
        """Run a job. It is killed `kill_at` (its n-th change of a file, seconds after), or `kill_after_s` seconds, when
        that process of its family dies which stands at `victim`; its clock jumps at its n-th change by some seconds.
        Then no process of it may live on.

        `prepare`: what its process does first.
        """
        told, tell = os.pipe()
        log = self.saved.parent / "job.log"
        log.write_bytes(b"")
        began = time.monotonic()
        if (pid := os.fork()) == 0:
            run_here(self.root, log, self.commands[kind], tell, prepare, kill_at, jump_at)
        os.close(tell)
        with os.fdopen(told, "rb", buffering=0) as pipe:
            if kill_after_s is not None:
                time.sleep(kill_after_s)
                job = psutil.Process(pid)
                family = [job, *job.children(recursive=True)]
                family[victim % len(family)].kill()
            elif kill_at is not None and pipe.read(1) == b"!":
                time.sleep(kill_at[1])
                os.kill(pid, signal.SIGKILL)
            told_changes = pipe.readall().strip(b"!.")
        _, status = os.waitpid(pid, 0)
        assert not psutil.wait_procs(list_session(pid), PATIENCE_S)[1], "processes of an ended job live on"
        said = log.read_text(encoding="utf-8", errors="replace")
        return Outcome(os.waitstatus_to_exitcode(status), said, int(told_changes or 0), time.monotonic() - began)

    def list_contents(self) -> dict[str, str]:
        """A digest of each file in data and results, and of the store, without times; temporary files do not count."""
        found = {}
        for path in sorted([*self.root.glob("data/**/*"), *self.root.glob("results/tiny/**/*")]):
            place = path.relative_to(self.root).as_posix()
            if path.is_file() and not BY_THE_WAY.search(place):
                found[place] = hashlib.sha256(read_without_times(path)).hexdigest()[:12]
        return found | list_store(self.root / "results/mlflow.db")

    def resize(self, size: int) -> None:
        assert mount(f"-o remount,size={size} {self.root}")

    def count_used(self) -> int:
        state = os.statvfs(self.root)
        return (state.f_blocks - state.f_bfree) * state.f_frsize


def run_here(root, log, arguments, tell, prepare, kill_at, jump_at) -> None:
    """Run a verb in this process, a fork, and end it."""
    code = 99
    try:
        os.setsid()
        os.chdir(root)
        output = os.open(log, os.O_WRONLY | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", 0), encoding="utf-8", write_through=True)
        sys.stderr = io.TextIOWrapper(os.fdopen(2, "wb", 0), encoding="utf-8", write_through=True)
        os.environ |= {"ALEXNET2012_COMMIT": COMMIT}
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        tempfile.tempdir = None
        changes, clock = 0, time.time

        def watch(event: str, details: tuple) -> None:
            nonlocal changes
            if event in CHANGES or (event == "open" and details[2] & (os.O_WRONLY | os.O_RDWR)):
                changes += 1
                if kill_at and changes == kill_at[0]:
                    if not kill_at[1]:
                        os.kill(os.getpid(), signal.SIGKILL)
                    os.write(tell, b"!")

        prepare()
        if jump_at:
            time.time = lambda: clock() + jump_at[1] * (changes >= jump_at[0])
        sys.addaudithook(watch)
        code = cli.main(arguments)
        os.write(tell, f".{changes}".encode())
        with suppress(PermissionError):  # of a user without rights
            (log.parent / "modules").write_text("\n".join(sys.modules), encoding="utf-8")
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def list_session(leader: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getsid(process.pid) == leader:
                found.append(process)
    return found


def list_commands(plan) -> dict[str, list[str]]:
    """The verb of each job, as the rules call it, with its arguments."""
    runs, tracking = {run.variant: run for run in plan.trainings}, "results/tiny/tracking.json"
    tables = [f"results/tiny/tables/{name}.md" for name in ("table1", "table2", "in_text", "claims")]
    (ensemble,) = plan.ensembles
    members = [str(run.predictions) for run in ensemble.members]
    commands = {
        "track": ["track", "tiny", tracking],
        "prepare": ["prepare", "pictures", "@data/configs/pictures.json"],
        "train": ["train", str(runs["cnn"].folder), "--tracking", tracking],
        TWO: ["train", str(runs["cnn-two-devices"].folder), "--tracking", tracking],
        "train-baseline": ["train-baseline", str(runs["sift-fv"].folder), "--tracking", tracking],
    }
    del runs["cnn-two-devices"]
    for variant, run in runs.items():
        for split in ("test", "val"):
            verb = "predict-baseline" if run.is_baseline else "predict"
            name = verb if split == "test" else f"{verb} {variant} {split}"
            commands[name] = [verb, str(run.folder), str(run.predictions), "--split", split]
    for name, split in {"average": "test", "average val": "val"}.items():
        given = ["average", ensemble.name, str(ensemble.predictions), "--members", *members]
        commands[name] = [*given, "--split", split]
    commands["tables"] = ["tables", "results/tiny"]
    commands["publish"] = ["publish", *tables, "--tracking", tracking, "--output", "results/tiny/published.txt"]
    return commands


def read_without_times(path: Path) -> bytes:
    if path.suffix == ".json":
        return json.dumps(drop_times(json.loads(path.read_bytes())), sort_keys=True).encode()
    if path.name == "history.parquet":
        table = pd.read_parquet(path)
        return table.drop(columns=[name for name in table if name in TIMES]).to_csv().encode()
    return path.read_bytes()


def drop_times(values):
    if isinstance(values, dict):
        return {key: drop_times(value) for key, value in values.items() if key not in TIMES}
    return [drop_times(each) for each in values] if isinstance(values, list) else values


def list_store(database: Path) -> dict[str, str]:
    """For each run of the store that is not deleted: status, settings and metrics, without times.

    A training that is killed after it has recorded everything is made again, as another run of the same content.
    """
    if not database.exists():
        return {}
    found = {}
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as store:
        for uuid, name, status in store.execute(
            "SELECT run_uuid, name, status FROM runs WHERE lifecycle_stage='active'"
        ):
            params = store.execute("SELECT key, value FROM params WHERE run_uuid=? ORDER BY 1", [uuid]).fetchall()
            query = "SELECT DISTINCT key, step, value FROM metrics WHERE run_uuid=? ORDER BY 1, 2, 3"
            metrics = [each for each in store.execute(query, [uuid]) if not TIMED.search(each[0])]
            content = json.dumps([status, params, metrics])
            assert found.setdefault(f"run {name}", content) == content, (
                f"{name} is twice in the store, with other content"
            )
    return found


def mount(options: str) -> bool:
    """Whether `mount` did what it was asked to, for which it must be root's."""
    return subprocess.run(["mount", *options.split()], capture_output=True, check=False).returncode == 0
