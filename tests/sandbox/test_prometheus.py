"""A real Prometheus that scrapes real exporters: what it says of them, and what it cannot."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter, disable_created_metrics
from prometheus_client.exposition import generate_latest

from sandbox.prometheus import ROOT, NoPrometheus, binary
from sandbox.render.processes import die_with_parent
from slipway.clients.prometheus import PrometheusMetric
from slipway.clients.prometheus_api import prometheus_http
from slipway.errors import Refused, Unreachable
from slipway.ports import Counts, Measured, Meter, Side, Sides
from tests.sandbox.render_support import BOT, PLAIN, commit, eventually, free_port, running

OLD, NEW, GONE, IDLE = commit(10), commit(11), commit(12), commit(13)
CONTROL = Side(build=OLD, service="srv-stable")
CANDIDATE = Side(build=NEW, service="srv-canary")
SIDES = Sides(candidate=CANDIDATE, control=CONTROL)
ALL = 'replies_total{build="{build}"}'
BAD = 'replies_total{build="{build}",slow="true"}'
SETTLE = 1.0
"""Seconds; a scrape of these exporters takes a few milliseconds."""


@dataclass
class Exporter:
    """One instance of the bot: its counters, as the real client library writes them."""

    build: str
    running: bool = True
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin anew with empty counters, at the same address."""
        self.registry = CollectorRegistry()
        names = ("build", "slow")
        self.counter = Counter("replies", "Replies.", names, registry=self.registry)
        self.reply(0, 0)

    def reply(self, fast: int, slow: int = 0) -> None:
        """Count replies."""
        self.counter.labels(build=self.build, slow="false").inc(fast)
        self.counter.labels(build=self.build, slow="true").inc(slow)


class Exporters:
    """Exporters on ports of their own, and the list in which Prometheus finds them."""

    def __init__(self, *exporters: Exporter) -> None:
        self._servers = [_server(self._metrics_of(each)) for each in exporters]
        self._list = _server(self._listing)
        self.url = f"http://127.0.0.1:{self._list.server_address[1]}/targets"

    def _listing(self) -> tuple[int, str, bytes]:
        found = [f"127.0.0.1:{server.server_address[1]}" for server in self._servers]
        return 200, "application/json", json.dumps([{"targets": found, "labels": {}}]).encode()

    def _metrics_of(self, exporter: Exporter) -> Any:
        def answer() -> tuple[int, str, bytes]:
            if not exporter.running:
                return 503, "text/plain", b""
            return 200, "text/plain; version=0.0.4", generate_latest(exporter.registry)

        return answer

    def stop(self) -> None:
        """Listen no more."""
        for server in (*self._servers, self._list):
            server.shutdown()
            server.server_close()


def _server(answer: Any) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            status, kind, body = answer()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


@contextlib.contextmanager
def prometheus(directory: Path, targets: str) -> Iterator[str]:
    """Run a Prometheus; return its address."""
    port = free_port()
    try:
        binary()
    except NoPrometheus as error:
        pytest.skip(str(error))
    options = {"--directory": directory, "--port": port, "--targets": targets}
    arguments = [str(part) for pair in options.items() for part in pair]
    log = directory / "prometheus.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox.prometheus", *arguments],
            cwd=ROOT,
            stdout=stream,
            stderr=stream,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - it takes no lock
        )
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: _is_ready(process, url, log))
        yield url
    finally:
        process.terminate()
        process.wait(10)


def _is_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{url}/-/ready", trust_env=False, verify=PLAIN).status_code == 200
    return False


