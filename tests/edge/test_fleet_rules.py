"""The rules about several edges, without edges: polling, counters, sellers, tripwire."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from slipway_edge.cohort import TOP, bucket
from slipway_edge.fleet import Member, add_counts, chosen, latest, must_poll
from slipway_edge.sellers import KEPT, Seen, seen
from slipway_edge.tripwire import Tripwire
from slipway_edge.word import Poll, Word
from tests.edge.harness import FLAG


def member(instance: str, heard: float = 0.0, answered: float | None = 1.0) -> Member:
    poll = Poll(tried=answered, answered=answered)
    return Member(address=instance, word=Word(instance=instance, poll=poll), heard=heard)


def test_exactly_one_of_those_who_hear_each_other_polls() -> None:
    names = ["b", "a", "c"]
    for _ in range(2):
        polling = [
            name
            for name in names
            if must_poll(name, [member(o) for o in names if o != name], 0.0, interval=5)
        ]
        assert polling == ["a"]


def test_another_polls_when_the_chosen_one_is_gone_or_hears_nothing_of_posthog() -> None:
    assert not must_poll("b", [member("a")], 3.0, interval=5)
    assert must_poll("b", [member("a")], 4.0, interval=5)  # not heard for 4 s
    assert not must_poll("b", [member("a", answered=17.5)], 0.5, interval=5)
    assert must_poll("b", [member("a", answered=18.5)], 0.5, interval=5)
    assert must_poll("b", [member("a", answered=None)], 0.0, interval=5)
    assert must_poll("b", [], 0.0, interval=5)
    assert chosen("b", [member("c")], 0.0) is None


def test_what_is_shown_of_posthog_is_the_last_poll_of_anybody() -> None:
    down = Poll(tried=0.1, answered=30.0, error="HTTP 500")
    assert latest(down, [member("a", answered=1.0)], 0.0) == down
    assert latest(Poll(), [member("a", answered=1.0)], 2.0).answered == 3.0


def counts(epoch: str, **canary: Any) -> dict[str, Any]:
    track = {"requests": 0, "errors": 0, **canary}
    return {"epoch": epoch, "tracks": {"stable": {"requests": 1, "errors": 0}, "canary": track}}


def test_counters_are_added_whatever_is_counted() -> None:
    one = {**counts("2-9", requests=3, latency=(1, 2)), "other": {"more": {"requests": 1}}}
    two = {**counts("1-7", requests=4, latency=[3, 4]), "other": {"more": {"requests": 5}}}
    total = add_counts([one, two])
    assert total["epoch"] == "1-7+2-9"
    assert total["tracks"]["canary"] == {"requests": 7, "errors": 0, "latency": [4, 6]}
    assert total["other"] == {"more": {"requests": 6}}
    assert add_counts([two, one])["tracks"] == total["tracks"]
    assert add_counts([two, one])["epoch"] == total["epoch"]


@pytest.mark.parametrize("latency", [[1], "12", {"a": 1}, True, None])
def test_counters_of_another_shape_are_not_added(latency: Any) -> None:
    with pytest.raises(ValueError, match="shape"):
        add_counts([counts("1", latency=[1, 2]), counts("2", latency=latency)])


def test_every_restart_and_every_newcomer_is_another_epoch() -> None:
    epochs = [
        add_counts([counts(one) for one in lives])["epoch"]
        for lives in (["1-7"], ["1-7", "2-9"], ["1-7", "2-10"], ["2-10", "1-8"])
    ]
    assert len(set(epochs)) == 4


def test_a_seller_seen_by_two_edges_is_one_seller() -> None:
    ids = [f"seller-{number}" for number in range(1000)]
    buckets = [bucket(FLAG, seller) for seller in ids]
    one = Seen(buckets=frozenset(buckets[:600]), seconds=10)
    two = Seen(buckets=frozenset(buckets[400:]), seconds=99)
    both = one.joined(two)
    assert (len(both.buckets), both.seconds) == (1000, 99)
    assert both.cohort(100) == 1000
    assert both.cohort(0) == 0
    # PostHog's own comparison, in floating point.
    assert both.cohort(5) == sum(1 for b in buckets if b / float(TOP) <= 0.05)


class Table:
    """Sellers as HAProxy would tell them."""

    async def sellers(self) -> list[str]:
        return ["a", "B", "b", "not an id"]


def test_sellers_are_told_as_buckets_and_for_at_most_three_days() -> None:
    told = asyncio.run(seen(Table(), FLAG, 50.0))
    assert told == Seen(buckets=frozenset({bucket(FLAG, "a"), bucket(FLAG, "b")}), seconds=50)
    assert asyncio.run(seen(Table(), FLAG, 1e6)).seconds == KEPT
    assert asyncio.run(seen(object(), FLAG, 50.0)) == Seen(buckets=frozenset(), seconds=50)


def watched(*readings: tuple[float, int, int], relayed: int = 0) -> str | None:
    tripwire = Tripwire()
    tripwire.watch("r1")
    now = 0.0
    for now, requests, errors in readings:
        tripwire.read(counts("1", requests=requests, errors=errors, relayed=relayed), now)
    return tripwire.verdict(now)


def test_the_tripwire_needs_half_of_twenty_requests() -> None:
    assert watched((0, 0, 0), (1, 19, 19)) is None
    assert watched((0, 0, 0), (1, 20, 9)) is None
    reason = watched((0, 0, 0), (1, 20, 10))
    assert reason is not None
    assert "10 of 20" in reason


def test_the_tripwire_looks_at_the_last_half_minute() -> None:
    good = (0.0, 10_000, 0)
    assert watched((0, 0, 0), good, (20, 10_000, 0), (31, 10_030, 30)) is not None
    assert watched((0, 0, 0), (1, 30, 15), (2, 1000, 15)) is None
    # What was before it began to look is nothing to it.
    assert watched((0, 500, 500), (1, 510, 505)) is None


def test_the_tripwire_adds_up_the_edges_and_begins_anew_with_each_release() -> None:
    tripwire = Tripwire()
    for release in ("r1", "r2"):
        tripwire.watch(release)
        for epoch in "abc":
            tripwire.read(counts(epoch, requests=0, errors=0), 0.0)
            tripwire.read(counts(epoch, requests=8, errors=8), 1.0)
        assert tripwire.verdict(1.0) is not None
        tripwire.watch(None)
        assert tripwire.verdict(1.0) is None


@pytest.mark.parametrize(
    ("of_stable", "trips"), [((40, 30), False), ((40, 4), True), ((5, 5), True)]
)
def test_an_outage_of_both_tracks_is_not_the_builds(
    of_stable: tuple[int, int], trips: bool
) -> None:
    tripwire = Tripwire()
    tripwire.watch("r1")
    tripwire.read(counts("1", requests=0, errors=0), 0.0)
    after = counts("1", requests=100, errors=90)
    requests, errors = of_stable
    after["tracks"]["stable"] = {"requests": 1 + requests, "errors": errors}
    tripwire.read(after, 1.0)
    assert (tripwire.verdict(1.0) is not None) == trips


def test_a_restart_of_haproxy_is_no_flood_of_errors() -> None:
    tripwire = Tripwire()
    tripwire.watch("r1")
    tripwire.read(counts("1-1", requests=900, errors=0), 0.0)
    tripwire.read(counts("1-2", requests=30, errors=30), 1.0)
    assert tripwire.verdict(1.0) is None


def test_what_stable_answered_for_a_dead_canary_does_not_trip() -> None:
    tripwire = Tripwire()
    tripwire.watch("r1")
    tripwire.read(counts("1", requests=100, errors=0, relayed=0), 0.0)
    tripwire.read(counts("1", requests=300, errors=200, relayed=196), 1.0)
    assert tripwire.verdict(1.0) is None


def test_each_instances_counters_can_be_followed_through_restarts_of_the_others() -> None:
    before = add_counts([counts("1-7", requests=100), counts("2-9", requests=50)])
    after = add_counts([counts("1-7", requests=110), counts("2-10", requests=3)])
    own = [{one["epoch"]: one["tracks"] for one in told["instances"]} for told in (before, after)]
    assert own[0]["1-7"]["canary"]["requests"] == 100
    assert own[1]["1-7"]["canary"]["requests"] == 110
    assert own[1]["2-10"]["canary"]["requests"] == 3
