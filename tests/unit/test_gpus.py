"""Cards and leases. Leases among processes and within one: flock tells descriptors apart as it does those."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from fake_gpus import environment, job_command, refuse_to_wait, uuid_of, write_nvidia_smi, write_program

from alexnet2012 import gpus
from alexnet2012.errors import DeviceError
from alexnet2012.gpus import Card, lease_gpus, leased, list_cards, settle, take

THREE = [Card(str(number), uuid_of(number)) for number in range(3)]
TWO = THREE[:2]
PATIENCE_S = 20


@pytest.fixture
def machine(monkeypatch, tmp_path) -> Path:
    """This process is on a machine of two GPUs that nobody uses; the folder that its leases are in is not made yet."""
    for name, value in environment(tmp_path, 2).items():
        monkeypatch.setenv(name, value)
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    refuse_to_wait(monkeypatch)
    return tmp_path / "leases"


@pytest.fixture
def start(tmp_path):
    """Starts a process on a machine of one GPU, and kills it in the end."""
    started: list[subprocess.Popen] = []

    def run(command: list[str]) -> subprocess.Popen:
        process = subprocess.Popen(command, env=environment(tmp_path, 1), stderr=subprocess.PIPE, encoding="utf-8")
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


@contextmanager
def leasing(job: str, sees: str | None = None) -> Iterator[int]:
    """lease_gpus in a process that sees what CUDA_VISIBLE_DEVICES names in `sees`."""
    with pytest.MonkeyPatch.context() as patch:
        if sees is None:
            patch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            patch.setenv("CUDA_VISIBLE_DEVICES", sees)
        with lease_gpus(job) as count:
            yield count


def visible() -> str | None:
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def is_free(path: Path) -> bool:
    """Whether the kernel knows of no lock on a file or folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def lock_of(number: int, folder: Path) -> Path:
    return folder / f"{uuid_of(number)}.lock"


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# Which cards there are.


@pytest.fixture
def see(monkeypatch, tmp_path):
    """see(given) lists the cards where CUDA_VISIBLE_DEVICES is `given`, on a machine of three GPUs; or of those that
    the nvidia-smi `program` lists, or with "" without one."""

    def cards(given: str | None, program: str | None = None) -> list[Card]:
        if program is None:
            write_nvidia_smi(tmp_path, 3)
        elif program:
            write_program(tmp_path, program)
        monkeypatch.setenv("PATH", str(tmp_path) if program == "" else f"{tmp_path}:/usr/bin:/bin")
        if given is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
        return list_cards()

    return cards


@pytest.mark.parametrize(
    ("given", "program", "keys"),
    [
        (None, None, [0, 1, 2]),
        ("", None, []),
        (" ", None, []),
        (" 2 ,0", None, [2, 0]),
        ("1,1", None, [1]),
        (f"{uuid_of(2)},0", None, [2, 0]),
        ("GPU-00000001,1", None, [1]),  # a UUID's beginning, and the same card by its number
        ("-1", None, []),
        ("0,-1,1", None, [0]),  # as in CUDA's manual
        ("0,3,1", None, [0]),
        ("NoDevFiles", None, []),
        ("GPU-0000000,0", None, []),  # the beginning of all three
        ("MIG-GPU-00000001/1/0,MIG-0123", None, ["MIG-GPU-00000001/1/0", "MIG-0123"]),  # parts of cards
        (None, 'echo "No devices were found"\n', []),
        (None, "", []),  # without nvidia-smi cards are as they are written
        ("3,1", "", ["3", "1"]),
        ("GPU-ab,0", "", ["GPU-ab", "0"]),
        ("0,-1,1", "", ["0"]),
    ],
)
def test_cards_are_those_that_cuda_would_see(see, given, program, keys):
    assert [card.key for card in see(given, program)] == [uuid_of(key) if key in range(3) else key for key in keys]


def test_without_a_driver_there_is_no_card_and_the_reason_is_said(see, capsys):
    assert see(None, program="echo NVIDIA-SMI has failed\necho to communicate with the driver\nexit 9\n") == []
    assert "NVIDIA-SMI has failed to communicate with the driver" in capsys.readouterr().err


