"""Calls of a webhook: once, as sent, read to a limit and a deadline; no secret in an error."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from slipway.clients.webhooks import MAX_BODY, HttpWebhooks
from slipway.ports import MetaKeys, Reply
from slipway.release import webhook
from slipway.release.webhook import WebhookGuard
from tests.unit.clients.stub import Said, refused_url, serve, serve_raw
from tests.unit.world import World, settings

CLIENT = HttpWebhooks()
TOKEN = "a-token-nobody-may-see"
QUERY = {"hub.mode": "subscribe", "hub.challenge": "1234567890", "hub.verify_token": TOKEN}


def ask(url: str, *, timeout: float = 2) -> Reply:
    return CLIENT.get(f"{url}/webhooks/meta", QUERY, timeout=timeout)


def test_a_question_goes_out_once_with_its_query_and_what_comes_back_is_told() -> None:
    with serve(Said(200, b"1234567890", {"X-Build": "c" * 40})) as stub:
        reply = ask(stub.url)
    (heard,) = stub.heard
    assert urllib.parse.parse_qs(heard.path.partition("?")[2]) == {k: [v] for k, v in QUERY.items()}
    assert (reply.status, reply.body, reply.error) == (200, b"1234567890", None)
    assert (reply.build, 0 < reply.seconds < 2) == ("c" * 40, True)


def test_a_delivery_goes_out_byte_for_byte() -> None:
    body = b'{"a" ,  "\\u00e9" :  1}'
    heard: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_POST(self) -> None:
            heard.append(self.rfile.read(int(self.headers["Content-Length"])))
            heard.append(self.headers["X-Signed"].encode())
            self.send_response(200)
            self.end_headers()

    with listening(Handler) as url:
        reply = CLIENT.post(url, body.replace(b",", b":"), {"X-Signed": "yes"}, timeout=2)
    assert (reply.status, heard) == (200, [body.replace(b",", b":"), b"yes"])


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/webhooks/meta"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@pytest.mark.parametrize("status", [301, 302, 307, 401, 429, 500, 503])
def test_no_answer_is_followed_and_none_makes_it_ask_again(status: int) -> None:
    answer = Said(status, b"no", {"Location": "/elsewhere", "Retry-After": "0"})
    with serve(answer) as stub:
        assert ask(stub.url).status == status
        assert len(stub.heard) == 1


def test_no_cookie_is_kept_and_each_call_is_a_connection_of_its_own() -> None:
    with serve(Said(200, b"ok", {"Set-Cookie": "who=me"})) as stub:
        ask(stub.url)
        ask(stub.url)
    assert [heard.headers["Cookie"] for heard in stub.heard] == [None, None]
    assert len({heard.peer for heard in stub.heard}) == 2


def test_no_more_than_64_kb_of_an_answer_are_read() -> None:
    with serve(Said(200, b"x" * (MAX_BODY + 5000))) as stub:
        assert len(ask(stub.url).body) == MAX_BODY


@pytest.mark.parametrize("part", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_an_answer_that_trickles_ends_at_the_deadline(part: bytes) -> None:
    def talk(peer: socket.socket, over: threading.Event) -> None:
        peer.sendall(part)
        while not over.wait(0.05):
            peer.sendall(b"X: 1\r\n" if not part.endswith(b"\r\n\r\n") else b".")

    began = time.monotonic()
    with serve_raw(talk) as raw:
        reply = ask(raw.url, timeout=0.4)
        lasted = time.monotonic() - began
    assert (reply.status, reply.error) == (None, "no answer in time")
    assert lasted < 0.8


def test_a_connection_that_is_cut_is_no_answer_and_is_not_tried_again() -> None:
    def talk(peer: socket.socket, over: threading.Event) -> None:
        del over
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123")

    with serve_raw(talk) as raw:
        reply = ask(raw.url)
    assert (reply.status, raw.connections) == (None, 1)


@pytest.mark.parametrize(
    "url", ["", "http://nobody.invalid", "http://[", "https://127.0.0.1:1", "nonsense"]
)
def test_what_was_sent_is_in_no_error(url: str) -> None:
    reply = ask(url or refused_url())
    assert reply.status is None
    assert reply.error
    assert TOKEN not in repr(reply)
    assert "hub." not in repr(reply)


@pytest.mark.parametrize("named", ["a\x1b[31mb", "x" * 500, ""])
def test_a_build_that_is_no_name_names_none(named: str) -> None:
    with serve(Said(200, b"", {"X-Build": named} if named else {})) as stub:
        assert ask(stub.url).build is None


SECRET = "the-secret-of-the-app"


class Hook(BaseHTTPRequestHandler):
    """A webhook as Meta's pages ask for it, over raw bytes."""

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        query = dict(urllib.parse.parse_qsl(self.path.partition("?")[2]))
        right = query["hub.verify_token"] == TOKEN and query["hub.mode"] == "subscribe"
        self._say(200 if right else 403, query["hub.challenge"].encode() if right else b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        signed = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        given = self.headers.get("X-Hub-Signature-256", "")
        json.loads(body)
        self._say(200 if hmac.compare_digest(signed, given) else 401, b"")

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def test_a_whole_set_over_http_has_nothing_against_a_webhook_that_does_what_meta_asks() -> None:
    ports = replace(World().ports(), webhooks=CLIENT, meta=MetaKeys(secret=SECRET, token=TOKEN))
    with listening(Hook) as url:
        base = url.removesuffix("/webhooks/meta")
        address = webhook.at(ports, settings(webhook={}), base, release="r", build=None, own=True)
        assert address is not None
        guard = WebhookGuard(address, ports.journal.trouble)
        look = guard.look()
    assert (look.trip, look.hold) == (None, None)
    assert len(guard.last) == 7
