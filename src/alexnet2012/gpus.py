"""GPUs: which ones a job may use, and a lease on those that it does use.

Snakemake counts GPUs and assigns none; without `--resources gpu=N` it does not even count. So each job leases its cards
itself, by a file lock on each, before torch is imported. Guaranteed among all jobs of one user on one machine:

- A card is leased to one job at a time. The operating system ends the lease with the job's process, kill -9 included;
  its children hold no card. The two processes of one training are killed with the job that launched them
  (towers/launch.py), before whoever leases their cards next has imported torch.
- All or nothing: a job that waits for two cards holds none of them.
- No card is idle while a job fits: a free card is taken within POLL_S by a job that waits for no more than are free.

The last rules out a queue. While jobs for one card keep coming, a job for two waits, since keeping the first free card
for it would leave that card idle. A workflow has only so many jobs, so its turn comes, at worst after theirs.
"""

import fcntl
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from alexnet2012.errors import DeviceError
from alexnet2012.files import LockTaken, locked

VISIBLE, FOLDER_VARIABLE = "CUDA_VISIBLE_DEVICES", "ALEXNET2012_LEASES"
ANSWER_S = 60.0  # a healthy nvidia-smi takes up to a few seconds
POLL_S = 0.2


@dataclass(frozen=True)
class Card:
    """A GPU. `name` is nvidia-smi's number, for people. `key` is the UUID, which is the same for all jobs however they
    name the card; or what CUDA_VISIBLE_DEVICES calls it, where nvidia-smi cannot tell."""

    name: str
    key: str


@contextmanager
def lease_gpus(
    job: str, device: str = "auto", granted: int | None = None, needed: int = 1, too_few: str = "stop"
) -> Iterator[int]:
    """The number of GPUs that `job` has for itself while the block runs, named by CUDA_VISIBLE_DEVICES; 0 is the CPU.

    `job` tells those that wait for it what runs, and no two jobs have the same. `device` and `too_few` are the settings
    `runtime.device` and `runtime.too_few_devices`; `granted` is what Snakemake allows: 0 hides all GPUs, None is a job
    that it does not run. Waits for as long as it takes, and says on stderr for whom.

    Under Slurm the variable is left alone and nothing is locked. Raises DeviceError when too few GPUs are granted or
    there, when one is demanded and none granted, and when `job` would wait for itself.
    """
    if device == "cpu":
        yield 0
        return
    if device == "cuda" and granted == 0:
        raise DeviceError(
            "runtime.device is cuda, and no GPU was granted; give --resources gpu=1, or set runtime: {device: auto}"
        )
    cards = list_cards() if granted != 0 else []
    count = settle(needed, granted, len(cards), too_few)
    if 0 < count < needed:
        say(f"{count} GPU instead of {needed}, as runtime.too_few_devices allows")
    # Not in TMPDIR, which may differ from job to job, nor in a home that several machines share.
    folder = os.environ.get(FOLDER_VARIABLE, f"/tmp/alexnet2012-leases-{os.getuid()}")
    with ExitStack() as stack:
        if granted == 0:
            say("no GPU was granted: running on the CPU")
            stack.enter_context(visible([]))
        elif os.environ.get("SLURM_JOB_ID") or not folder:
            pass  # Slurm hands out cards itself, to all users
        elif not cards:
            say(f"neither {VISIBLE} nor nvidia-smi names a GPU: running on the CPU")
            stack.enter_context(visible([]))
        else:
            stack.enter_context(visible(stack.enter_context(leased(cards, count, job, Path(folder)))))
        yield count


def settle(needed: int, granted: int | None, present: int, too_few: str) -> int:
    """How many of the GPUs that are `present` a job takes that needs so many; 0 is the CPU, where none is or none is
    granted. Raises DeviceError when there are some but too few and `too_few` is "stop"; else it takes one."""
    if present == 0 or granted == 0:
        return 0
    if granted is not None and granted < needed:
        found = f"Snakemake, which caps requests in silence, granted {granted}; give --resources gpu={needed}"
    elif present < needed:
        found = f"{VISIBLE}, or else nvidia-smi, names {present}; run it where there are {needed}"
    else:
        return needed
    if too_few == "one-device":
        return 1
    raise DeviceError(
        f"this job needs {needed} GPUs, and {found}, or set runtime: {{too_few_devices: one-device}} to make do with "
        "one"
    )


