"""A program that is told of events: a real HTTP server on loopback, which does as it is asked."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WAIT_SECONDS = 60.0


@dataclass(frozen=True)
class Request:
    """One that came."""

    path: str
    headers: Mapping[str, str]
    body: str

    @property
    def name(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event


@dataclass
class Receiver:
    """`answer`: what is said to a request: status, headers, body; it may take its time."""

    port: int = 0
    requests: list[Request] = field(default_factory=list)
    answer: Callable[[Request], tuple[int, Mapping[str, str], bytes]] = lambda _: (204, {}, b"")
    news: threading.Condition = field(default_factory=threading.Condition)

    def wait(self, count: int, seconds: float = WAIT_SECONDS) -> list[Request]:
        """The requests, as soon as there are so many."""
        with self.news:
            came = self.news.wait_for(lambda: len(self.requests) >= count, seconds)
            assert came, f"{len(self.requests)} of {count} requests within {seconds:g} s"
            return list(self.requests)


@contextlib.contextmanager
def listening(context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver on a free port."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            octets = self.rfile.read(int(self.headers["Content-Length"]))
            if len(octets) < int(self.headers["Content-Length"]):
                return  # whoever sent it was killed meanwhile
            body = octets.decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.path, headers, body)
            with receiver.news:
                receiver.requests.append(request)
                receiver.news.notify_all()
            code, said, content = receiver.answer(request)
            with contextlib.suppress(OSError):  # whoever asked may have gone
                self.send_response(code)
                for name, value in said.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="receiver")
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join(WAIT_SECONDS)
        server.server_close()


def slow(seconds: float) -> Callable[[Request], tuple[int, Mapping[str, str], bytes]]:
    """An answer that takes its time."""
    never = threading.Event()

    def answer(_: Request) -> tuple[int, Mapping[str, str], bytes]:
        never.wait(seconds)
        return 204, {}, b""

    return answer
