"""What edges know, without any I/O: three memories that tell each other things, on a fake clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway_edge.flag import read
from slipway_edge.memory import Memory
from slipway_edge.state import Holder, LeaseHeld, NotFollowed, NotUnderWay, Promotion
from slipway_edge.word import BadWord, Poll, Word, decode, encode
from tests.edge.harness import FLAG, definition
from tests.edge.test_flag import JSON

MINE = Holder(run_id="1", attempt=1)
OTHER = Holder(run_id="2", attempt=1)


class Fleet:
    """Three memories whose clocks differ by an hour each."""

    def __init__(self, names: str = "abc") -> None:
        self.now = 0.0
        self.memories = {name: Memory(name, {}) for name in names}

    def clock(self, name: str) -> float:
        return self.now + 3600 * ord(name)

    def tell(self, sender: str, to: str, *, delay: float = 0.0, authority: bool = False) -> None:
        """Send what one knows, as JSON, to another."""
        said = encode(self.memories[sender].word(), self.clock(sender))
        self.now += delay
        word = decode(said, FLAG, self.clock(to))
        self.memories[to].hear(word, authority=authority, now=self.clock(to))

    def all_hear(self) -> None:
        """Let everybody hear everybody, twice, so that news get round."""
        for _ in range(2):
            for sender in self.memories:
                for to in self.memories:
                    if sender != to:
                        self.tell(sender, to)

    def see(self, name: str, version: int, share: float = 5, **how: Any) -> None:
        raw = definition(version, share, **how)
        self.memories[name].see(read([raw], FLAG), raw)

    def share(self, name: str) -> float:
        return self.memories[name].decide(self.clock(name)).share

    def renew(self, name: str, holder: Holder = MINE, ttl: float = 180) -> None:
        self.memories[name].renew("r1", holder, ttl, self.clock(name))

    def restart(self, name: str) -> None:
        self.memories[name] = Memory(name, {})


def test_one_edge_is_told_and_all_know() -> None:
    fleet = Fleet()
    fleet.see("a", 3)
    fleet.renew("b")
    fleet.all_hear()
    assert [fleet.share(name) for name in "abc"] == [5, 5, 5]
    fleet.memories["c"].kill("r1", "5xx", fleet.clock("c"))
    fleet.tell("c", "a")
    assert [fleet.share(name) for name in "abc"] == [0, 5, 0]
    fleet.tell("a", "b")
    assert fleet.share("b") == 0


def test_gossip_alone_never_keeps_a_lease_alive() -> None:
    fleet = Fleet()
    fleet.see("a", 3)
    fleet.renew("a", ttl=180)
    for _ in range(190):
        fleet.now += 0.9
        fleet.all_hear()
    assert [fleet.share(name) for name in "abc"] == [5, 5, 5]
    for _ in range(11):
        fleet.now += 0.9
        fleet.all_hear()
    assert [fleet.share(name) for name in "abc"] == [0, 0, 0]


def test_an_edge_counts_from_when_it_first_heard_and_a_late_word_is_worth_what_is_left() -> None:
    fleet = Fleet()
    fleet.see("a", 3)
    fleet.renew("a", ttl=180)
    fleet.now = 100
    fleet.tell("a", "b", delay=0.5)
    lease = fleet.memories["b"].living_lease(fleet.clock("b"))
    assert lease is not None
    assert lease.expires - fleet.clock("b") == pytest.approx(80)
    fleet.tell("a", "b", delay=0.9)
    again = fleet.memories["b"].living_lease(fleet.clock("b"))
    assert again is not None
    assert again.expires == pytest.approx(lease.expires)


def test_a_restarted_edge_has_all_back_and_cannot_extend_the_renewal_it_was_told_of() -> None:
    fleet = Fleet("ab")
    fleet.see("a", 3)
    fleet.renew("a", ttl=180)
    fleet.memories["a"].promote(Promotion(release="r1", by="ana", reason="now"), fleet.clock("a"))
    fleet.all_hear()
    fleet.now = 60
    fleet.restart("b")
    assert fleet.share("b") == 0
    fleet.tell("a", "b")
    assert fleet.share("b") == 5
    assert fleet.memories["b"].promotion == fleet.memories["a"].promotion
    fleet.all_hear()
    fleet.now = 180.5
    assert [fleet.share(name) for name in "ab"] == [0, 0]


def test_a_restarted_edge_does_not_forget_a_kill_that_a_peer_knows() -> None:
    fleet = Fleet("ab")
    fleet.see("a", 3)
    fleet.renew("a")
    fleet.memories["a"].kill(None, "5xx", fleet.clock("a"))
    fleet.all_hear()
    fleet.restart("a")
    fleet.tell("b", "a")
    fleet.see("a", 4)
    killed = fleet.memories["a"].killed
    assert killed is not None
    assert (killed.release, fleet.share("a")) == ("r1", 0)


@pytest.mark.parametrize("named", ["r1", None])
def test_what_is_still_written_about_the_release_before_ends_no_kill(named: str | None) -> None:
    fleet = Fleet("ab")
    for name in "ab":
        fleet.see(name, 10, release="r0", phase="settling")
    fleet.renew("a")
    fleet.memories["a"].kill(named, "5xx", fleet.clock("a"))
    fleet.all_hear()
    # PostHog's cache lags: how the release before ended is seen only now.
    fleet.see("a", 11, share=0, release="r0", phase="stable")
    fleet.see("b", 12, release="r1")
    fleet.all_hear()
    assert [fleet.share("a"), fleet.share("b")] == [0, 0]
    assert fleet.memories["b"].killed is not None
    fleet.see("a", 13, release="r2")
    fleet.all_hear()
    assert [fleet.memories[name].killed for name in "ab"] == [None, None]


def test_hearing_a_peer_that_does_not_know_of_a_kill_ends_none() -> None:
    fleet = Fleet("ab")
    fleet.see("a", 3)
    fleet.renew("a")
    fleet.memories["a"].kill("r1", "5xx", fleet.clock("a"))
    fleet.tell("b", "a")
    assert fleet.share("a") == 0
    fleet.see("b", 3)
    fleet.tell("b", "a", authority=True)
    assert fleet.share("a") == 0
    # A later release ends it, at whichever edge that is seen.
    fleet.see("b", 4, release="r2")
    fleet.all_hear()
    assert [memory.killed for memory in fleet.memories.values()] == [None, None]


def test_no_edge_applies_a_lower_version_than_a_peer_told_it() -> None:
    fleet = Fleet("ab")
    fleet.see("a", 6, 5)
    fleet.renew("a")
    fleet.restart("b")
    fleet.tell("a", "b")
    fleet.see("b", 4, 100)  # PostHog's cache lags
    assert fleet.share("b") == 5
    assert fleet.memories["b"].has(6)


def test_a_lease_given_back_is_not_brought_back_by_a_peer_that_missed_it() -> None:
    fleet = Fleet("ab")
    fleet.see("a", 3)
    fleet.renew("a")
    fleet.all_hear()
    fleet.memories["a"].give_back("r1", MINE, fleet.clock("a"))
    fleet.tell("b", "a")
    assert fleet.share("a") == 0
    fleet.tell("a", "b")
    assert fleet.share("b") == 0
    fleet.renew("b", OTHER)  # and another one may have it now


def test_two_takers_at_two_edges_that_did_not_hear_each_other_end_as_one() -> None:
    fleet = Fleet("ab")
    fleet.renew("a", MINE)
    fleet.renew("b", OTHER)
    fleet.all_hear()
    holders = {memory.lease.holder for memory in fleet.memories.values() if memory.lease}
    assert len(holders) == 1
    (loser,) = {MINE, OTHER} - holders
    for name in "ab":
        with pytest.raises(LeaseHeld):
            fleet.renew(name, loser)


def test_nothing_is_renewed_on_a_flag_that_cannot_be_followed() -> None:
    fleet = Fleet("ab")
    fleet.see("a", 3, ensure_experience_continuity=True)
    fleet.tell("a", "b")
    for name in "ab":
        with pytest.raises(NotFollowed, match="experience continuity"):
            fleet.renew(name)
    fleet.see("a", 4)
    fleet.tell("a", "b")
    fleet.renew("b")
    assert fleet.share("b") == 5


def test_an_order_needs_the_lease_of_its_release() -> None:
    fleet = Fleet("ab")
    order = Promotion(release="r1", by="ana", reason="now")
    with pytest.raises(NotUnderWay):
        fleet.memories["a"].promote(order, fleet.clock("a"))


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["see", "renew", "kill", "give back", "tell", "restart", "wait"]),
        st.sampled_from("abc"),
        st.sampled_from("abc"),
        st.integers(1, 9),
    ),
    max_size=30,
)


@given(actions=ACTIONS)
def test_whatever_happens_edges_that_have_heard_each_other_do_the_same(
    actions: list[tuple[str, str, str, int]],
) -> None:
    fleet = Fleet()
    act: dict[str, Callable[[str, str, int], object]] = {
        # One version is one text, as at PostHog.
        "see": lambda who, _, n: fleet.see(who, n, 10 * n, release=f"r{n % 3}"),
        "renew": lambda who, _, n: fleet.memories[who].renew(
            f"r{n % 3}", Holder(run_id=str(n % 2), attempt=1 + n % 3), 60, fleet.clock(who)
        ),
        "kill": lambda who, _, n: fleet.memories[who].kill(f"r{n % 3}", "", fleet.clock(who)),
        "give back": lambda who, _, n: fleet.memories[who].give_back(
            f"r{n % 3}", Holder(run_id=str(n % 2), attempt=1 + n % 3), fleet.clock(who)
        ),
        "tell": lambda who, to, _: fleet.tell(who, to) if who != to else None,
        "restart": lambda who, *_: fleet.restart(who),
        "wait": lambda *_: setattr(fleet, "now", fleet.now + 13),
    }
    for what, who, to, number in actions:
        try:
            act[what](who, to, number)
        except LeaseHeld:
            continue
    fleet.all_hear()
    one, *others = fleet.memories.values()
    for other in others:
        assert other.definition == one.definition
        assert other.latches == one.latches
        assert (other.lease is None) == (one.lease is None)
        assert other.lease is None or other.lease.renewal == one.lease.renewal  # type: ignore[union-attr]
    assert len({fleet.share(name) for name in "abc"}) == 1


def test_a_word_survives_the_way() -> None:
    fleet = Fleet("ab")
    fleet.see("a", 3)
    fleet.renew("a")
    fleet.memories["a"].kill("r1", "5xx", fleet.clock("a"))
    poll = Poll(tried=1.0, answered=2.0, error="HTTP 500", failures=3, mine=True)
    counts = {
        "epoch": "1-2",
        "tracks": {name: {"requests": 2, "errors": 1} for name in ("stable", "canary")},
    }
    word = replace(
        fleet.memories["a"].word(), poll=poll, share=5.0, counts=counts, buckets=(1, 2), seconds=9.0
    )
    now = fleet.clock("a")
    assert decode(encode(word, now), FLAG, now) == word


@given(raw=JSON)
def test_what_no_edge_says_is_refused(raw: Any) -> None:
    with pytest.raises(BadWord):
        decode(raw, FLAG, 0.0)


@given(
    key=st.sampled_from(sorted(encode(Word(instance="x"), 0.0))),
    value=JSON,
)
def test_a_word_with_an_odd_part_is_read_or_refused(key: str, value: Any) -> None:
    fleet = Fleet("a")
    fleet.see("a", 3)
    fleet.renew("a")
    said = {**encode(fleet.memories["a"].word(), 0.0), key: value}
    try:
        word = decode(said, FLAG, 0.0)
    except BadWord:
        return
    Memory("b", {}).hear(word, authority=True, now=0.0)


def test_a_number_beyond_what_a_double_holds_is_refused_and_ends_no_loop() -> None:
    for odd in (
        {"seconds": 10**400},
        {"poll": {**encode(Word(instance="x"), 0)["poll"], "tried": 10**400}},
    ):
        with pytest.raises(BadWord):
            decode({**encode(Word(instance="x"), 0.0), **odd}, FLAG, 0.0)
