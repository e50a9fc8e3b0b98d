"""How what edges know becomes one: in any order, any number of times, with the same end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from slipway_edge.flag import Flag, Record, Stamp
from slipway_edge.merge import add_latch, alive, merge_latches, merge_lease, merge_promotion
from slipway_edge.state import ANY_RELEASE, Latch, Lease, Promotion, update_latch
from tests.edge.test_state import LEASES

STAMPS = st.none() | st.builds(Stamp, flag_id=st.sampled_from([7, 8]), version=st.integers(1, 4))
KILLS = st.builds(
    Latch,
    release=st.sampled_from(["r1", "r2", ANY_RELEASE]),
    reason=st.sampled_from(["", "5xx"]),
    stamp=STAMPS,
    id=st.sampled_from(["a", "b", "c"]),
    over=st.booleans(),
    before=st.sampled_from(["", "r0"]),
)
KNOWN = st.lists(KILLS, max_size=4).map(lambda kills: {kill.id: kill for kill in kills})
ORDERS = st.none() | st.builds(
    Promotion,
    release=st.sampled_from(["r1", "r2"]),
    by=st.sampled_from(["ana", "ben"]),
    reason=st.just("now"),
    number=st.integers(1, 3),
)
Known = Mapping[str, Latch]


@given(a=KNOWN, b=KNOWN, c=KNOWN)
def test_merging_kills_ends_the_same_in_any_order_and_however_often(
    a: Known, b: Known, c: Known
) -> None:
    assert merge_latches(a, b) == merge_latches(b, a)
    assert merge_latches(merge_latches(a, b), c) == merge_latches(a, merge_latches(b, c))
    both = merge_latches(a, b)
    assert merge_latches(both, b) == merge_latches(both, a) == merge_latches(both, both) == both


@given(mine=KNOWN, told=KNOWN)
def test_a_merge_ends_no_kill_that_nobody_saw_end_and_brings_none_back(
    mine: Known, told: Known
) -> None:
    merged = merge_latches(mine, told)
    assert set(merged) == set(mine) | set(told)
    for key, latch in merged.items():
        versions = [known[key] for known in (mine, told) if key in known]
        if all(not version.over for version in versions):
            assert not latch.over
        ended = [version for version in versions if version.over]
        alive_ones = [version for version in versions if not version.over]
        if len(ended) == 1 and len(alive_ones) == 1:
            # Over stands against the same kill, alive against one seen with a later flag.
            (end,), (live,) = ended, alive_ones
            if replace(live, over=True, reason=end.reason) == end:
                assert latch.over
            if live.stamp is not None and (end.stamp is None or live.stamp.order > end.stamp.order):
                assert not latch.over


def test_a_slow_peer_does_not_bring_back_a_kill_that_a_later_release_ended() -> None:
    kill = Latch(release="r1", reason="5xx", stamp=Stamp(flag_id=7, version=5), id="k")
    slow = {"k": kill}

    def flag(release: str, version: int) -> Flag:
        record = Record(release=release, phase="canary", share=5)
        return Flag(stamp=Stamp(flag_id=7, version=version), active=True, record=record)

    here = {"k": update_latch(kill, flag("r2", 6))}
    assert alive(here) == []
    # The same release begins again, much later: by its own record the old kill would not be over.
    again = flag("r1", 9)
    for told in (merge_latches(here, slow), merge_latches(slow, here)):
        assert alive({key: update_latch(one, again) for key, one in told.items()}) == []


def test_kills_that_are_over_are_forgotten_in_time_and_those_that_hold_never() -> None:
    old = Latch(release="held", reason="", stamp=Stamp(flag_id=7, version=1), id="held")
    kills: Known = {"held": old}
    for version in range(2, 200):
        stamp = Stamp(flag_id=7, version=version)
        over = Latch(release="r", reason="", stamp=stamp, id=str(version), over=True)
        kills = merge_latches(kills, {over.id: over})
    assert len(kills) < 100
    assert alive(kills) == [old]


@given(kills=KNOWN, kill=KILLS)
def test_a_kill_that_is_added_holds(kills: Known, kill: Latch) -> None:
    added = add_latch(kills, replace(kill, id="new", over=False))
    held = [(one.release, one.stamp) for one in alive(added)]
    assert held.count((kill.release, kill.stamp)) >= 1
    assert len(held) <= len(alive(kills)) + 1


@given(a=st.none() | LEASES, b=st.none() | LEASES, c=st.none() | LEASES)
def test_merging_leases_ends_the_same_in_any_order(
    a: Lease | None, b: Lease | None, c: Lease | None
) -> None:
    def shown(lease: Lease | None) -> object:
        # One renewal is of one release and holder: what differs is when it was first heard of.
        return None if lease is None else (lease.renewal, lease.expires)

    assert shown(merge_lease(a, b)) == shown(merge_lease(b, a))
    left, right = merge_lease(merge_lease(a, b), c), merge_lease(a, merge_lease(b, c))
    assert shown(left) == shown(right)
    assert merge_lease(a, a) == a


@given(lease=LEASES, later=st.floats(0, 600, allow_nan=False))
def test_a_renewal_that_is_told_again_never_extends_a_lease(lease: Lease, later: float) -> None:
    assert merge_lease(lease, replace(lease, expires=lease.expires + later)) == lease


@given(a=ORDERS, b=ORDERS, c=ORDERS)
def test_the_last_order_to_promote_stands(
    a: Promotion | None, b: Promotion | None, c: Promotion | None
) -> None:
    assert merge_promotion(a, b) == merge_promotion(b, a)
    assert merge_promotion(merge_promotion(a, b), c) == merge_promotion(a, merge_promotion(b, c))
