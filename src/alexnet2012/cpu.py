"""Usable CPU cores and memory, and the settings that make glibc keep large buffers."""

import math
import os
import sys
from pathlib import Path

# Keeping freed buffers avoids page faults in each training step and for each image: 1,600 instead of 1,390 images/s for
# the scaled net with one thread in each of two processes, and two thirds of the time for decoding photographs.
KEEP_LARGE_BUFFERS = {
    "MALLOC_MMAP_THRESHOLD_": str(2**33),
    "MALLOC_TRIM_THRESHOLD_": str(2**33),
    "MALLOC_TOP_PAD_": str(2**28),
}
MEMBERSHIP, MOUNT = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def count_usable_cores(membership: Path = MEMBERSHIP, mount: Path = MOUNT) -> int:
    """Number of cores that this process may use; in a container or under Slurm, fewer than the machine has.

    The smaller of the number of cores that it is bound to and its CPU quota, rounded up.
    """
    bound = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    quota = read_cpu_quota(membership, mount)
    return bound if quota == math.inf else max(1, min(bound, math.ceil(quota)))


def read_cpu_quota(membership: Path = MEMBERSHIP, mount: Path = MOUNT) -> float:
    """CPU quota of this process's control groups in cores (CPU seconds per second); infinite without a quota."""
    quotas = [math.inf]
    for group in list_control_groups("cpu", membership, mount):
        for names in (["cpu.max"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]):  # cgroups version 2, version 1
            try:
                quota, period = " ".join((group / name).read_text(encoding="utf-8") for name in names).split()
            except OSError:
                continue
            if quota not in ("max", "-1"):
                quotas.append(int(quota) / int(period))
    return min(quotas)


def count_usable_memory(membership: Path = MEMBERSHIP, mount: Path = MOUNT) -> int:
    """Usable memory in bytes: that of the machine, or the smallest limit of this process's control groups."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for group in list_control_groups("memory", membership, mount):
        for name in ("memory.max", "memory.limit_in_bytes"):  # cgroups version 2, version 1
            try:
                limits.append(int((group / name).read_text(encoding="utf-8")))
            except (OSError, ValueError):  # no such file, or "max"
                continue
    return min(limits)


def list_control_groups(controller: str, membership: Path = MEMBERSHIP, mount: Path = MOUNT) -> list[Path]:
    """Folders of this process's control groups (version 1 or 2) and their ancestors; the limits of all apply.

    Some of the folders may not exist: in a container the mount is the container's own group, while its path may be
    given as the host sees it.
    """
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
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