@dataclass
class World:
    """Prometheus, a bot of the old build, one of the new, and one that nobody uses."""

    url: str
    old: Exporter
    new: Exporter
    idle: Exporter

    def metric(self, **kwargs: Any) -> PrometheusMetric:
        told = {"all_query": ALL, "other_query": BAD, "which": "bad", "settle": SETTLE, **kwargs}
        return PrometheusMetric(prometheus_http(self.url, None), **told)

    def scraped(self, exporter: Exporter) -> float:
        """Wait for a scrape that began after now; return Prometheus' time of it."""
        began = time.time()
        query = f'timestamp(replies_total{{build="{exporter.build}",slow="true"}})'

        def at() -> float:
            answer = httpx.get(
                f"{self.url}/api/v1/query",
                params={"query": query},
                trust_env=False,
                verify=PLAIN,
            ).json()
            result = answer["data"]["result"]
            found = float(result[0]["value"][1]) if result else 0.0
            return found if found > began else 0.0

        return eventually(at, 15)

    def bots(self) -> tuple[Exporter, ...]:
        return self.old, self.new, self.idle

    def read(self, meter: Meter) -> Measured:
        """Read once all that is exported now has been scraped, and is old enough to count."""
        last = max(self.scraped(each) for each in self.bots() if each.running)
        time.sleep(max(0.0, last + SETTLE + 0.05 - time.time()))
        return meter.read()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One for all tests here: it takes five seconds to find its targets."""
    disable_created_metrics()  # type: ignore[no-untyped-call]
    bots = [Exporter(build) for build in (OLD, NEW, IDLE)]
    exporters = Exporters(*bots)
    try:
        with prometheus(tmp_path_factory.mktemp("prometheus"), exporters.url) as url:
            made = World(url, *bots)
            for bot in bots:
                made.scraped(bot)
            time.sleep(SETTLE)
            yield made
    finally:
        exporters.stop()


def test_a_live_build_without_events_is_no_traffic_and_one_with_some_is(world: World) -> None:
    live = Side(build=IDLE, service="srv-stable")
    assert not world.metric().check(live).traffic
    meter = world.metric().since_now(SIDES)
    world.idle.reply(100, 4)
    world.read(meter)
    found = world.metric().check(live)
    assert found.traffic
    assert found.sentence == (
        "2 series of `all`, 1 of `bad`; 104 events in the last hour, 4 of them bad"
    )


def test_a_prometheus_that_is_not_there_is_unreachable(world: World) -> None:
    away = World(f"http://127.0.0.1:{free_port()}", *world.bots())
    with pytest.raises(Unreachable):
        away.metric().check(CONTROL)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ('reply_total{build="{build}"}', "no metric reply_total; the nearest names are"),
        ('replies_total{build="{build}",slow="yes"}', "no series matches"),
        ('sum(replies_total{build="{build}"})', "ranges only allowed for vector selectors"),
        ('rate(replies_total{build="{build}"}[5m])', "ranges only allowed for vector selectors"),
        ('replies_total{build="{build}"', "inside braces"),
    ],
)
def test_a_wrong_query_is_refused_with_what_is_wrong(world: World, query: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        world.metric(all_query=query).check(CONTROL)


def test_a_build_that_exports_nothing_is_told_which_builds_do(world: World) -> None:
    with pytest.raises(Refused) as error:
        world.metric().check(Side(build=GONE, service="srv-stable"))
    assert "none with build cccccccccccc" in error.value.found
    assert OLD in error.value.found
    assert NEW in error.value.found


def test_what_both_sides_count_is_what_they_replied(world: World) -> None:
    meter = world.metric().since_now(SIDES)
    world.old.reply(200, 10)
    world.new.reply(18, 2)
    found = world.read(meter)
    assert found.control == Counts(total=210, bad=10)
    assert found.candidate == Counts(total=20, bad=2)
    assert found.hold == ""


def test_a_restart_loses_only_what_was_never_scraped(world: World) -> None:
    meter = world.metric().since_now(SIDES)
    world.new.reply(50, 5)
    world.scraped(world.new)
    world.new.restart()
    world.new.reply(7, 1)
    assert world.read(meter).candidate == Counts(total=63, bad=6)


def test_a_candidate_that_exports_nothing_holds(world: World) -> None:
    gone = Side(build=GONE, service="srv-canary")
    meter = world.metric().since_now(Sides(candidate=gone, control=CONTROL))
    world.old.reply(20)
    assert "the candidate exports none" in world.read(meter).hold


def test_numbers_that_are_no_longer_scraped_hold_with_their_age(world: World) -> None:
    meter = world.metric(max_age=2.0).since_now(SIDES)
    world.new.reply(3)
    assert world.read(meter).hold == ""
    world.new.running = False
    time.sleep(3.5)
    found = world.read(meter)
    world.new.running = True
    assert found.hold.startswith("the numbers of the candidate are")
    assert found.candidate == Counts(total=3, bad=0)


def test_the_sandbox_says_where_its_bots_are_and_they_are_scraped(tmp_path: Path) -> None:
    with running(tmp_path) as sandbox:
        targets = f"{sandbox.url}/_sandbox/targets"
        (listed,) = httpx.get(targets, trust_env=False, verify=PLAIN).json()
        (instance,) = sandbox.instances()
        assert listed["labels"] == {"service": BOT, "instance": instance["id"]}
        assert listed["targets"] == [instance["url"].removeprefix("http://")]
        with prometheus(tmp_path, targets) as url:
            query = 'bot_replies_total{build="{build}",service="{service}"}'
            metric = PrometheusMetric(
                prometheus_http(url, None),
                all_query=query,
                other_query='bot_replies_total{build="{build}",slow="true"}',
                which="bad",
                settle=SETTLE,
            )

            def found() -> str:
                with contextlib.suppress(Refused):
                    return metric.check(Side(build=commit(1), service=BOT)).sentence
                return ""

            assert eventually(found, 15).startswith("2 series of `all`, 1 of `bad`; 0 events")
