import os

import pytest

from alexnet2012.planning.disk import usable_memory_bytes

ALL = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("membership", "limits", "usable"),
    [
        ("0::/a/b\n", {"a/memory.max": "3000", "a/b/memory.max": "max"}, 3000),
        ("4:memory:/a\n", {"memory/memory.limit_in_bytes": "9223372036854771712", "memory/a": "5000"}, ALL),
        ("4:memory:/a\n0::/\n", {"memory/a/memory.limit_in_bytes": "5000"}, 5000),
        ("0::/a\n", {"memory.max": "max", "b/memory.max": "1"}, ALL),
    ],
)
def test_usable_memory_is_the_least_limit_of_all_groups_around(tmp_path, membership, limits, usable):
    (tmp_path / "membership").write_text(membership, encoding="utf-8")
    for name, text in limits.items():
        path = tmp_path / "mount" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n", encoding="utf-8")
    assert usable_memory_bytes(tmp_path / "membership", tmp_path / "mount") == usable
