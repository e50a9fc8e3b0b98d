"""The kept-alive probe sees what a browser lives through, and not what it mends unseen."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable

import pytest

from slipway.clients.kept import KeptProber
from slipway.ports import Answer
from tests.unit.clients.stub import Said, refused_url, serve, serve_raw

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Build: b1\r\n\r\nok"


def twice(talk: Callable[[socket.socket, threading.Event], None]) -> tuple[Answer, Answer, int]:
    """Probe twice over one prober; return both answers and how many connections it took."""
    prober = KeptProber()
    with serve_raw(talk) as raw:
        first = prober.probe(raw.url, timeout=1)
        time.sleep(0.05)
        return first, prober.probe(raw.url, timeout=1), raw.connections


def test_all_probes_use_one_connection() -> None:
    prober = KeptProber()
    with serve(Said(200, {"build": "b1"})) as stub:
        answers = [prober.probe(stub.url, timeout=2) for _ in range(4)]
    assert len({heard.peer for heard in stub.heard}) == 1
    assert [(a.status, a.build, a.reconnected) for a in answers] == [(200, "b1", False)] * 4


def closes(peer: socket.socket, _over: threading.Event) -> None:
    peer.sendall(GOOD)


def closes_on_the_next(peer: socket.socket, _over: threading.Event) -> None:
    peer.sendall(GOOD)
    peer.recv(65536)


def resets_on_the_next(peer: socket.socket, _over: threading.Event) -> None:
    peer.sendall(GOOD)
    peer.recv(1)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def says_close(peer: socket.socket, _over: threading.Event) -> None:
    peer.sendall(GOOD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))


@pytest.mark.parametrize("talk", [closes, closes_on_the_next, resets_on_the_next, says_close])
def test_a_connection_found_closed_is_made_anew_and_said(
    talk: Callable[[socket.socket, threading.Event], None],
) -> None:
    first, second, connections = twice(talk)
    assert (first.status, first.reconnected) == (200, False)
    assert (second.status, second.build, second.reconnected) == (200, "b1", True)
    assert connections == 2


def cuts_the_second(head: bytes) -> Callable[[socket.socket, threading.Event], None]:
    def talk(peer: socket.socket, _over: threading.Event) -> None:
        peer.sendall(GOOD)
        peer.recv(65536)
        peer.sendall(head)

    return talk


@pytest.mark.parametrize(
    "head", [b"HTTP", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"], ids=["head", "body"]
)
def test_an_answer_that_is_cut_is_a_failure_and_is_not_asked_for_again(head: bytes) -> None:
    first, second, connections = twice(cuts_the_second(head))
    assert first.status == 200
    assert (second.status, second.reconnected) == (None, False)
    assert second.error
    assert connections == 1


def test_a_new_connection_that_is_closed_without_an_answer_is_a_failure() -> None:
    first, second, connections = twice(lambda peer, over: None)
    assert (first.status, second.status) == (None, None)
    assert connections == 2, "one each: neither is asked for again"


def test_no_answer_in_time_is_a_failure_and_is_not_asked_for_again() -> None:
    def silent(peer: socket.socket, over: threading.Event) -> None:
        peer.sendall(GOOD)
        peer.recv(65536)
        over.wait(5)

    first, second, connections = twice(silent)
    assert first.status == 200
    assert (second.status, second.error) == (None, "no answer in time")
    assert connections == 1


def test_a_5xx_is_the_answer_it_is() -> None:
    prober = KeptProber()
    with serve(Said(200, {}), Said(502, {})) as stub:
        assert prober.probe(stub.url, timeout=2).status == 200
        assert prober.probe(stub.url, timeout=2).status == 502


def test_a_connection_that_ended_by_our_own_doing_is_not_blamed_on_the_service() -> None:
    prober = KeptProber()
    with serve(Said(200, b"x" * 200_000), Said(200, {})) as stub:
        answers = [prober.probe(stub.url, timeout=2) for _ in range(2)]
    assert [(a.status, a.reconnected) for a in answers] == [(200, False), (200, False)]


def test_a_refused_connection_says_why() -> None:
    assert KeptProber().probe(refused_url(), timeout=1).error == "the connection was refused"


def test_a_certificate_that_cannot_be_verified_is_no_answer() -> None:
    with serve(Said(200, {})) as stub:
        answer = KeptProber().probe(stub.url.replace("http:", "https:"), timeout=2)
    assert "TLS" in (answer.error or "")
