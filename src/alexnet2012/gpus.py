"""Per-GPU file locks ("leases") that give each job GPUs of its own, and the list of GPUs that a job may use.

Snakemake counts GPUs (only with `--resources gpu=N`) but assigns none. So each job leases its cards itself, before
torch is imported. Guaranteed among all jobs of one user on one machine:

- A card is leased to one job at a time. The operating system releases it when the job's process exits, even by kill -9;
  child processes hold no lease. The two processes of one training are killed with the job that launched them
  (towers/launch.py), before the next holder of their cards has imported torch.
- All or nothing: a job that waits for two cards holds none of them.
- No card stays idle while a job fits: a free card is taken within POLL_S by a job that needs no more than are free.

There is no queue: reserving the first free card for a job that needs two would leave that card idle. So a job for two
cards may wait while jobs for one keep coming, at worst until the workflow has no more of them.
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
    """A GPU. `name`: nvidia-smi's index, for messages. `key`: the UUID, which is the same for all jobs, or the entry of
    CUDA_VISIBLE_DEVICES if nvidia-smi does not know the card."""

    name: str
    key: str


@contextmanager
def lease_gpus(
    job: str, device: str = "auto", granted: int | None = None, needed: int = 1, too_few: str = "stop"
) -> Iterator[int]:
    """Lease GPUs for `job` while the block runs, and list them in CUDA_VISIBLE_DEVICES; yields their number, 0 for CPU.

    `job`: a unique name, shown to jobs that wait for it. `device` and `too_few`: the settings `runtime.device` and
    `runtime.too_few_devices`. `granted`: the number of GPUs that Snakemake allows (0 hides all GPUs), or None outside
    Snakemake. Waits as long as necessary, and prints the holders of the cards to stderr.

    Under Slurm, CUDA_VISIBLE_DEVICES is left alone and nothing is locked. Raises DeviceError if too few GPUs are
    granted or present, if `device` is "cuda" and none is granted, and if `job` is running already.
    """
    if device == "cpu":
        yield 0
        return
    if device == "cuda" and granted == 0:
        raise DeviceError(
            "runtime.device is cuda, but no GPU was granted; give --resources gpu=1, or set runtime: {device: auto}"
        )
    cards = list_cards() if granted != 0 else []
    count = settle(needed, granted, len(cards), too_few)
    if 0 < count < needed:
        say(f"{count} GPU instead of {needed}, as runtime.too_few_devices allows")
    # Not in TMPDIR, which may differ from job to job, nor in a home that several machines share; open_folder refuses
    # a folder of another user.
    folder = os.environ.get(FOLDER_VARIABLE, f"/tmp/alexnet2012-leases-{os.getuid()}")  # noqa: S108
    with ExitStack() as stack:
        if granted == 0:
            say("no GPU was granted: running on the CPU")
            stack.enter_context(visible([]))
        elif os.environ.get("SLURM_JOB_ID") or not folder:
            pass  # Slurm assigns the cards
        elif not cards:
            say(f"neither {VISIBLE} nor nvidia-smi names a GPU: running on the CPU")
            stack.enter_context(visible([]))
        else:
            stack.enter_context(visible(stack.enter_context(leased(cards, count, job, Path(folder)))))
        yield count


def settle(needed: int, granted: int | None, present: int, too_few: str) -> int:
    """Number of GPUs to lease for a job that needs `needed`; 0 (the CPU) if none is present or granted.

    If there are too few: one if `too_few` is "one-device"; raises DeviceError if it is "stop"."""
    if present == 0 or granted == 0:
        return 0
    if granted is not None and granted < needed:
        found = f"Snakemake granted {granted} (it lowers requests silently); give --resources gpu={needed}"
    elif present < needed:
        found = f"{VISIBLE} (or nvidia-smi if that is not set) names {present}; run it on a machine with {needed}"
    else:
        return needed
    if too_few == "one-device":
        return 1
    raise DeviceError(
        f"this job needs {needed} GPUs, but {found}, or set runtime: {{too_few_devices: one-device}} to run on one"
    )


def list_cards() -> list[Card]:
    """The cards that a job may use: those of CUDA_VISIBLE_DEVICES if it is set, else all that nvidia-smi lists.

    As in CUDA, an entry is an index, a UUID or its beginning, or a part of a card (MIG); entries after one that names
    no card are ignored. Raises DeviceError if nvidia-smi hangs.
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
    """All cards of this machine; none if nvidia-smi is missing or fails. Raises DeviceError if it hangs."""
    query = ["nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader"]
    try:
        done = subprocess.run(
            query, capture_output=True, encoding="utf-8", errors="replace", timeout=ANSWER_S, check=False
        )
    except OSError:
        return []
    except subprocess.TimeoutExpired:
        raise DeviceError(
            f"nvidia-smi has not answered for {ANSWER_S:g} s; repair the driver, or set runtime: {{device: cpu}}"
        ) from None
    if done.returncode:
        say(f"nvidia-smi failed: {' '.join((done.stdout + done.stderr).split())}")
        return []
    rows = [line.split(",") for line in done.stdout.splitlines() if "," in line]
    return [Card(name.strip(), key.strip()) for name, key in rows]


@contextmanager
def visible(cards: list[Card]) -> Iterator[None]:
    """Make only `cards` visible to CUDA, in their order; CUDA reads the variable at torch's first use of a GPU."""
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
    """`count` of `cards`, the first that are free at the same time; locked while the block runs."""
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
    """`count` free cards, their locks added to `locks`, or none; and the holders of the cards that are not free.

    Only one process at a time tries the locks, so that a taken lock is a lease. Raises DeviceError if `job` itself
    holds one of the cards.
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
            raise DeviceError(f"{holder} is running already; wait for it or stop it, then run the command again")
    return [], holders


def open_folder(folder: Path) -> int:
    """Make `folder` if necessary and lock it (shared); returns the descriptor that holds the lock.

    systemd-tmpfiles removes old files from /tmp, but not from a locked folder; if it removed a lock file in use, the
    card could be leased twice. Raises DeviceError if the folder cannot be used or belongs to another user.
    """
    remedy = f"set {FOLDER_VARIABLE} to a folder of yours on this machine"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise DeviceError(f"GPUs cannot be leased in {folder}: {error.strerror}; {remedy}") from None
    if os.fstat(descriptor).st_uid != os.getuid():
        os.close(descriptor)
        raise DeviceError(f"GPUs cannot be leased in {folder}: it belongs to another user; {remedy}")
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def list_names(cards: list[Card]) -> str:
    return ", ".join(card.name for card in cards)


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
