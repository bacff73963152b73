"""Leases among real processes and within one: flock tells two descriptors of a process apart as it does processes."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from fake_gpus import environment, job_command, refuse_to_wait, uuid_of

from alexnet2012.cards import Card
from alexnet2012.errors import DeviceError
from alexnet2012.leases import lease_gpus, leased, settle, share_lease, take

TWO = [Card(str(number), uuid_of(number)) for number in range(2)]
PATIENCE_S = 20


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """This process is on a machine of two GPUs that nobody uses; the folder that its leases are in is not made yet."""
    for name, value in environment(tmp_path, 2).items():
        monkeypatch.setenv(name, value)
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    refuse_to_wait(monkeypatch)
    return tmp_path / "leases"


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """Of leases that are taken one by one."""
    refuse_to_wait(monkeypatch)
    (tmp_path / "leases").mkdir()
    return tmp_path / "leases"


@pytest.fixture
def start(tmp_path):
    """Starts a process that is killed in the end."""
    started: list[subprocess.Popen] = []

    def run(command: list[str], cards: int = 1) -> subprocess.Popen:
        process = subprocess.Popen(command, env=environment(tmp_path, cards), stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


@contextmanager
def leasing(job: str, sees: str | None = None, **options) -> Iterator[int]:
    """lease_gpus in a process that sees what CUDA_VISIBLE_DEVICES names in `sees`."""
    with pytest.MonkeyPatch.context() as patch:
        if sees is None:
            patch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            patch.setenv("CUDA_VISIBLE_DEVICES", sees)
        with lease_gpus(job, **options) as count:
            yield count


def visible() -> str | None:
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def is_free(folder: Path, card: Card) -> bool:
    with (folder / f"{card.key}.lock").open(encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


# What a job takes.


@pytest.mark.parametrize(
    ("needed", "granted", "present", "too_few", "count"),
    [
        (1, 1, 1, "stop", 1),
        (1, None, 4, "stop", 1),
        (1, 2, 4, "stop", 1),
        (2, 2, 2, "stop", 2),
        (2, None, 2, "stop", 2),
        (2, 1, 2, "one-device", 1),
        (2, 2, 1, "one-device", 1),
        (2, None, 1, "one-device", 1),
        (3, 2, 2, "one-device", 1),
        (1, 0, 1, "stop", 0),
        (2, 0, 2, "stop", 0),
        (1, 1, 0, "stop", 0),
        (2, 2, 0, "stop", 0),
    ],
)
def test_a_job_takes_what_it_needs_or_what_it_may_make_do_with(needed, granted, present, too_few, count):
    assert settle(needed, granted, present, too_few) == count


@pytest.mark.parametrize(
    ("needed", "granted", "present", "message"),
    [
        (
            2,
            1,
            2,
            "this job needs 2 GPUs, and Snakemake, which caps requests in silence, granted 1; give --resources gpu=2, "
            "or set runtime: {too_few_devices: one-device} to make do with one",
        ),
        (
            2,
            2,
            1,
            "this job needs 2 GPUs, and CUDA_VISIBLE_DEVICES, or else nvidia-smi, names 1; run it where there are 2, "
            "or set runtime: {too_few_devices: one-device} to make do with one",
        ),
    ],
)
def test_too_few_gpus_stop_a_job_and_it_says_what_would_help(needed, granted, present, message):
    with pytest.raises(DeviceError) as raised:
        settle(needed, granted, present, "stop")
    assert str(raised.value) == message


# What a job sees.


def test_a_job_sees_its_own_cards_and_afterwards_what_it_saw_before(machine, monkeypatch, capsys):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    with lease_gpus("a") as first:
        assert (first, visible()) == (1, uuid_of(1))
        with leasing("b", sees="1,0") as second:
            assert (second, visible()) == (1, uuid_of(0))
    assert visible() == "1,0"
    assert capsys.readouterr().err == "leased GPU 1\nleased GPU 0\n"


def test_a_job_for_two_sees_both(machine):
    with lease_gpus("a", granted=2, needed=2) as count:
        assert (count, visible()) == (2, f"{uuid_of(0)},{uuid_of(1)}")
    assert visible() is None


def test_a_job_that_makes_do_says_so_and_leaves_the_other_card(machine, capsys):
    with lease_gpus("a", granted=1, needed=2, too_few="one-device") as count, leasing("b") as other:
        assert (count, other, visible()) == (1, 1, uuid_of(1))
    assert capsys.readouterr().err.splitlines() == [
        "1 GPU instead of 2, as runtime.too_few_devices allows",
        "leased GPU 0",
        "leased GPU 1",
    ]


def test_on_the_cpu_nothing_is_asked_leased_or_hidden(machine, monkeypatch, tmp_path, capsys):
    (tmp_path / "bin" / "nvidia-smi").write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\n", encoding="utf-8")
    with lease_gpus("a", device="cpu", needed=2, granted=1) as count:
        assert (count, visible()) == (0, None)
    assert not machine.exists() and not (tmp_path / "asked").exists()
    assert capsys.readouterr().err == ""


def test_a_job_that_is_granted_none_sees_none(machine, monkeypatch, capsys):
    monkeypatch.setenv("SLURM_JOB_ID", "7")  # there too
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with lease_gpus("a", granted=0) as count:
        assert (count, visible()) == (0, "")
    assert visible() == "0" and not machine.exists()
    assert capsys.readouterr().err == "no GPU was granted: running on the CPU\n"


def test_a_gpu_that_is_demanded_and_not_granted_is_an_error(machine):
    with pytest.raises(DeviceError, match=r"runtime\.device is cuda, and no GPU was granted; give --resources gpu=1"):
        lease_gpus("a", device="cuda", granted=0).__enter__()


def test_where_no_gpu_is_named_none_is_seen(machine, monkeypatch, tmp_path, capsys):
    """Not the first one that torch may find, which nobody leased."""
    (tmp_path / "bin" / "nvidia-smi").write_text("#!/bin/sh\n", encoding="utf-8")
    with lease_gpus("a") as count:
        assert (count, visible()) == (0, "")
    assert not machine.exists()
    assert capsys.readouterr().err == "neither CUDA_VISIBLE_DEVICES nor nvidia-smi names a GPU: running on the CPU\n"


@pytest.mark.parametrize(("name", "value"), [("SLURM_JOB_ID", "7"), ("ALEXNET2012_LEASES", "")])
@pytest.mark.parametrize("given", [None, "1"])
def test_cards_that_others_hand_out_are_not_leased(machine, monkeypatch, name, value, given):
    monkeypatch.setenv(name, value)
    with leasing("a", sees=given) as first, leasing("b", sees=given) as second:
        assert (first, second, visible()) == (1, 1, given)
    assert not machine.exists()


def test_slurm_too_may_give_too_few(machine, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with pytest.raises(DeviceError, match="needs 2 GPUs, and CUDA_VISIBLE_DEVICES, or else nvidia-smi, names 1"):
        lease_gpus("a", granted=2, needed=2).__enter__()


# Who holds what.


def test_a_card_is_the_same_by_its_number_and_its_uuid(machine):
    with leasing("a", sees="1"), leasing("b", sees=f"{uuid_of(1)},0"):
        assert visible() == uuid_of(0)


def test_who_waits_for_two_holds_none(folder):
    with leased(TWO, 1, "a", folder) as first:
        assert first == [TWO[0]]
        refused = take(TWO, 2, "b", folder)
        assert (refused.cards, refused.descriptors) == ([], [])
        assert refused.holders == {TWO[0]: f"process {os.getpid()} (a)"}
        with leased(TWO, 1, "c", folder) as second:
            assert second == [TWO[1]]
    with leased(TWO, 2, "b", folder) as both:
        assert both == TWO


def test_one_job_at_a_time_looks_for_cards(folder):
    """Or two jobs for two cards could each find one, and both give way."""
    with ThreadPoolExecutor(1) as pool:
        with (folder / "taking").open("w", encoding="utf-8") as looking:
            fcntl.flock(looking, fcntl.LOCK_EX)
            taken = pool.submit(take, TWO, 2, "a", folder)
            with pytest.raises(TimeoutError):
                taken.result(timeout=0.1)
        assert taken.result(timeout=PATIENCE_S).cards == TWO
    for descriptor in taken.result().descriptors:
        os.close(descriptor)


def test_a_card_is_free_after_an_error(machine):
    with pytest.raises(KeyError), lease_gpus("a"):
        assert not is_free(machine, TWO[0])
        raise KeyError
    assert is_free(machine, TWO[0]) and visible() is None


def test_a_job_never_waits_for_itself(machine):
    """As after kill -9 of Snakemake, whose training lives on while the same command is given again."""
    with leasing("train x", sees="0"), pytest.raises(DeviceError) as raised, leasing("train x", sees="0"):
        pass
    assert str(raised.value) == (
        f"process {os.getpid()} (train x) runs already; let it end, or stop it, and give the command again"
    )


def test_the_folder_is_private_and_locked_against_those_that_tidy_up(machine):
    with lease_gpus("a"):
        assert machine.stat().st_mode & 0o777 == 0o700
        tidying = os.open(machine, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(tidying, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(tidying, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(tidying)


def test_a_folder_of_another_user_is_refused(machine, monkeypatch):
    machine.mkdir()
    own = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: own + 1)
    with pytest.raises(DeviceError, match=f"in {machine}: it is another user's; set ALEXNET2012_LEASES to a folder of"):
        lease_gpus("a").__enter__()


def test_a_folder_that_cannot_be_made_is_an_error(machine):
    machine.write_text("", encoding="utf-8")
    with pytest.raises(DeviceError, match=f"GPUs cannot be leased in {machine}: File exists; set ALEXNET2012_LEASES"):
        lease_gpus("a").__enter__()


def test_a_job_waits_says_for_whom_and_has_the_card_after_kill_9(start, tmp_path):
    folder, output = tmp_path / "leases", tmp_path / "second.json"
    holder = start(job_command(tmp_path / "first.json", 1, 1, 60))
    assert holder.stderr.readline() == "leased GPU 0\n"
    waiting = start(job_command(output, 1, 1, 0))
    line = waiting.stderr.readline()
    assert line == f"waiting for a GPU of 0: 0 is held by process {holder.pid} ({tmp_path}/first.json)\n"
    time.sleep(0.5)
    assert waiting.poll() is None and not is_free(folder, TWO[0])

    os.kill(holder.pid, signal.SIGKILL)
    killed = time.monotonic()

    assert waiting.communicate(timeout=PATIENCE_S)[1] == "leased GPU 0\n"  # and nothing said twice
    found = json.loads(output.read_text(encoding="utf-8"))
    assert found["cards"] == [uuid_of(0)] and 0 < found["started"] - killed < 2


ORPHAN = """
import multiprocessing, os, subprocess, sys, time
from alexnet2012.leases import lease_gpus
with lease_gpus("parent"):
    {start}
    print(child.pid, file=sys.stderr, flush=True)
    time.sleep(60)
