import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from fake_images import list_files
from fake_tiny_imagenet import write_archive

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.downloads import Archive, Way, by_address, fetch
from alexnet2012.data.sources.tiny_imagenet import find_tiny_imagenet
from alexnet2012.errors import DataError

CONTENT = bytes(range(256)) * 40
CONFIG = DatasetConfig(kind="tiny_imagenet")


@dataclass
class Server:
    """One file on this machine. `cut_at`: it ends the connection after so many bytes of an answer, and `hangs` before
    it does. `asked` from which byte on, by each request."""

    content: bytes = CONTENT
    cut_at: int | None = None
    hangs: bool = False
    knows_ranges: bool = True
    port: int = 0
    asked: list[int] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def way(self, name: str = "set.zip", content: bytes = CONTENT) -> Way:
        archive = Archive(name, "md5", hashlib.md5(content).hexdigest())
        return by_address(f"http://127.0.0.1:{self.port}/{name}", archive)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        begin = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.asked.append(begin)
        begin = begin if self.knows_ranges else 0
        if begin >= len(self.content):
            request.send_error(416)
            return
        request.send_response(206 if begin else 200)
        request.send_header("Content-Length", str(len(self.content) - begin))
        request.end_headers()
        request.wfile.write(self.content[begin:][: self.cut_at])
        if self.hangs:
            request.wfile.flush()
            self.ended.wait(60)


@pytest.fixture
def server() -> Iterator[Server]:
    served = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.answer(self)

        def log_message(self, *_) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        served.port = listening.server_port
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield served
        served.ended.set()
        listening.shutdown()
        thread.join()


@pytest.mark.parametrize("hangs", [False, True])
def test_what_was_broken_off_is_gone_on_with(hangs, server, tmp_path):
    server.cut_at, server.hangs = 3000, hangs
    words = "no byte came for 1.5 s" if hangs else "the connection ended after 3,000 of 10,240 bytes"
    with pytest.raises(DataError, match=words):
        fetch(server.way(), tmp_path, stall_s=1.5)
    assert list_files(tmp_path) == [".partial-set.zip"]
    server.cut_at, server.hangs = None, False
    assert fetch(server.way(), tmp_path).read_bytes() == CONTENT
    assert server.asked == [0, 3000] and list_files(tmp_path) == ["set.zip"]
    fetch(server.way(), tmp_path)
    assert len(server.asked) == 2


def test_a_file_that_came_whole_before_a_kill_is_only_checked(server, tmp_path):
    (tmp_path / ".partial-set.zip").mkdir()
    (tmp_path / ".partial-set.zip" / "set.zip").write_bytes(CONTENT)
    assert fetch(server.way(), tmp_path).read_bytes() == CONTENT
    assert server.asked == [10_240]


def test_a_server_without_ranges_sends_it_anew(server, tmp_path):
    server.cut_at = 3000
    with pytest.raises(DataError, match="3,000"):
        fetch(server.way(), tmp_path)
    server.cut_at, server.knows_ranges = None, False
    assert fetch(server.way(), tmp_path).read_bytes() == CONTENT


def test_another_file_is_refused_and_not_kept(server, tmp_path):
    server.content = b"<html>moved</html>"
    with pytest.raises(DataError, match=r"set.zip came with md5 [0-9a-f]{32}, not "):
        fetch(server.way(), tmp_path)
    assert list_files(tmp_path) == []


def test_without_a_folder_the_archive_is_fetched_once(server, tmp_path, tiny, small_tiny_imagenet):
    write_archive(tmp_path / "published", tiny)
    server.content = (tmp_path / "published" / "tiny-imagenet-200.zip").read_bytes()
    way = server.way("tiny-imagenet-200.zip", server.content)
    first, again = (find_tiny_imagenet(CONFIG, tmp_path / "downloads", way) for _ in range(2))
    assert len(first.splits["train"]) == len(again.splits["train"]) == 45 and len(server.asked) == 1
    assert list_files(tmp_path / "downloads") == ["tiny-imagenet-200.zip"]


def test_where_it_cannot_be_fetched_the_other_ways_are_told(server, tmp_path):
    server.content = b""
    with pytest.raises(DataError) as raised:
        find_tiny_imagenet(CONFIG, tmp_path, server.way("tiny-imagenet-200.zip"))
    for word in (f"127.0.0.1:{server.port}", "416", "zh-plus/tiny-imagenet", str(tmp_path)):
        assert word in str(raised.value)
