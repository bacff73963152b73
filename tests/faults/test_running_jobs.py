"""Jobs that are killed, on a full disk, or at odd places: the next run gives what an undisturbed one gives.

`FAULTS=all pytest tests/faults/test_running_jobs.py -m slow -s` makes all of it, and prints what came of it; without
FAULTS a tenth is made.
"""

import os
import re
import shutil
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from damage import share
from jobs import SPACE, TWO, Jobs, mount
from workflow_copy import Project

from alexnet2012.data.packed import verify_digests

pytestmark = pytest.mark.slow

KINDS = ["prepare", "train", "train-baseline", "predict", "predict-baseline", "average", "tables", "publish"]
NOBODY = 65534
HOURS = 3600


@pytest.fixture(scope="module")
def jobs():
    top = Path(tempfile.mkdtemp(prefix="alexnet2012-"))
    made = Jobs.make(top)
    yield made
    if made.is_disk:
        mount_off(made.root)
    shutil.rmtree(top)


def mount_off(folder: Path) -> None:
    assert mount(f"-o remount,rw,size={SPACE} {folder}")
    os.system(f"umount -l {folder}")


def seeded(kind: str) -> np.random.Generator:
    return np.random.default_rng([2012, *kind.encode()])


def finish(jobs: Jobs, kind: str) -> None:
    """Run a job to its end; what it leaves is what the undisturbed one left."""
    done = jobs.run(kind)
    assert done.code == 0, done.said
    assert_same(jobs, kind)


def assert_same(jobs: Jobs, kind: str) -> None:
    found, expected = jobs.list_contents(), jobs.after[kind]
    assert {place for place in found | expected if found.get(place) != expected.get(place)} == set()


@pytest.mark.parametrize("kind", [*KINDS, TWO])
def test_a_job_that_is_killed_does_its_work_the_next_time(jobs, kind):
    generator = seeded(kind)
    for _ in range(share(10)):
        kill(jobs, kind, generator)
        assert_nothing_half_written(jobs, kind)
        finish(jobs, kind)


