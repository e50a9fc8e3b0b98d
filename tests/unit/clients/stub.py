"""Servers on a thread that answer as a test tells them, also badly."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Said:
    """What the stub answers. ``cut``: send only so many bytes of the body, then hang up."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None

    def content(self) -> bytes:
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Heard:
    """What the stub was asked."""

    method: str
    path: str
    headers: Message
    body: Any
    peer: tuple[str, int]


class Stub:
    """Answers in order; the last answer stays. A callable decides by the request."""

    def __init__(self, url: str, answers: list[Said | Callable[[Heard], Said]]) -> None:
        self.url = url
        self.answers = answers
        self.heard: list[Heard] = []

    def answer(self, heard: Heard) -> Said:
        self.heard.append(heard)
        answer = self.answers[min(len(self.heard), len(self.answers)) - 1]
        return answer if isinstance(answer, Said) else answer(heard)


@contextmanager
def serve(*answers: Said | Callable[[Heard], Said], host: str = "127.0.0.1") -> Iterator[Stub]:
    """Serve HTTP/1.1 with kept-alive connections on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body go out at once: with two small writes the second waits for an ACK.
        wbufsize = -1

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(length)
            heard = Heard(
                self.command,
                self.path,
                self.headers,
                json.loads(raw) if raw else None,
                self.client_address,
            )
            said = stub.answer(heard)
            content = said.content()
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content if said.cut is None else content[: said.cut])
            self.wfile.flush()
            if said.cut is not None:
                self.close_connection = True

        do_GET = do_POST = do_PATCH = do_HEAD = handle_any

    server = ThreadingHTTPServer((host, 0), Handler)
    server.daemon_threads = True
    stub = Stub(f"http://{host}:{server.server_address[1]}", list(answers))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@dataclass
class Raw:
    """A listening socket: where it is, and how many connections it took."""

    url: str
    connections: int = 0


@contextmanager
def serve_raw(talk: Callable[[socket.socket, threading.Event], None]) -> Iterator[Raw]:
    """Accept connections and let ``talk`` write what it likes; the event tells it to end."""
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.02)
    raw = Raw(f"http://127.0.0.1:{listener.getsockname()[1]}")

    def handle(peer: socket.socket) -> None:
        with peer:
            try:
                peer.settimeout(5)
                peer.recv(65536)
                talk(peer, over)
            except OSError:
                pass

    def accept() -> None:
        while not over.is_set():
            try:
                peer, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            raw.connections += 1
            threading.Thread(target=handle, args=(peer,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield raw
    finally:
        over.set()
        thread.join(5)
        listener.close()


def refused_url() -> str:
    """Return an address nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