def test_an_nvidia_smi_that_hangs_is_an_error(see, monkeypatch):
    monkeypatch.setattr(gpus, "ANSWER_S", 0.1)
    with pytest.raises(DeviceError, match="nvidia-smi"):
        see(None, program="exec sleep 5\n")


# How many a job takes, and what it sees.


@pytest.mark.parametrize(
    ("needed", "granted", "present", "too_few", "count"),
    [
        (1, 1, 1, "stop", 1),
        (1, None, 4, "stop", 1),
        (2, None, 2, "stop", 2),
        (2, 1, 2, "one-device", 1),
        (2, 2, 1, "one-device", 1),
        (3, 2, 2, "one-device", 1),
        (1, 0, 1, "stop", 0),
        (2, 2, 0, "stop", 0),
    ],
)
def test_a_job_takes_what_it_needs_or_what_it_may_make_do_with(needed, granted, present, too_few, count):
    assert settle(needed, granted, present, too_few) == count


@pytest.mark.parametrize(("granted", "present", "key"), [(1, 2, "--resources gpu=2"), (2, 1, "CUDA_VISIBLE_DEVICES")])
def test_too_few_gpus_stop_a_job(granted, present, key):
    with pytest.raises(DeviceError, match=f"{key}.*too_few_devices"):
        settle(2, granted, present, "stop")


def test_a_job_sees_its_own_cards_and_afterwards_what_it_saw_before(machine, monkeypatch, capsys):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    with lease_gpus("a") as first:
        assert (first, visible()) == (1, uuid_of(1))
        with leasing("b", sees="1,0") as second:
            assert (second, visible()) == (1, uuid_of(0))
    assert visible() == "1,0"
    assert capsys.readouterr().err == "leased GPU 1\nleased GPU 0\n"


def test_a_job_that_makes_do_says_so_and_leaves_the_other_card(machine, capsys):
    with lease_gpus("a", granted=1, needed=2, too_few="one-device") as count, leasing("b") as other:
        assert (count, other, visible()) == (1, 1, uuid_of(1))
    assert "too_few_devices" in capsys.readouterr().err


def test_on_the_cpu_nothing_is_asked_leased_or_hidden(machine, tmp_path, capsys):
    (tmp_path / "bin" / "nvidia-smi").write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\n", encoding="utf-8")
    with lease_gpus("a", device="cpu", needed=2, granted=1) as count:
        assert (count, visible()) == (0, None)
    assert not machine.exists() and not (tmp_path / "asked").exists()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("job_id", "sees", "granted", "said"),
    [
        ("7", "0", 0, "no GPU was granted"),  # under Slurm too
        ("", "NoDevFiles", None, "nvidia-smi"),  # not even the one that torch may find, which nobody leased
    ],
)
def test_a_job_without_a_gpu_sees_none(machine, monkeypatch, capsys, job_id, sees, granted, said):
    monkeypatch.setenv("SLURM_JOB_ID", job_id)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", sees)
    with lease_gpus("a", granted=granted) as count:
        assert (count, visible()) == (0, "")
    assert visible() == sees and not machine.exists()
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("name", "value"), [("SLURM_JOB_ID", "7"), ("ALEXNET2012_LEASES", "")])
@pytest.mark.parametrize("given", [None, "1"])
def test_cards_that_others_hand_out_are_not_leased(machine, monkeypatch, name, value, given):
    monkeypatch.setenv(name, value)
    with leasing("a", sees=given) as first, leasing("b", sees=given) as second:
        assert (first, second, visible()) == (1, 1, given)
    assert not machine.exists()


@pytest.mark.parametrize(
    ("job_id", "sees", "settings", "key"),
    [
        ("", "0,1", {"device": "cuda", "granted": 0}, "runtime.device"),
        ("7", "1", {"granted": 2, "needed": 2}, "CUDA_VISIBLE_DEVICES"),  # Slurm too may give too few
    ],
)
def test_gpus_that_are_needed_and_not_there_are_an_error(machine, monkeypatch, job_id, sees, settings, key):
    monkeypatch.setenv("SLURM_JOB_ID", job_id)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", sees)
    with pytest.raises(DeviceError, match=key):
        lease_gpus("a", **settings).__enter__()


# Who holds what.


