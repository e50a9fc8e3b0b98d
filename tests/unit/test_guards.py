"""Guards look beside the main path, and what they have not seen is never good."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from slipway.background import at_once
from slipway.errors import Inconsistent, SlipwayError, Tripped
from slipway.release.guards import LATE, Beside, Guard, Guards, Look
from tests.unit.world import VirtualClock


class Told:
    """A guard that says what it is told to."""

    def __init__(self, *looks: Look | Exception) -> None:
        self.looks = list(looks)
        self.asked = 0

    def look(self) -> Look:
        self.asked += 1
        found = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(found, Exception):
            raise found
        return found


class Slow:
    """Starts what ends only when it is told to."""

    def __init__(self) -> None:
        self.pending: list[Callable[[], None]] = []

    def __call__(self, function: Callable[[], None]) -> Slow:
        self.pending.append(function)
        return self

    def end(self) -> None:
        self.pending.pop(0)()

    def done(self) -> bool:
        return not self.pending

    def wait(self, seconds: float) -> None:
        del seconds


def tripped(*guards: Guard) -> tuple[list[SlipwayError], Guards]:
    found: list[SlipwayError] = []
    all_ = Guards(guards)
    all_.look(found.append)
    return found, all_


def test_what_is_bad_is_told_and_what_is_not_known_holds() -> None:
    bad, unknown = Told(Look(trip=Tripped("bad"))), Told(Look(hold="not known"))
    found, guards = tripped(unknown, bad)
    assert [str(one) for one in found] == ["bad"]
    assert guards.hold == "not known"
    assert tripped(Told(Look()))[1].hold is None


def test_a_guard_looks_again_only_when_it_is_time_to() -> None:
    clock, guard = VirtualClock(), Told(Look())
    beside = Beside("data", guard, every=30, clock=clock, start=at_once)
    for _ in range(30):
        beside.look()
        clock.sleep(2)
    assert guard.asked == 2


def test_a_step_is_not_good_before_each_guard_has_looked_in_it() -> None:
    clock, slow, guard = VirtualClock(), Slow(), Told(Look())
    beside = Beside("data", guard, every=30, clock=clock, start=slow)
    assert beside.look().hold == "data: not looked at yet"
    slow.end()
    assert beside.look() == Look()
    clock.sleep(1)
    beside.begin()
    assert beside.look().hold == "data: not looked at yet"
    slow.end()
    assert beside.look() == Look()


def test_a_look_that_was_begun_before_a_step_says_nothing_of_it() -> None:
    clock, slow = VirtualClock(), Slow()
    beside = Beside("data", Told(Look()), every=30, clock=clock, start=slow)
    beside.look()
    clock.sleep(1)
    beside.begin()
    slow.end()
    assert beside.look().hold == "data: not looked at yet"
    slow.end()
    assert beside.look().hold is None


def test_a_look_that_hangs_holds_and_one_that_was_bad_stays_bad_meanwhile() -> None:
    clock, slow = VirtualClock(), Slow()
    beside = Beside("data", Told(Look()), every=30, clock=clock, start=slow)
    beside.look()
    clock.sleep(LATE)
    assert beside.look().hold == f"data: no answer for {LATE:.0f} s"

    bad = Beside("data", Told(Look(trip=Tripped("bad"))), every=30, clock=clock, start=at_once)
    assert bad.look().trip
    bad.begin()
    assert bad.look().trip


def test_what_a_guard_raises_beside_the_main_path_is_raised_on_it() -> None:
    clock, slow = VirtualClock(), Slow()
    beside = Beside("data", Told(ValueError("a bug")), every=30, clock=clock, start=slow)
    beside.look()
    slow.end()
    with pytest.raises(ValueError, match="a bug"):
        beside.look()


def test_inconsistent_data_come_first_where_several_things_are_bad() -> None:
    sick, data = Told(Look(trip=Tripped("sick"))), Told(Look(trip=Inconsistent("rows", ("c",))))
    found, _ = tripped(sick, data)
    assert [str(one) for one in found] == ["rows", "sick"]


def test_a_guard_that_has_found_something_bad_does_not_look_into_the_way_back() -> None:
    clock, start, guard = VirtualClock(), Slow(), Told(Look(trip=Tripped("bad")))
    beside = Beside("data", guard, every=10.0, clock=clock, start=start)
    beside.look()
    clock.t += 30  # longer than until the next look is due
    start.end()
    assert beside.look().trip is not None
    assert start.done(), "it was begun again"