def kill(jobs: Jobs, kind: str, generator: np.random.Generator) -> None:
    """Kill a job at or just after one of its changes of files; or, on two devices, one process of the three at a random
    time. A job that ended first is killed again, in half the time."""
    moment = generator.uniform(0.2, 0.9) if kind == TWO else generator.uniform()
    later_s, victim = float(generator.choice([0, 0.002, 0.02])), int(generator.integers(3))
    for attempt in range(5):
        part, after_s = moment / 2**attempt, 0 if attempt else later_s
        jobs.restore(kind)
        usual = jobs.undisturbed[kind]
        if kind == TWO:
            done = jobs.run(kind, kill_after_s=usual.seconds * part, victim=victim)
        else:
            done = jobs.run(kind, kill_at=(round(1 + (usual.changes - 1) * part), after_s))
        if done.code:
            return
    raise AssertionError(f"{kind} ended before it could be killed")


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_on_a_disk_that_fills_up_says_so_and_goes_on_with_more_space(jobs, kind):
    if not jobs.is_disk:
        pytest.skip("this user may not mount a small disk")
    generator, outcomes = seeded(kind), Counter()
    jobs.restore(kind)
    before = jobs.count_used()
    finish(jobs, kind)
    grown = max(jobs.count_used() - before, 2**13)
    for _ in range(share(10)):
        jobs.restore(kind)
        jobs.resize(jobs.count_used() + int(generator.integers(0, grown)) // 4096 * 4096)
        done = jobs.run(kind)
        jobs.resize(SPACE)
        outcomes["stopped" if done.code else "had enough"] += 1
        # MLflow prints a traceback of its own before a failure of the store is told, which stops no job.
        assert "Traceback" not in done.said or "tracking: cannot reach the store now" in done.said, done.said
        assert done.code in (0, 1), done.said
        assert done.code == 0 or re.search("error: .*([Nn]o space left|Free some space)", done.said), done.said
        assert_nothing_half_written(jobs, kind)
        finish(jobs, kind)
    print(f"{kind}: {dict(outcomes)}")


def assert_nothing_half_written(jobs: Jobs, kind: str) -> None:
    """Each file is as it was before the job or as it is after it; the store may be on its way."""
    before, after = jobs.before[kind], jobs.after[kind]
    files = {place: digest for place, digest in jobs.list_contents().items() if not place.startswith("run ")}
    files.pop("results/tiny/published.txt", None)  # it may say that the store was out of reach
    assert {place for place, digest in files.items() if digest not in (before.get(place), after.get(place))} == set()


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_that_may_not_be_written_to_is_named(jobs, kind):
    jobs.restore(kind)
    for path in [jobs.root, *jobs.root.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)

    def drop_rights() -> None:  # root may write everywhere
        if os.getuid() == 0:
            os.setgid(NOBODY)
            os.setuid(NOBODY)

    done = jobs.run(kind, prepare=drop_rights)
    assert "Traceback" not in done.said, done.said
    assert done.code == 1 and "Permission denied" in done.said, done.said
    assert jobs.list_contents() == jobs.before[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_works_whatever_the_clock_the_temporary_folder_and_the_umask(jobs, kind):
    """The clock jumps by hours in the middle, and files come from the future; TMPDIR is missing, and is another disk
    than that of the results; nobody else may read what is written; HOME is unset."""
    generator = seeded(kind)
    for sign in (1, -1):
        jobs.restore(kind)
        change, hours = int(generator.integers(1, jobs.undisturbed[kind].changes + 1)), float(generator.uniform(1, 9))
        for path in generator.permutation(sorted(jobs.root.rglob("*.*")))[:20]:
            when = path.stat().st_mtime + sign * hours * HOURS
            os.utime(path, (when, when))

        def leave_home() -> None:
            os.environ["TMPDIR"] = "/nowhere"
            os.environ.pop("HOME", None)
            os.umask(0o077)

        done = jobs.run(kind, prepare=leave_home, jump_at=(change, sign * hours * HOURS))
        assert done.code == 0, done.said
        assert_same(jobs, kind)


def test_a_full_temporary_folder_is_told_or_does_not_matter_to_publishing(jobs, tmp_path):
    if not jobs.is_disk or not mount(f"-t tmpfs -o size=4096 tmpfs {tmp_path}"):
        pytest.skip("this user may not mount a small disk")
    jobs.restore("publish")
    try:
        done = jobs.run("publish", prepare=lambda: os.environ.update(TMPDIR=str(tmp_path)))
    finally:
        os.system(f"umount -l {tmp_path}")
    assert "Traceback" not in done.said, done.said
    assert done.code == 0 or "No space left" in done.said, done.said
    finish(jobs, "publish")


def test_snakemake_killed_with_its_job_and_started_again_packs_the_same(tmp_path):
    """The clock is hours off at the second start, and files of the first come from the future or the past."""
    project, generator = Project.copy(tmp_path / "project"), seeded("Snakemake")
    packed, outcomes = "data/pictures/manifest.json", Counter()
    began = time.monotonic()
    project.run(packed)
    usual_s, expected = time.monotonic() - began, (project.root / packed).read_bytes()
    for _ in range(share(10)):
        for folder in ("data", ".snakemake"):
            shutil.rmtree(project.root / folder)
        process = project.start("--cores", "2", packed)
        time.sleep(usual_s * generator.uniform(0.2, 0.9))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        outcomes["killed" if process.returncode else "ended before"] += 1
        for path in generator.permutation(sorted(project.root.rglob("*.*")))[:50]:
            when = path.stat().st_mtime + generator.choice([-3, 3]) * HOURS
            os.utime(path, (when, when))
        project.snakemake("--unlock")
        project.run(packed)
        assert (project.root / packed).read_bytes() == expected
        verify_digests((project.root / packed).parent)
    print(f"Snakemake: {dict(outcomes)}")
