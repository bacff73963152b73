"""GPUs of one's own: a job leases cards by file locks before torch is imported, and the kernel ends the lease.

Snakemake counts GPUs and assigns none; without `--resources gpu=N` it does not even count. Guaranteed among all jobs of
one user on one machine, of however many workflows:

- A card is leased to one job at a time. The lease ends with its process, kill -9 included, or the last of its two
  processes (`share_lease`); other children hold on to no card, as descriptors are closed on fork and on exec.
- All or nothing: a job that waits for two cards holds none of them.
- No card is idle while a job fits: a free card is taken within POLL_S by a job that waits for no more than are free.

The last rules out a queue. While jobs for one card keep coming, a job for two waits, since keeping the first free card
for it would leave that card idle. A workflow has only so many jobs, so its turn comes, at worst after theirs.
"""

import fcntl
import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from alexnet2012.cards import VISIBLE, Card, list_cards, visible
from alexnet2012.errors import DeviceError
from alexnet2012.files import locked

POLL_S = 0.2
MUTEX = "taking"  # the lock of who looks for cards
FOLDER_VARIABLE = "ALEXNET2012_LEASES"


@contextmanager
def lease_gpus(
    job: str, device: str = "auto", granted: int | None = None, needed: int = 1, too_few: str = "stop"
) -> Iterator[int]:
    """How many GPUs `job` has for itself while the block runs, named by CUDA_VISIBLE_DEVICES; 0 is the CPU.

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
    with ExitStack() as stack:
        if granted == 0:
            say("no GPU was granted: running on the CPU")
            stack.enter_context(visible([]))
        elif os.environ.get("SLURM_JOB_ID") or not leases_folder():
            pass  # Slurm hands out cards itself, to all users
        elif not cards:
            say(f"neither {VISIBLE} nor nvidia-smi names a GPU: running on the CPU")
            stack.enter_context(visible([]))
        else:
            stack.enter_context(visible(stack.enter_context(leased(cards, count, job, Path(leases_folder())))))
        yield count


def settle(needed: int, granted: int | None, present: int, too_few: str) -> int:
    """How many of the GPUs that are `present` a job takes that needs so many; 0 is the CPU, where none is or none is
    granted. Raises DeviceError when there are some but too few and `too_few` is "stop"; else it takes one."""
    if present == 0 or granted == 0:
        return 0
    if granted is not None and granted < needed:
        found, remedy = (
            f"Snakemake, which caps requests in silence, granted {granted}",
            f"give --resources gpu={needed}",
        )
    elif present < needed:
        found, remedy = f"{VISIBLE}, or else nvidia-smi, names {present}", f"run it where there are {needed}"
    else:
        return needed
    if too_few == "one-device":
        return 1
    raise DeviceError(
        f"this job needs {needed} GPUs, and {found}; {remedy}, or set runtime: {{too_few_devices: one-device}} to make "
        "do with one"
    )


def leases_folder() -> str:
    """ALEXNET2012_LEASES, or a folder of this user's on this machine; empty where no leases are wanted.

    Not in TMPDIR, which may differ from job to job, nor in a home that several machines share.
    """
    return os.environ.get(FOLDER_VARIABLE, f"/tmp/alexnet2012-leases-{os.getuid()}")


@contextmanager
def leased(cards: list[Card], count: int, job: str, folder: Path) -> Iterator[list[Card]]:
    """The first `count` of `cards` to be free at the same time, locked while the block runs."""
    with held() as descriptors:
        descriptors.append(open_folder(folder))
        taken = take(cards, count, job, folder)
        if not taken.cards:
            say(describe_waiting(cards, count, taken.holders))
        while not taken.cards:
            time.sleep(POLL_S)
            taken = take(cards, count, job, folder)
        descriptors += taken.descriptors
        say(f"leased GPU {list_names(taken.cards)}")
        yield taken.cards


@contextmanager
def share_lease() -> Iterator[None]:
    """While the block runs, the process that started this one keeps its cards leased, even if it is killed.

    Nothing where it leased none of those that this process sees.
    """
    folder, holder = leases_folder(), f"process {os.getppid()} ("
    paths = [lock_file(Path(folder), key) for key in os.environ.get(VISIBLE, "").split(",") if key]
    with held() as descriptors:
        for path in paths if folder else ():
            if path.exists():
                with locked(path.with_name(MUTEX), patience_s=math.inf):
                    descriptors.append(os.open(path, os.O_RDONLY | os.O_NOFOLLOW))
                    if os.read(descriptors[-1], 4096).decode().startswith(holder):
                        fcntl.flock(descriptors[-1], fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield


@contextmanager
def held() -> Iterator[list[int]]:
    """A list for descriptors with locks: closed in the end, and at once in forked children, whose copies of them would
    make the locks last."""
    descriptors: list[int] = []

    def close() -> None:
        while descriptors:
            os.close(descriptors.pop())

    os.register_at_fork(after_in_child=close)
    try:
        yield descriptors
    finally:
        close()


@dataclass(frozen=True)
class Taken:
    """Cards with the descriptors of their locks, or neither; and who holds others, by card."""

    cards: list[Card]
    descriptors: list[int]
    holders: dict[Card, str]


def take(cards: list[Card], count: int, job: str, folder: Path) -> Taken:
    """`count` free cards or none. One process at a time looks, so that a lock that it finds taken is a lease."""
    free: dict[Card, int] = {}
    holders: dict[Card, str] = {}
    with locked(folder / MUTEX, patience_s=math.inf):
        for card in cards:
            descriptor = os.open(lock_file(folder, card.key), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                free[card] = descriptor
            except BlockingIOError:
                holders[card] = os.read(descriptor, 4096).decode()
                os.close(descriptor)
            if len(free) == count:
                break
        for descriptor in free.values():
            if len(free) < count:
                os.close(descriptor)
            else:
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"process {os.getpid()} ({job})".encode())
                fcntl.flock(descriptor, fcntl.LOCK_SH)  # with which share_lease can hold it too, and `take` nobody else
    if len(free) == count:
        return Taken(list(free), list(free.values()), holders)
    for holder in holders.values():
        if holder.endswith(f" ({job})"):
            raise DeviceError(f"{holder} runs already; let it end, or stop it, and give the command again")
    return Taken([], [], holders)


def lock_file(folder: Path, key: str) -> Path:
    return folder / f"{key.replace('/', '_')}.lock"


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


def describe_waiting(cards: list[Card], count: int, holders: dict[Card, str]) -> str:
    wanted = "a GPU" if count == 1 else f"{count} GPUs"
    held = ", ".join(f"{card.name} is held by {holder}" for card, holder in holders.items())
    return f"waiting for {wanted} of {list_names(cards)}: {held}"


def list_names(cards: list[Card]) -> str:
    return ", ".join(card.name for card in cards)


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
