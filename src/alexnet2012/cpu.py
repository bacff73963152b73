"""The machine: how many cores and how much memory may be used, and how glibc is told to keep large buffers."""

import math
import os
import sys
from pathlib import Path

# Told so, it spares each step and each image its page faults: 1,600 instead of 1,390 images/s of the scaled net, one
# thread in each of two processes; two thirds of the time for decoding photographs.
KEEP_LARGE_BUFFERS = {
    "MALLOC_MMAP_THRESHOLD_": str(2**33),
    "MALLOC_TRIM_THRESHOLD_": str(2**33),
    "MALLOC_TOP_PAD_": str(2**28),
}
MEMBERSHIP, MOUNT = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def count_usable_cores(membership: Path = MEMBERSHIP, mount: Path = MOUNT) -> int:
    """Cores that this process may use, which in a container or under Slurm are fewer than the machine has.

    Those that it is bound to, or as many as its CPU quota, rounded up, allows to run at the same time.
    """
    bound = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    quota = read_cpu_quota(membership, mount)
    return bound if quota == math.inf else max(1, min(bound, math.ceil(quota)))


def read_cpu_quota(membership: Path = MEMBERSHIP, mount: Path = MOUNT) -> float:
    """Seconds of CPU per second that this process's control groups allow it; infinite without a quota."""
    quotas = [math.inf]
    for group in list_control_groups("cpu", membership, mount):
        for names in (["cpu.max"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]):  # of version 2, of version 1
            try:
                quota, period = " ".join((group / name).read_text(encoding="utf-8") for name in names).split()
            except OSError:
                continue
            if quota not in ("max", "-1"):
                quotas.append(int(quota) / int(period))
    return min(quotas)


def count_usable_memory(membership: Path = MEMBERSHIP, mount: Path = MOUNT) -> int:
    """Bytes of the machine's memory, or of the least limit of this process's control groups where that is less."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for group in list_control_groups("memory", membership, mount):
        for name in ("memory.max", "memory.limit_in_bytes"):  # of version 2, of version 1
            try:
                limits.append(int((group / name).read_text(encoding="utf-8")))
            except (OSError, ValueError):  # not there, or "max"
                continue
    return min(limits)


def list_control_groups(controller: str, membership: Path = MEMBERSHIP, mount: Path = MOUNT) -> list[Path]:
    """Folders of the control groups, of either version, that this process is in, and of those around them.

    All limit it. In a container the mount is of the container's own group, whose path may be told as the host sees it:
    not all folders need exist.
    """
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:  # no Linux
        return []
    folders: list[Path] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        parts = path.strip("/").split("/")
        for root in [mount / controllers, mount / controller] if controllers else [mount, mount / "unified"]:
            folders += [root.joinpath(*parts[:count]) for count in range(len(parts) + 1)]
    return folders
