"""The sellers' load: who asks, what is counted, when it ends."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sandbox.load import Load, Plan, Tally
from sandbox.serving import listen, running

ROOT = Path(__file__).resolve().parents[2]


class Shop:
    """Answers as two builds do, by the seller's last digit, and remembers what it was asked."""

    def __init__(self) -> None:
        self.sellers: Counter[str] = Counter()
        self.answers: Counter[tuple[str, int]] = Counter()
        self.bad_signatures = 0
        self.delay = 0.0
        self.most_at_once = 0
        self._at_once = 0

    def app(self) -> Starlette:
        anything = ["GET", "POST"]
        return Starlette(routes=[Route("/{path:path}", self.answer, methods=anything)])

    async def answer(self, request: Request) -> Response:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        await asyncio.sleep(self.delay)
        self._at_once -= 1
        seller = request.headers.get("x-seller-id")
        if request.url.path == "/webhooks/meta":
            body = await request.body()
            signed = hmac.new(b"secret", body, hashlib.sha256).hexdigest()
            self.bad_signatures += request.headers["x-hub-signature-256"] != f"sha256={signed}"
            seller = json.loads(body)["entry"][0]["id"]
        assert seller is not None
        self.sellers[seller] += 1
        number = int(seller[-4:])
        build, track = ("new", "canary") if number % 2 else ("old", "stable")
        status = 503 if number % 5 == 0 else 200
        self.answers[build, status] += 1
        headers = {"X-Build": build, "X-Served-By": track}
        return PlainTextResponse("x", status, headers)


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def url(shop: Shop) -> Iterator[str]:
    with running(shop.app()) as url:
        yield url


def plan(**more: Any) -> Plan:
    return Plan(sellers=20, webhook_share=0.3, app_secret="secret", **more)


def play(url: str, out: Path, seconds: float = 0.8, **more: Any) -> tuple[Tally, dict[str, Any]]:
    async def run() -> Tally:
        settings = {"rate": 150.0, "in_flight": 50, "timeout": 3.0, **more}
        load = Load(url, plan(), **settings)
        await load.run(seconds, out)
        return load.tally

    tally = asyncio.run(run())
    written: dict[str, Any] = json.loads(out.read_text())
    return tally, written


def test_the_snapshot_says_exactly_what_was_answered(shop: Shop, url: str, tmp_path: Path) -> None:
    _, written = play(url, tmp_path / "load.json")
    answers = shop.answers
    assert written["requests"] == answers.total() > 50
    assert written["failed"] == answers["new", 503] + answers["old", 503] > 0
    assert written["by_build"] == {
        build: {
            "requests": answers[build, 200] + answers[build, 503],
            "failed": answers[build, 503],
        }
        for build in ("new", "old")
    }
    assert written["by_track"] == {
        "canary": written["by_build"]["new"],
        "stable": written["by_build"]["old"],
    }
    assert written["no_answer"] == written["rejected"] == written["skipped"] == 0
    assert 0 < written["latency_ms"]["p50"] <= written["latency_ms"]["p95"]


def test_sellers_keep_their_names_and_webhooks_are_signed(
    shop: Shop, url: str, tmp_path: Path
) -> None:
    play(url, tmp_path / "load.json")
    assert set(shop.sellers) <= {f"seller-{number:04}" for number in range(1, 21)}
    assert len(shop.sellers) > 15
    assert shop.bad_signatures == 0


def test_the_same_seed_asks_for_the_same_sellers_again() -> None:
    def asked(seed: int) -> list[tuple[str, str, tuple[tuple[str, str], ...]]]:
        requests = itertools.islice(plan(seed=seed).requests(), 200)
        return [(r.method, r.path, r.headers if r.method == "GET" else ()) for r in requests]

    assert asked(1) == asked(1)
    assert asked(1) != asked(2)
    assert 30 < sum(method == "POST" for method, _, _ in asked(1)) < 90


def test_slow_answers_do_not_slow_the_load_down_and_their_number_is_bounded(
    shop: Shop, url: str, tmp_path: Path
) -> None:
    shop.delay = 0.4
    _, written = play(url, tmp_path / "load.json", in_flight=10)
    assert shop.most_at_once == 10
    assert written["skipped"] > 50
    assert written["requests"] == shop.answers.total()


def test_a_server_that_refuses_gives_no_answer_and_no_build(tmp_path: Path) -> None:
    with listen(0) as taken:
        port = taken.getsockname()[1]
    _, written = play(f"http://127.0.0.1:{port}", tmp_path / "load.json", seconds=0.3)
    assert written["requests"] == written["failed"] == written["no_answer"] > 10
    assert written["by_build"] == {}
    assert written["latency_ms"] == {"p50": None, "p95": None}


def test_a_server_that_never_answers_is_given_up_on(shop: Shop, url: str, tmp_path: Path) -> None:
    shop.delay = 2.0
    tally, _ = play(url, tmp_path / "load.json", seconds=0.2, timeout=0.2)
    assert tally.requests == tally.no_answer > 5


def test_an_answer_without_a_build_is_counted_as_nobodys() -> None:
    tally = Tally()
    tally.answered(503, {}, 0.01)
    tally.answered(401, {"x-build": "b"}, 0.01)
    read = tally.snapshot()
    assert read["by_build"] == {
        "none": {"requests": 1, "failed": 1},
        "b": {"requests": 1, "failed": 0},
    }
    assert (read["failed"], read["rejected"], read["by_track"]) == (1, 1, {})


def test_the_longest_time_between_good_answers_is_kept_second_by_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1000.0]
    monkeypatch.setattr("sandbox.load.time.time", lambda: now[0])
    tally = Tally()
    for status, later in ((200, 0.0), (200, 0.1), (200, 0.4), (503, 1.0), (404, 0.5), (200, 0.5)):
        now[0] += later
        tally.answered(status, {}, 0.01)
    now[0] += 3
    assert tally.snapshot()["gaps"] == [[5.0, 0.4], [3.0, 2.0], [0.0, 3.0]]


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_with_a_last_snapshot(
    shop: Shop, url: str, tmp_path: Path, sent: signal.Signals
) -> None:
    out = tmp_path / "load.json"
    command = [sys.executable, "-m", "sandbox.load", "--url", url, "--sellers", "20"]
    command += ["--rate", "100", "--seconds", "60", "--out", str(out), "--app-secret", "secret"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 20
        while not out.exists() or json.loads(out.read_text())["requests"] < 20:
            assert time.monotonic() < deadline, process.poll()
            time.sleep(0.05)
        process.send_signal(sent)
        _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, b"")
    assert json.loads(out.read_text())["requests"] == shop.answers.total()
    assert list(tmp_path.iterdir()) == [out]