"""
STARTS = {
    "forked": "child = multiprocessing.get_context('fork').Process(target=time.sleep, args=(60,)); child.start()",
    "spawned": "child = subprocess.Popen(['sleep', '60'], close_fds=False)",
}


@pytest.mark.parametrize("how", STARTS)
def test_a_child_that_outlives_its_parent_holds_no_card(start, tmp_path, how):
    parent = start([sys.executable, "-c", ORPHAN.format(start=STARTS[how])])
    assert parent.stderr.readline() == "leased GPU 0\n"
    child = int(parent.stderr.readline())
    try:
        assert not is_free(tmp_path / "leases", TWO[0])  # though the child closed its copy
        parent.kill()
        parent.wait()
        os.kill(child, 0)  # it lives
        deadline = time.monotonic() + 10  # on a busy machine it closes its copy a moment later
        while not is_free(tmp_path / "leases", TWO[0]) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert is_free(tmp_path / "leases", TWO[0])
    finally:
        os.kill(child, signal.SIGKILL)


SHARING = """
import subprocess, sys, time
from alexnet2012.leases import lease_gpus, share_lease
if len(sys.argv) == 1:
    with lease_gpus("launcher"):
        child = subprocess.Popen([sys.executable, "-c", SHARING, "shares"])
        time.sleep(60)
with share_lease():
    print("shared", file=sys.stderr, flush=True)
    time.sleep(60)
"""


def test_a_process_of_two_keeps_the_card_until_it_ends(start, tmp_path):
    """A launcher that is killed frees no card on which its processes still run."""
    launcher = start([sys.executable, "-c", f"SHARING = {SHARING!r}\n{SHARING}"])
    assert [launcher.stderr.readline() for _ in range(2)] == ["leased GPU 0\n", "shared\n"]
    (child,) = map(int, Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text(encoding="utf-8").split())
    launcher.kill()
    launcher.wait()
    try:
        assert not is_free(tmp_path / "leases", TWO[0])
    finally:
        os.kill(child, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE_S
    while not is_free(tmp_path / "leases", TWO[0]):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("given", ["", uuid_of(0), "7"])
def test_where_the_launcher_leased_nothing_there_is_nothing_to_share(machine, given):
    with leasing("a stranger", sees="0"):
        pass
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", given)
        with share_lease():
            assert is_free(machine, TWO[0])