def test_a_card_is_the_same_by_its_number_and_its_uuid(machine):
    with leasing("a", sees="1"), leasing("b", sees=f"{uuid_of(1)},0"):
        assert visible() == uuid_of(0)


def test_who_waits_for_two_holds_none(machine):
    with leased(TWO, 1, "a", machine) as first, ExitStack() as locks:
        assert first == [TWO[0]]
        assert take(TWO, 2, "b", machine, locks) == ([], {TWO[0]: f"process {os.getpid()} (a)"})
        with leased(TWO, 1, "c", machine) as second:
            assert second == [TWO[1]]
    with lease_gpus("b", granted=2, needed=2) as count:
        assert (count, visible()) == (2, f"{uuid_of(0)},{uuid_of(1)}")


def test_one_job_at_a_time_looks_for_cards(machine):
    """Or two jobs for two cards could each find one, and both give way."""
    machine.mkdir()
    with ThreadPoolExecutor(1) as pool, ExitStack() as locks:
        with (machine / "taking").open("w", encoding="utf-8") as looking:
            fcntl.flock(looking, fcntl.LOCK_EX)
            taken = pool.submit(take, TWO, 2, "a", machine, locks)
            with pytest.raises(TimeoutError):
                taken.result(timeout=0.1)
        assert taken.result(timeout=PATIENCE_S) == (TWO, {})
        pool.submit(locks.close).result()  # by the thread that holds them


def test_a_card_is_free_after_an_error(machine):
    with pytest.raises(KeyError), lease_gpus("a"):
        assert not is_free(lock_of(0, machine))
        raise KeyError
    assert is_free(lock_of(0, machine)) and visible() is None


def test_a_job_never_waits_for_itself(machine):
    """As after kill -9 of Snakemake, whose training lives on while the same command is given again."""
    itself = rf"process {os.getpid()} \(train x\)"
    with leasing("train x", sees="0"), pytest.raises(DeviceError, match=itself), leasing("train x", sees="0"):
        pass


def test_the_folder_is_private_and_locked_against_those_that_tidy_up(machine):
    with lease_gpus("a"):
        assert machine.stat().st_mode & 0o777 == 0o700
        assert not is_free(machine)
    assert is_free(machine)


@pytest.mark.parametrize("other_user", [True, False])
def test_a_folder_that_is_anothers_or_cannot_be_made_is_refused(machine, monkeypatch, other_user):
    own = os.getuid()
    if other_user:
        machine.mkdir()
        monkeypatch.setattr(os, "getuid", lambda: own + 1)
    else:
        machine.write_text("", encoding="utf-8")
    with pytest.raises(DeviceError, match=f"{machine}: .*ALEXNET2012_LEASES"):
        lease_gpus("a").__enter__()


def test_a_job_waits_says_for_whom_and_has_the_card_after_kill_9(start, tmp_path):
    output = tmp_path / "second.json"
    holder = start(job_command(tmp_path / "first.json", 1, 1, 60))
    assert holder.stderr.readline() == "leased GPU 0\n"
    waiting = start(job_command(output, 1, 1, 0))
    assert f"process {holder.pid} ({tmp_path}/first.json)" in waiting.stderr.readline()
    time.sleep(0.5)
    assert waiting.poll() is None and not is_free(lock_of(0, tmp_path / "leases"))

    os.kill(holder.pid, signal.SIGKILL)
    killed = time.monotonic()

    assert waiting.communicate(timeout=PATIENCE_S)[1] == "leased GPU 0\n"  # and nothing said twice
    found = json.loads(output.read_text(encoding="utf-8"))
    assert found["cards"] == [uuid_of(0)] and found["started"] > killed


PARENT = """
import multiprocessing, os, subprocess, sys, time
from alexnet2012.gpus import lease_gpus
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
    parent = start([sys.executable, "-c", PARENT.format(start=STARTS[how])])
    assert parent.stderr.readline() == "leased GPU 0\n"
    child = int(parent.stderr.readline())
    lock = lock_of(0, tmp_path / "leases")
    try:
        assert not is_free(lock)  # though the child closed its copy
        parent.kill()
        parent.wait()
        os.kill(child, 0)  # it lives
        wait_until(lambda: is_free(lock))  # on a busy machine it closes its copy a moment later
    finally:
        os.kill(child, signal.SIGKILL)
