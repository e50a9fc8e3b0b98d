"""Probes see what a user sees, and never raise for it."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway.clients.probe import MAX_BODY, HttpProber
from tests.unit.clients.stub import Said, refused_url, serve, serve_raw

PROBER = HttpProber()
BUILD = "c" * 40


def test_every_probe_is_a_connection_of_its_own() -> None:
    with serve(Said(200, {})) as stub:
        for _ in range(3):
            assert PROBER.probe(stub.url, timeout=2).status == 200
    assert len({heard.peer for heard in stub.heard}) == 3


@pytest.mark.parametrize("status", [200, 204, 301, 302, 404, 500, 503])
def test_the_status_is_what_the_first_answer_says(status: int) -> None:
    with serve(Said(status, None, {"Location": "/elsewhere"})) as stub:
        answer = PROBER.probe(f"{stub.url}/healthz", timeout=2)
    assert answer.status == status
    assert [heard.path for heard in stub.heard] == ["/healthz"]


@pytest.mark.parametrize(
    ("said", "build"),
    [
        (Said(200, b"ok", {"X-Build": BUILD}), BUILD),
        (Said(200, {"build": BUILD}), BUILD),
        (Said(503, {"build": BUILD}), BUILD),
        (Said(200, {"build": "old"}, {"X-Build": BUILD}), BUILD),
        (Said(200, {"build": 7}), None),
        (Said(200, [BUILD]), None),
        (Said(200, b"<html>"), None),
        (Said(200, b"[" * 10_000), None),
        (Said(200, {"build": "x" * 500}), None),
        (Said(200, {"build": "a\nb"}), None),
        (Said(200, {}), None),
    ],
)
def test_the_build_is_read_from_the_header_or_the_field(said: Said, build: str | None) -> None:
    with serve(said) as stub:
        assert PROBER.probe(stub.url, timeout=2).build == build


@pytest.mark.parametrize(
    ("body", "there"),
    [
        ("<h1>Grüße</h1>".encode(), True),
        (b"<h1>Gr", False),
        (b"x" * (MAX_BODY - 8) + "Grüße".encode(), True),
        (b"x" * (MAX_BODY - 3) + "Grüße".encode(), False),
    ],
)
def test_a_text_is_looked_for_in_the_first_64_kb_and_the_rest_is_not_kept(
    body: bytes, there: bool
) -> None:
    with serve(Said(200, body)) as stub:
        answer = PROBER.probe(stub.url, timeout=2, text="Grüße")
        assert PROBER.probe(stub.url, timeout=2).holds is None
    assert answer.holds is there
    assert len(repr(answer)) < 300


def test_a_text_that_cannot_be_sent_is_not_there_and_no_answer_has_none() -> None:
    with serve(Said(200, b"x")) as stub:
        assert PROBER.probe(stub.url, timeout=2, text="\ud800").holds is False
    assert PROBER.probe(refused_url(), timeout=2, text="x").holds is None


def test_where_the_build_is_named_can_be_set() -> None:
    prober = HttpProber(build_header="X-Version", build_field="commit")
    with serve(Said(200, {"commit": "b1"}), Said(200, {}, {"X-Version": "b2"})) as stub:
        assert prober.probe(stub.url, timeout=2).build == "b1"
        assert prober.probe(stub.url, timeout=2).build == "b2"


def test_no_more_than_64_kb_of_an_answer_is_read() -> None:
    sent: list[int] = []

    def pour(peer: socket.socket, over: threading.Event) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while not over.is_set():
            sent.append(peer.send(b"x" * 65536))

    with serve_raw(pour) as raw:
        answer = PROBER.probe(raw.url, timeout=5)
    assert answer.status == 200
    # What the socket buffers hold comes on top.
    assert sum(sent) < MAX_BODY + 20_000_000


def test_a_refused_connection_is_no_status_and_says_why() -> None:
    answer = PROBER.probe(refused_url(), timeout=2)
    assert (answer.status, answer.build) == (None, None)
    assert answer.error == "the connection was refused"


def _drip(peer: socket.socket, over: threading.Event) -> None:
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
    while not over.wait(0.05):
        peer.sendall(b"x")


def _silence(_peer: socket.socket, over: threading.Event) -> None:
    over.wait(5)


@pytest.mark.parametrize("talk", [_drip, _silence])
def test_an_answer_that_is_not_complete_in_time_is_no_answer(talk: Any) -> None:
    began = time.monotonic()
    with serve_raw(talk) as raw:
        answer = PROBER.probe(raw.url, timeout=0.3)
    assert (answer.status, answer.error) == (None, "no answer in time")
    assert 0.25 < answer.seconds <= time.monotonic() - began < 1.5


def test_an_answer_cut_short_is_no_answer() -> None:
    with serve(Said(200, {"build": BUILD}, cut=5)) as stub:
        answer = PROBER.probe(stub.url, timeout=2)
    assert answer.status is None
    assert answer.error is not None
    assert "cut" in answer.error


def test_a_certificate_that_cannot_be_verified_is_no_answer() -> None:
    with serve(Said(200, {})) as stub:
        answer = PROBER.probe(stub.url.replace("http:", "https:"), timeout=2)
    assert answer.status is None
    assert answer.error is not None
    assert "TLS" in answer.error


@pytest.mark.parametrize(
    "url", ["", "shop.test", "http://", "http://[x", "http://a..b/", "ftp://a"]
)
def test_an_address_that_is_no_url_is_no_answer(url: str) -> None:
    answer = PROBER.probe(url, timeout=1)
    assert answer.status is None
    assert answer.error


def test_a_probe_carries_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with serve(Said(200, {})) as stub:
        PROBER.probe(stub.url, timeout=2)
    assert stub.heard[0].headers["Authorization"] is None


LINES = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 99999 \r\n",
        b"Content-Length: 5\r\n",
        b"Content-Length: x\r\n",
        b"Content-Encoding: gzip\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Location: http://[::\r\n",
        b"X-Build: \xff\x00\r\n",
        b"\r\n",
        b"zz\r\n",
        json.dumps({"build": "b"}).encode(),
    ]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(LINES | st.binary(max_size=20), max_size=6).map(b"".join))
def test_nothing_the_other_side_sends_makes_a_probe_raise(content: bytes) -> None:
    def talk(peer: socket.socket, _over: threading.Event) -> None:
        peer.sendall(content)

    with serve_raw(talk) as raw:
        answer = PROBER.probe(raw.url, timeout=2)
    assert (answer.status is None) == (answer.error is not None)
