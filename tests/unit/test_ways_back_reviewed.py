"""Ways back in which several things go wrong at once: what is done, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from slipway.errors import OutsideError
from slipway.ports import Checked
from slipway.release.outcome import Result
from tests.unit.builds import CANARY, STABLE
from tests.unit.test_canary import SHORT, release_through
from tests.unit.test_undoing import once_new_code_runs, placed, release, roll
from tests.unit.world import World
from tests.unit.world_data import DATA, VERSION, MemoryData, broken


class Later:
    """A call to PostHog or the edge that is answered only while somebody waits for it."""

    def __init__(self, function: Callable[[], None]) -> None:
        self.function: Callable[[], None] | None = function

    def done(self) -> bool:
        return self.function is None

    def wait(self, seconds: float) -> None:
        if self.function and seconds >= 1:
            function, self.function = self.function, None
            function()


def slowly(world: World, which: int) -> None:
    """Let the edge (0) or PostHog (1) confirm share 0 after the other has."""
    at_once, started = world.start, list[int]()

    def start(function: Callable[[], None]) -> Any:
        if "Stop.to_zero" not in function.__qualname__:
            return at_once(function)
        started.append(1)
        return Later(function) if len(started) - 1 == which else at_once(function)

    world.start = start  # type: ignore[method-assign]


@pytest.mark.parametrize("which", [0, 1], ids=["the edge", "PostHog"])
def test_the_slower_of_edge_and_posthog_is_not_told_as_unconfirmed(which: int) -> None:
    world = World()
    slowly(world, which)
    artifact = world.build("v2", error_rate_under_load=0.5)
    outcome = release_through(world.ports(), world, artifact, **SHORT)
    assert outcome.result is Result.ROLLED_BACK
    assert "not confirmed" not in outcome.reason
    assert outcome.share == 0
    assert outcome.seconds_to_zero is not None
    assert outcome.seconds_to_old_code is not None
    assert world.services[CANARY].instances == 1, "it was as large as the stable one"
    assert "Reconcile" not in outcome.reason


def test_a_bug_while_data_are_undone_still_ends_the_release_with_a_word_to_a_person() -> None:
    data = placed()
    rows = once_new_code_runs(data)
    gone_back = False

    def check(check: Any) -> Checked:
        nonlocal gone_back
        gone_back = gone_back or any(call.startswith("edge.kill") for call in data.world.calls)
        if gone_back:
            raise ZeroDivisionError("postgresql://bot:secret@db.example/shop")
        return MemoryData.check(data, check)

    data.rows_of = rows
    data.check = check  # type: ignore[method-assign]
    outcome = release(data)
    assert outcome.result is Result.FROZEN
    assert outcome.bad
    assert "ZeroDivisionError" in outcome.reason
    assert "secret" not in outcome.reason
    assert data.world.running(STABLE) == data.world.running(CANARY) == "v1"
    assert data.world.lease is None


def test_maintenance_mode_explains_no_rows() -> None:
    data = placed()
    rows = once_new_code_runs(data)

    def spoilt(check: str) -> int:
        found = rows(check)
        data.world.services[CANARY].maintenance = found > 0
        return found

    data.rows_of = spoilt
    outcome = release(data)
    assert outcome.result is Result.ROLLED_BACK, outcome.reason
    assert VERSION not in data.versions


def test_a_job_that_is_cancelled_while_migrations_are_applied_says_that_nobody_read_which() -> None:
    data = placed()
    data.world.seconds_of["data.apply"] = 100.0

    def cancel(call: str) -> None:
        if call == "data.apply":  # the clock shows when it has ended
            data.world.clock.cancel_at = data.world.clock.t - 95

    data.world.before = cancel
    world, artifact = data.world, data.world.build("v2")
    ports = replace(data.ports(), start=world.start)
    outcome = release_through(ports, world, artifact, **SHORT, **DATA)
    assert outcome.result is Result.ABORTED
    assert "was not read" in outcome.reason, outcome.reason
    assert "render.start srv-canary" not in data.world.calls


def test_a_bad_build_whose_way_back_is_stuck_is_known_to_be_bad() -> None:
    world = World()
    artifact = world.build("v2")

    def lost(call: str) -> None:
        if call == f"render.start {STABLE}":
            world.builds["v2"].error_rate = 0.5
        if call.startswith("render") and STABLE in call and "edge.kill" in world.calls:
            raise broken()

    world.before = lost
    outcome = release_through(world.ports(), world, artifact, **SHORT)
    assert outcome.result is Result.FROZEN, outcome.reason
    assert outcome.bad


def test_a_bad_build_that_a_rolling_release_could_not_take_back_is_known_to_be_bad() -> None:
    data = placed()
    data.rows_of = once_new_code_runs(data, STABLE)
    ports_down: list[str] = []

    def lost(call: str) -> None:
        if call.startswith("render.start") and ports_down:
            raise OutsideError("Render: 503", remedy="Wait.")
        if call.startswith("render.start"):
            ports_down.append(call)

    data.world.before = lost
    outcome = roll(data)
    assert outcome.result is Result.FROZEN
    assert outcome.bad
    assert VERSION in data.versions
