import math
import os
from pathlib import Path

import pytest

from alexnet2012.cpu import count_usable_cores, count_usable_memory, read_cpu_quota


def control_groups(root: Path, membership: str, quotas: dict[str, str]) -> tuple[Path, Path]:
    """A machine's /proc/self/cgroup and /sys/fs/cgroup; `quotas` maps a group's folder to "<quota> <period>"."""
    (root / "membership").write_text(membership, encoding="utf-8")
    for folder, text in quotas.items():
        group = root / "mount" / folder
        group.mkdir(parents=True, exist_ok=True)
        if folder.startswith("cpu"):
            for name, value in zip(("cpu.cfs_quota_us", "cpu.cfs_period_us"), text.split(), strict=True):
                (group / name).write_text(f"{value}\n", encoding="utf-8")
        else:
            (group / "cpu.max").write_text(f"{text}\n", encoding="utf-8")
    return root / "membership", root / "mount"


NONE_1 = "-1 100000"
NONE_2 = "max 100000"


@pytest.mark.parametrize(
    ("membership", "quotas", "expected"),
    [
        ("0::/\n", {"": "200000 100000"}, 2.0),  # docker --cpus 2, a namespace of its own
        ("0::/user.slice/job\n", {"user.slice/job": "50000 100000"}, 0.5),
        ("0::/user.slice/job\n", {"user.slice": "150000 100000", "user.slice/job": NONE_2}, 1.5),
        ("0::/user.slice/job\n", {"user.slice": "400000 100000", "user.slice/job": "300000 50000"}, 4.0),
        ("0::/../sibling\n", {"": "200000 100000"}, 2.0),  # a process sent into the namespace from outside
        ("0::/user.slice/job\n", {"other.slice": "100000 100000", "user.slice/other": "100000 100000"}, math.inf),
        ("0::/user.slice\n", {"user.slice": NONE_2}, math.inf),
        ("5:cpu,cpuacct:/docker/1f\n0::/\n", {"cpu,cpuacct/docker/1f": "250000 100000"}, 2.5),
        ("5:cpu,cpuacct:/docker/1f\n", {"cpu,cpuacct": "200000 100000"}, 2.0),  # the container's group is the mount
        ("5:cpuacct,cpu:/docker/1f\n", {"cpu/docker": "700000 100000", "cpu/docker/1f": NONE_1}, 7.0),
        ("1:cpu:/\n", {"cpu": NONE_1}, math.inf),
        ("3:cpuset:/a\n4:memory:/a\n", {"cpu/a": "100000 100000"}, math.inf),
        ("4:memory:/b:c\n1:cpu:/b:c\n0::/b:c\n", {"cpu/b:c": NONE_1, "unified/b:c": "600000 100000"}, 6.0),
        ("", {}, math.inf),
    ],
)
def test_the_quota_is_the_least_of_all_groups_around(tmp_path, membership, quotas, expected):
    assert read_cpu_quota(*control_groups(tmp_path, membership, quotas)) == expected


@pytest.mark.parametrize(
    ("bound", "quota", "usable"),
    [(64, "200000", 2), (64, "150000", 2), (64, "1000", 1), (2, "800000", 2), (3, "max", 3)],
)
def test_usable_cores_are_those_that_a_process_is_bound_to_or_its_quota(tmp_path, monkeypatch, bound, quota, usable):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(bound)), raising=False)
    assert count_usable_cores(*control_groups(tmp_path, "0::/\n", {"": f"{quota} 100000"})) == usable


@pytest.mark.parametrize(("cores", "usable"), [(12, 12), (None, 1)])
def test_where_there_are_no_control_groups_all_cores_are_usable(tmp_path, monkeypatch, cores, usable):
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert count_usable_cores(tmp_path / "none", tmp_path) == usable


@pytest.mark.parametrize(
    ("membership", "limits", "usable"),
    [
        ("0::/a/b\n", {"a/memory.max": "3000", "a/b/memory.max": "max"}, 3000),
        ("4:memory:/a\n", {"memory/memory.limit_in_bytes": "9223372036854771712", "memory/a": "5000"}, None),
        ("4:memory:/a\n0::/\n", {"memory/a/memory.limit_in_bytes": "5000"}, 5000),
        ("0::/a\n", {"memory.max": "max", "b/memory.max": "1"}, None),
    ],
)
def test_usable_memory_is_the_least_limit_of_all_groups_around(tmp_path, membership, limits, usable):
    (tmp_path / "membership").write_text(membership, encoding="utf-8")
    for name, text in limits.items():
        path = tmp_path / "mount" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n", encoding="utf-8")
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert count_usable_memory(tmp_path / "membership", tmp_path / "mount") == (usable or whole)
