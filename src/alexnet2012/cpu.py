"""The processor: how many cores may be used, and how glibc is told to keep large buffers."""

import os
import sys

# Told so, it spares each step and each image its page faults: 1,600 instead of 1,390 images/s of the scaled net, one
# thread in each of two processes; two thirds of the time for decoding photographs.
KEEP_LARGE_BUFFERS = {
    "MALLOC_MMAP_THRESHOLD_": str(2**33),
    "MALLOC_TRIM_THRESHOLD_": str(2**33),
    "MALLOC_TOP_PAD_": str(2**28),
}


def count_usable_cores() -> int:
    """Cores that this process may use, which in a container or under Slurm are fewer than the machine has."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
