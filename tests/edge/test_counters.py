"""What HAProxy counts: root errors, latencies, sellers."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator

import httpx
import pytest

from slipway_edge.counters import LATENCY_EDGES, Counts, TrackCounts, parse
from slipway_edge.haproxy import HAProxyError, Runtime
from tests.edge.harness import EVERYBODY, ROOT, Surroundings, World


@pytest.fixture(scope="module")
def counting(around: Surroundings) -> Iterator[World]:
    """A running edge of this file."""
    with around.world() as running:
        running.edge.start()
        yield running


def runtime(world: World) -> Runtime:
    state = world.edge.state_dir
    return Runtime(state / "haproxy.sock", state / "cohort.map")


def counts(world: World) -> Counts:
    time.sleep(0.05)  # a request is counted a moment after it was answered
    return asyncio.run(runtime(world).counts())


def grown(before: TrackCounts, after: TrackCounts) -> tuple[int, int, int]:
    return (
        after.requests - before.requests,
        after.errors - before.errors,
        after.root_errors - before.root_errors,
    )


def ask(world: World, seller: str | None, path: str = "/", times: int = 1) -> None:
    headers = {"X-Seller-Id": seller} if seller else {}
    for _ in range(times):
        world.edge.client.get(path, headers=headers)


def test_the_retries_of_one_seller_are_one_root_error(counting: World) -> None:
    counting.raised("roots")
    before = counts(counting)
    ask(counting, "root-a", "/", 2)
    ask(counting, "root-a", "/fail", 5)
    ask(counting, "ROOT-B", "/fail", 2)
    ask(counting, None, "/fail", 3)  # nobody knows whether that is one seller
    after = counts(counting)
    assert grown(before.canary, after.canary) == (9, 7, 2)
    assert grown(before.stable, after.stable) == (3, 3, 3)
    # Not an error that the application made: HAProxy answers 502.
    answer = counting.edge.raw("/drop", "POST", "X-Seller-Id: root-c")
    assert answer.startswith("HTTP/1.1 502")
    assert grown(after.canary, counts(counting).canary) == (1, 1, 1)
    counting.edge.raw("/drop", "POST", "X-Seller-Id: root-c")
    assert grown(after.canary, counts(counting).canary) == (2, 2, 1)


def test_a_seller_who_still_fails_ten_seconds_later_is_counted_again(counting: World) -> None:
    counting.raised("ten-seconds")
    before = counts(counting)
    ends = time.monotonic() + 11.5
    while time.monotonic() < ends:  # never silent for long: the ten seconds do not begin anew
        ask(counting, "patient", "/fail")
        time.sleep(1)
    assert grown(before.canary, counts(counting).canary)[2] == 2


def test_a_seller_who_fails_on_both_tracks_is_a_root_error_of_each(counting: World) -> None:
    before = counts(counting)
    counting.raised("both")
    ask(counting, "on-both", "/fail", 2)
    counting.edge.post("kill", {"release": "both", "reason": ""})
    ask(counting, "on-both", "/fail", 2)
    after = counts(counting)
    assert grown(before.canary, after.canary) == (2, 2, 1)
    assert grown(before.stable, after.stable) == (2, 2, 1)


def test_latencies_are_counted_to_the_headers_per_track(counting: World) -> None:
    counting.raised("latencies")
    before = counts(counting)
    ask(counting, EVERYBODY, "/slow", 2)
    ask(counting, EVERYBODY, "/", 3)
    ask(counting, EVERYBODY, "/stream")  # takes 3 s; its headers come at once
    after = counts(counting)
    added = [b - a for a, b in zip(before.canary.latency, after.canary.latency, strict=True)]
    assert len(added) == len(LATENCY_EDGES) + 1
    assert sum(added) == 6
    slow = LATENCY_EDGES.index(1.0)
    # 0.6 s is beyond 0.5 s; the others are quicker, where the machine is not asleep.
    assert sum(added[slow:]) >= 2
    assert sum(added[: slow + 1]) >= 4
    assert after.stable.latency == before.stable.latency


def test_the_edges_of_latency_are_those_of_the_configuration() -> None:
    text = (ROOT / "edge" / "haproxy.cfg").read_text()
    found = re.findall(r"sc_inc_gpc\((\d+),0\) if \{ var\(txn.ms\) -m int gt (\d+) \}", text)
    expected = [(str(4 + i), f"{edge * 1000:g}") for i, edge in enumerate(LATENCY_EDGES[1:])]
    assert found == expected
    quick = f"{LATENCY_EDGES[0] * 1000:g}"
    assert f"allow if {{ var(txn.ms) -m int le {quick} }}" in text
    assert f"allow if !failed {{ date(0,ms),sub(txn.t0) le {quick} }}" in text


def test_sellers_seen_are_listed_once(counting: World) -> None:
    counting.raised("seen")
    ask(counting, "Seen-Once")
    ask(counting, "seen-twice@x.example")
    ask(counting, "not an id")
    counting.edge.post("kill", {"release": "seen", "reason": ""})
    ask(counting, "seen-twice@x.example")
    found = asyncio.run(runtime(counting).sellers())
    assert {"seen-once", "seen-twice@x.example"} <= set(found)
    assert len(set(found)) == len(found)
    assert "not an id" not in found


def test_the_agents_own_answers_are_counted_for_no_track(counting: World) -> None:
    before = counts(counting)
    headers = {"X-Seller-Id": EVERYBODY}
    assert counting.edge.client.get("/.slipway/nothing", headers=headers).status_code == 401
    assert counts(counting) == before


def test_silence_and_nonsense_are_no_counters(counting: World) -> None:
    for text in ("", "Pid: 1\n\n# pxname\n\n", "x\n\ny\n\nz"):
        with pytest.raises((KeyError, ValueError)):
            parse(text)
    nowhere = Runtime(counting.edge.state_dir / "none.sock", counting.edge.state_dir / "x")
    with pytest.raises(HAProxyError):
        asyncio.run(nowhere.sellers())
    with pytest.raises(HAProxyError):
        asyncio.run(nowhere.counts())


def test_a_client_that_goes_away_does_not_stop_the_counting(counting: World) -> None:
    counting.raised("gone")
    with pytest.raises(httpx.ReadTimeout):
        counting.edge.client.get("/slow", headers={"X-Seller-Id": "gone"}, timeout=0.1)
    before = counts(counting)
    ask(counting, "gone", "/fail")
    assert grown(before.canary, counts(counting).canary)[2] == 1
