"""Properties of the one function that decides the share."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway_edge.cohort import NOBODY
from slipway_edge.flag import PHASES, Absent, Condition, Definition, Flag, Record, Refused, Stamp
from slipway_edge.state import (
    ANY_RELEASE,
    SERVING_PHASES,
    Holder,
    Latch,
    Lease,
    LeaseHeld,
    Renewal,
    decide,
    grant,
    update_latch,
)

RELEASES = st.sampled_from(["r1", "r2", "r3"])
PERCENTS = st.floats(0, 100, allow_nan=False)
STAMPS = st.builds(Stamp, flag_id=st.just(7), version=st.integers(1, 9))
SELLERS = st.frozensets(st.sampled_from(["a", "b", "c"]), max_size=3)
FLAGS = st.builds(
    Flag,
    stamp=STAMPS,
    active=st.booleans(),
    conditions=st.lists(
        st.builds(Condition, percent=PERCENTS, only=st.none() | SELLERS, excluded=SELLERS),
        max_size=3,
    ).map(tuple),
    record=st.none()
    | st.builds(Record, release=RELEASES, phase=st.sampled_from(sorted(PHASES)), share=PERCENTS),
)
DEFINITIONS = (
    st.none()
    | FLAGS
    | st.builds(Refused, reason=st.just("odd"), stamp=STAMPS)
    | st.builds(Absent, stamp=st.none() | STAMPS)
)
HOLDERS = st.builds(Holder, run_id=st.sampled_from(["1", "2"]), attempt=st.integers(1, 2))
TIMES = st.floats(0, 100, allow_nan=False)
RENEWALS = st.builds(Renewal, st.integers(0, 3), st.integers(0, 5), st.sampled_from(["a", "b"]))
LEASES = st.builds(Lease, release=RELEASES, holder=HOLDERS, expires=TIMES, renewal=RENEWALS)
LATCHES = st.builds(
    Latch,
    release=RELEASES | st.just(ANY_RELEASE),
    reason=st.just("gateway down"),
    stamp=st.none() | STAMPS,
)


@given(definition=DEFINITIONS, lease=st.none() | LEASES, latch=st.none() | LATCHES, now=TIMES)
def test_a_share_is_only_given_when_all_that_it_needs_is_there(
    definition: Definition | None, lease: Lease | None, latch: Latch | None, now: float
) -> None:
    decision = decide(definition=definition, lease=lease, latch=latch, now=now)
    assert decision.why.endswith(".")
    assert (decision.share == 0) == (decision.assignment == NOBODY)
    if decision.share > 0:
        assert latch is None
        assert isinstance(definition, Flag)
        assert definition.active
        assert definition.record is not None
        assert definition.record.phase in SERVING_PHASES
        assert lease is not None
        assert now < lease.expires
        assert lease.release == definition.record.release
        assert decision.share == min(definition.share, definition.record.share)


@given(flag=FLAGS, phase=st.sampled_from(sorted(SERVING_PHASES)), share=PERCENTS, now=TIMES)
def test_the_smaller_of_flag_and_record_is_in_force_while_the_lease_lives(
    flag: Flag, phase: str, share: float, now: float
) -> None:
    record = Record(release="r1", phase=phase, share=share)
    flag = replace(flag, active=True, record=record)
    lease = Lease(release="r1", holder=Holder(run_id="1", attempt=1), expires=now + 1)
    assert decide(definition=flag, lease=lease, latch=None, now=now).share == min(flag.share, share)
    lapsed = replace(lease, expires=now)
    assert decide(definition=flag, lease=lapsed, latch=None, now=now).assignment == NOBODY


@given(latch=LATCHES, flag=FLAGS)
def test_a_kill_ends_only_with_a_later_record_of_another_release(latch: Latch, flag: Flag) -> None:
    after = update_latch(latch, flag)
    if after.over:
        assert flag.record is not None
        assert flag.record.release != latch.release
        assert latch.stamp is not None
        assert flag.stamp.version > latch.stamp.version
        assert update_latch(after, flag) == after
    else:
        assert after.stamp is not None or flag.record is None


@given(first=FLAGS, second=FLAGS)
def test_a_kill_before_any_flag_was_seen_holds_the_first_release_that_appears(
    first: Flag, second: Flag
) -> None:
    first = replace(first, record=Record(release="r1", phase="canary", share=5))
    second = replace(second, record=Record(release="r1", phase="baking", share=95))
    latch = update_latch(Latch(release=ANY_RELEASE, reason="", stamp=None), first)
    assert latch == Latch(release="r1", reason="", stamp=first.stamp)
    assert update_latch(latch, second) == latch


@given(current=st.none() | LEASES, wanted=LEASES, now=TIMES)
def test_a_lease_that_lives_is_taken_from_nobody_but_an_earlier_attempt_of_the_same_run(
    current: Lease | None, wanted: Lease, now: float
) -> None:
    held = current is not None and now < current.expires and current.holder != wanted.holder
    if current is not None and current.holder.run_id == wanted.holder.run_id:
        held = held and wanted.holder.attempt < current.holder.attempt
    if held:
        with pytest.raises(LeaseHeld):
            grant(current, wanted, now)
        return
    granted = grant(current, wanted, now)
    assert granted == replace(wanted, renewal=granted.renewal)
    if current is not None:
        # Whoever hears of both takes this one for the later.
        assert granted.renewal > current.renewal


def test_a_re_run_takes_over_from_its_dead_first_attempt_and_the_first_cannot_come_back() -> None:
    first = Lease(release="r1", holder=Holder(run_id="7", attempt=1), expires=180)
    second = Lease(release="r1", holder=Holder(run_id="7", attempt=2), expires=200)
    held = grant(grant(None, first, 0), second, 20)
    assert held.holder.attempt == 2
    with pytest.raises(LeaseHeld, match="attempt 2"):
        grant(held, replace(first, expires=210), 30)
