"""Connections that last: they stay on their track while the share changes under them."""

from __future__ import annotations

import socket
import threading

import httpx

from tests.edge.harness import EVERYBODY, NO_TLS, ROOT, World

UPGRADE = (
    "GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


class Upgraded:
    """An upgraded connection of one seller."""

    def __init__(self, port: int, seller: str) -> None:
        self._connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._connection.sendall(f"{UPGRADE}X-Seller-Id: {seller}\r\n\r\n".encode())
        self._answers = self._connection.makefile("rb")
        self.head = b"".join(iter(self._answers.readline, b"\r\n")).decode().lower()

    def says(self) -> str:
        """Send a line and return who answers."""
        self._connection.sendall(b"hello\n")
        return self._answers.readline().decode().strip()

    def close(self) -> None:
        self._answers.close()
        self._connection.close()


def test_an_upgraded_connection_keeps_its_track_when_the_share_changes(shared: World) -> None:
    shared.raised("upgraded")
    first = Upgraded(shared.edge.port, EVERYBODY)
    try:
        assert first.head.startswith("http/1.1 101")
        assert "x-served-by: canary" in first.head
        assert first.says() == "canary"
        shared.edge.post("kill", {"release": "upgraded", "reason": ""})
        assert shared.edge.served_by() == "stable"
        assert first.says() == "canary"
        second = Upgraded(shared.edge.port, EVERYBODY)
        try:
            shared.raised("raised again")
            assert shared.edge.served_by() == "canary"
            assert (first.says(), second.says()) == ("canary", "stable")
        finally:
            second.close()
    finally:
        first.close()


def test_an_upgraded_connection_may_be_silent_for_longer_than_a_request() -> None:
    # Not waited for: `timeout server` is a minute.
    text = (ROOT / "edge" / "haproxy.cfg").read_text()
    assert "timeout tunnel 1h\n" in text


def test_a_long_answer_goes_on_when_the_share_changes(shared: World) -> None:
    shared.raised("long")
    lines: list[str] = []
    begun = threading.Event()

    def read() -> None:
        url, headers = f"{shared.edge.base}/stream", {"X-Seller-Id": EVERYBODY}
        with httpx.stream("GET", url, headers=headers, timeout=10, verify=NO_TLS) as answer:
            for line in answer.iter_lines():
                lines.append(line)
                begun.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert begun.wait(timeout=10)
    shared.edge.post("kill", {"release": "long", "reason": ""})
    assert shared.edge.served_by() == "stable"
    shared.raised("short")
    reader.join(timeout=20)
    assert lines == ["canary"] * 30
