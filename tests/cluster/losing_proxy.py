"""A proxy before a server that loses answers: the server does what it was asked for, and nobody hears of it."""

import http.client
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class Losses:
    """The first two answers at each path are lost, and of the others a `share`, by chance but with one seed."""

    uri: str
    share: float
    lost: Counter[str]


@contextmanager
def losing_proxy(uri: str, share: float) -> Iterator[Losses]:
    target, chance = urlsplit(uri), random.Random(0)
    losses = Losses("", share, Counter())

    class Handler(BaseHTTPRequestHandler):
        timeout = 20

        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            connection = http.client.HTTPConnection(target.hostname, target.port, timeout=20)
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            name = "/".join(urlsplit(self.path).path.split("/")[3:6])
            if losses.lost[name] < 2 or chance.random() < losses.share:
                losses.lost[name] += 1
                self.close_connection = True
                return
            self.send_response_only(answer.status)
            self.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            # One who stopped waiting hears no more.
            with suppress(BrokenPipeError, ConnectionResetError):
                self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = forward  # noqa: N815  the names that http.server looks for

        def log_message(self, *about: object) -> None:
            """Stays silent."""

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    losses.uri = f"http://127.0.0.1:{proxy.server_port}"
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield losses
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join(timeout=10)