def list_cards() -> list[Card]:
    """The cards that a job may use: those of CUDA_VISIBLE_DEVICES if it is set, else all that nvidia-smi lists.

    As in CUDA, an entry is nvidia-smi's number, a UUID or its beginning, or a part of a card (MIG), and what follows an
    entry that names no card does not count. Raises DeviceError when nvidia-smi hangs.
    """
    given = os.environ.get(VISIBLE)
    if given is not None and not given.strip():
        return []
    known = ask_nvidia_smi()
    if given is None:
        return known
    found: list[Card] = []
    for text in map(str.strip, given.split(",")):
        is_uuid = text.startswith("GPU-")
        if text.startswith("MIG-") or (not known and (is_uuid or text.isdecimal())):
            meant = [Card(text, text)]
        else:
            meant = [card for card in known if card.name == text or (is_uuid and card.key.startswith(text))]
        if len(meant) != 1:
            break
        found += meant
    return list(dict.fromkeys(found))


def ask_nvidia_smi() -> list[Card]:
    """All cards of this machine; none where nvidia-smi is missing, or says that it reaches no driver."""
    query = ["nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader"]
    try:
        done = subprocess.run(
            query, capture_output=True, encoding="utf-8", errors="replace", timeout=ANSWER_S, check=False
        )
    except OSError:
        return []
    except subprocess.TimeoutExpired:
        raise DeviceError(
            f"nvidia-smi has not answered for {ANSWER_S:g} s; mend the driver, or set runtime: {{device: cpu}}"
        ) from None
    if done.returncode:
        say(f"nvidia-smi failed: {' '.join((done.stdout + done.stderr).split())}")
        return []
    rows = [line.split(",") for line in done.stdout.splitlines() if "," in line]
    return [Card(name.strip(), key.strip()) for name, key in rows]


@contextmanager
def visible(cards: list[Card]) -> Iterator[None]:
    """CUDA sees `cards` alone, in their order; it reads the variable once, when torch first asks for a GPU."""
    before = os.environ.get(VISIBLE)
    os.environ[VISIBLE] = ",".join(card.key for card in cards)
    try:
        yield
    finally:
        if before is None:
            del os.environ[VISIBLE]
        else:
            os.environ[VISIBLE] = before


@contextmanager
def leased(cards: list[Card], count: int, job: str, folder: Path) -> Iterator[list[Card]]:
    """The first `count` of `cards` to be free at the same time, locked while the block runs."""
    with ExitStack() as locks:
        locks.callback(os.close, open_folder(folder))
        taken, holders = take(cards, count, job, folder, locks)
        if not taken:
            wanted = "a GPU" if count == 1 else f"{count} GPUs"
            held = ", ".join(f"{card.name} is held by {holder}" for card, holder in holders.items())
            say(f"waiting for {wanted} of {list_names(cards)}: {held}")
        while not taken:
            time.sleep(POLL_S)
            taken, _ = take(cards, count, job, folder, locks)
        say(f"leased GPU {list_names(taken)}")
        yield taken


def take(cards: list[Card], count: int, job: str, folder: Path, locks: ExitStack) -> tuple[list[Card], dict[Card, str]]:
    """`count` free cards, whose locks `locks` keeps, or none; and the holders of cards that are not free.

    One process at a time looks, so that a lock that it finds taken is a lease. Raises DeviceError when `job` itself
    holds a card that it would wait for.
    """
    free: list[Card] = []
    holders: dict[Card, str] = {}
    with locked(folder / "taking", math.inf), ExitStack() as found:
        for card in cards:
            file = folder / f"{card.key.replace('/', '_')}.lock"
            try:
                found.enter_context(locked(file, 0.0, f"process {os.getpid()} ({job})"))
                free.append(card)
            except LockTaken as taken:
                holders[card] = str(taken)
            if len(free) == count:
                locks.push(found.pop_all())
                return free, holders
    for holder in holders.values():
        if holder.endswith(f" ({job})"):
            raise DeviceError(f"{holder} runs already; let it end, or stop it, and give the command again")
    return [], holders


def open_folder(folder: Path) -> int:
    """A descriptor with a shared lock on `folder`, which is made if it is not there.

    systemd-tmpfiles removes old files from /tmp, but not from a folder that is locked; a lock file removed under its
    holder would allow a second lease. Raises DeviceError when the folder is not this user's.
    """
    remedy = f"set {FOLDER_VARIABLE} to a folder of yours on this machine"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise DeviceError(f"GPUs cannot be leased in {folder}: {error.strerror}; {remedy}") from None
    if os.fstat(descriptor).st_uid != os.getuid():
        os.close(descriptor)
        raise DeviceError(f"GPUs cannot be leased in {folder}: it is another user's; {remedy}")
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def list_names(cards: list[Card]) -> str:
    return ", ".join(card.name for card in cards)


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
