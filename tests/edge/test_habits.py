"""Real edges count what sellers meet while nobody is on the canary, in the bins of the shares."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from bench.cohort import edge_says
from slipway_edge.cohort import BINS, TOP, bin_name, bucket, threshold
from slipway_edge.counters import Met
from slipway_edge.haproxy import Runtime
from tests.edge.harness import FLAG, Edge, Fleet, Surroundings, World, eventually


@pytest.fixture(scope="module")
def counting(around: Surroundings) -> Iterator[World]:
    """A running edge of this file."""
    with around.world() as running:
        running.edge.start()
        yield running


def bins(edge: Edge) -> tuple[Met, ...]:
    runtime = Runtime(edge.state_dir / "haproxy.sock", edge.state_dir / "cohort.map")
    return asyncio.run(runtime.counts()).bins


def habits(edge: Edge, share: float = 5) -> dict[str, Any]:
    time.sleep(0.05)  # a request is counted a moment after it was answered
    answer = edge.api.get("/habits", params={"share": share})
    told: dict[str, Any] = answer.raise_for_status().json()
    return told


def grown(before: dict[str, Any], after: dict[str, Any]) -> dict[str, list[int]]:
    return {
        side: [after[side][key] - before[side][key] for key in ("requests", "root_errors")]
        for side in ("inside", "outside")
    }


def ask(edge: Edge, seller: str | None, path: str = "/", times: int = 1) -> None:
    headers = {"X-Seller-Id": seller} if seller else {}
    for _ in range(times):
        edge.client.get(path, headers=headers)


def end(world: World) -> None:
    lease = world.edge.state()["lease"]
    if lease is not None:
        world.edge.post("release", {key: lease[key] for key in ("release", "holder")})
    assert world.edge.state()["share"] == 0


def bin_of(edge: Edge, seller: str) -> int:
    """Return the one bin in which an answer to this seller is counted."""
    before = bins(edge)
    ask(edge, seller)
    found: list[int] = []

    def counted() -> bool:
        found[:] = [n for n, (a, b) in enumerate(zip(before, bins(edge), strict=True)) if a != b]
        return bool(found)

    eventually(counted, within=2)
    (number,) = found
    return number


def test_the_bins_of_a_share_are_exactly_the_sellers_whom_it_lets_in(counting: World) -> None:
    end(counting)
    sellers = [f"Binned-{number}" for number in range(300)]
    counted = {seller: bin_of(counting.edge, seller) for seller in sellers}
    assert set(counted.values()) == set(range(BINS))
    for share in (5, 10, 25, 50, 95):
        counting.raised(f"share-{share}", share)
        let_in = asyncio.run(edge_says(counting.edge.port, sellers))
        assert {s.lower() for s in let_in} == {
            seller.lower() for seller, number in counted.items() if number < share // 5
        }


def test_haproxy_has_the_borders_of_the_shares_to_one_bucket(counting: World) -> None:
    def found(at: int) -> str:
        return counting.edge.runtime(f"get map {counting.edge.state_dir}/bins.map {at}")

    for number in range(BINS):
        first = threshold(5 * number) + 1 if number else 0
        last = threshold(5 * (number + 1))
        assert f'value="{bin_name(number)}"' in found(first)
        assert f'value="{bin_name(number)}"' in found(last)
    assert "found=yes" not in found(TOP + 1)


def test_while_the_share_is_0_errors_of_a_seller_are_counted_on_its_side(counting: World) -> None:
    end(counting)
    sellers = [f"would-{number}" for number in range(30)]
    inside = [seller for seller in sellers if bucket(FLAG, seller) <= threshold(40)]
    assert 0 < len(inside) < 30
    before, counts = habits(counting.edge, 40), counting.edge.counts()["tracks"]["stable"]
    for seller in sellers:
        ask(counting.edge, seller)
        ask(counting.edge, seller, "/fail", 2)  # a retry within ten seconds is no root error
    ask(counting.edge, None, "/fail")  # in no bin: nobody knows whether a share means it
    after, n = habits(counting.edge, 40), len(inside)
    assert grown(before, after) == {"inside": [3 * n, n], "outside": [3 * (30 - n), 30 - n]}
    assert after["share"] == 40
    assert after["missing"] == []
    # The stable track's own counters have all of it.
    total = counting.edge.counts()["tracks"]["stable"]
    names = ("requests", "errors", "root_errors")
    assert [total[name] - counts[name] for name in names] == [91, 61, 31]


def test_nothing_is_counted_while_anybody_is_on_the_canary(counting: World) -> None:
    prop = {"key": "distinct_id", "type": "person", "operator": "is_not", "value": ["left-out"]}
    groups = [{"properties": [prop], "rollout_percentage": 5}]
    counting.raised("somebody", 5, groups=groups)
    before = bins(counting.edge)
    for number in range(30):
        ask(counting.edge, f"would-{number}")
    assert counting.edge.served_by("left-out") == "stable"
    time.sleep(0.05)
    assert bins(counting.edge) == before
    end(counting)
    assert habits(counting.edge)["inside"]["requests"] == before[0].requests


@pytest.mark.parametrize("share", ["7", "0", "100", "-5", "2.5", "x", "", "nan", "1e9"])
def test_a_share_that_is_not_counted_is_refused_in_a_sentence(counting: World, share: str) -> None:
    answer = counting.edge.api.get("/habits", params={"share": share})
    assert answer.status_code == 400
    assert "multiple of 5 from 5 to 95" in answer.json()["error"]


def test_habits_need_the_token(counting: World) -> None:
    answer = httpx.get(f"{counting.edge.base}/.slipway/habits?share=5", timeout=5)
    assert answer.status_code == 401


def test_counters_are_small(counting: World) -> None:
    """They are asked for every second by each instance, and by the judge."""
    told = counting.edge.api.get("/counts")
    assert set(told.json()) == {"epoch", "tracks", "missing", "instances"}
    assert len(told.content) < 1200


def test_a_restart_on_the_same_disk_keeps_what_was_met(fresh: World) -> None:
    edge = fresh.edge
    before = habits(edge, 50)
    assert before["seconds"] <= 5
    for number in range(20):
        ask(edge, f"kept-{number}", "/fail")
    time.sleep(1)
    met = habits(edge, 50)
    assert sum(met[side]["root_errors"] for side in ("inside", "outside")) == 20
    assert edge.stop() == 0
    edge.start()
    again = habits(edge, 50)
    assert grown(met, again) == {"inside": [0, 0], "outside": [0, 0]}
    assert again["seconds"] >= 1
    ask(edge, "kept-0", "/fail")
    assert sum(sum(side) for side in grown(met, habits(edge, 50)).values()) == 2
    saved = json.loads((edge.state_dir / "habits.json").read_text())
    assert saved["flag"] == FLAG


def test_the_fleet_adds_up_what_its_edges_met_and_says_who_is_missing(
    around: Surroundings,
) -> None:
    with around.fleet(2) as fleet:
        fleet.start()
        _two_edges(fleet)


def _two_edges(fleet: Fleet) -> None:
    one, two = fleet.edges
    sellers = [f"both-{number}" for number in range(40)]
    inside = sum(1 for seller in sellers if bucket(FLAG, seller) <= threshold(25))
    for seller in sellers:
        ask(one, seller)
        ask(two, seller, "/fail", 2)
    for edge in fleet.edges:
        told = habits(edge, 25)
        assert told["inside"] == {"requests": 3 * inside, "root_errors": inside}
        assert told["outside"] == {"requests": 3 * (40 - inside), "root_errors": 40 - inside}
        assert told["missing"] == []
    two.close()
    alone = habits(one, 25)
    assert alone["missing"] == [two.address]
    assert alone["inside"] == {"requests": inside, "root_errors": 0}
