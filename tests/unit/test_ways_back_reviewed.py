"""Ways back in which several things go wrong at once: what is done, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from slipway.errors import OutsideError, Refused
from slipway.ports import Checked
from slipway.release import direct, rolling
from slipway.release.outcome import Outcome, Result
from tests.unit.builds import CANARY, OTHER, STABLE, image
from tests.unit.dying import dies, lapse, put_in_order
from tests.unit.test_canary import SHORT, release_through
from tests.unit.test_undoing import once_new_code_runs, placed, release, roll
from tests.unit.world import World, settings
from tests.unit.world_data import DATA, VERSION, MemoryData, broken
from tests.unit.world_ports import MemoryEdge


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


def test_a_job_that_is_cancelled_as_the_last_migration_is_applied_says_which_stay() -> None:
    data = placed()
    data.world.seconds_of["data.apply"] = 100.0

    def cancel(call: str) -> None:
        if call == "data.apply":
            data.world.clock.cancel_at = data.world.clock.t - 1

    data.world.before = cancel
    world, artifact = data.world, data.world.build("v2")
    outcome = release_through(
        replace(data.ports(), start=world.start), world, artifact, **SHORT, **DATA
    )
    assert outcome.result is Result.ABORTED
    assert f"the migration {VERSION} stays applied" in outcome.reason, outcome.reason


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


# What a fix, a re-run or a person meets after that


def test_a_revert_that_takes_the_file_of_an_applied_migration_away_says_how_it_comes_back() -> None:
    data = placed()
    assert release(data, error_rate=0.5).result is Result.ROLLED_BACK
    data.migrations.clear()  # what `git revert` does
    with pytest.raises(Refused, match=VERSION) as refused:
        release(data)
    assert "git checkout COMMIT" in refused.value.remedy
    assert "another branch" not in refused.value.remedy
    data.records.clear()
    with pytest.raises(Refused) as refused:
        release(data)
    assert "another branch" in refused.value.remedy


def directly(data: MemoryData) -> Outcome:
    world, ports = data.world, data.ports()
    plan = direct.Plan(
        release="88.1-direct",
        settings=settings(**DATA),
        stable=STABLE,
        reason="sellers wait",
        actor="ana",
        holder=OTHER,
        artifact=world.build("v2"),
    )
    return direct.run(plan, ports, world.stop(ports))


def test_a_direct_deploy_whose_migration_spoils_data_has_it_reverted_and_deploys_nothing() -> None:
    data = placed()
    data.rows_of = lambda check: 3 if VERSION in data.versions else 0
    outcome = directly(data)
    assert outcome.result is Result.ROLLED_BACK, outcome.reason
    assert "orphans has 3 rows" in outcome.reason
    assert data.versions == ["20260101000000"]
    assert f"render.start {STABLE}" not in data.world.calls


def test_a_direct_deploy_that_does_not_start_says_that_its_migration_stays() -> None:
    data = placed()
    data.world.build("v2")
    data.world.builds["v2"].status = "update_failed"
    data.world.build = lambda name, **_: image(name)  # type: ignore[method-assign]
    outcome = directly(data)
    assert outcome.result is Result.ROLLED_BACK
    assert f"the migration {VERSION} stays applied" in outcome.reason


def test_a_database_that_is_lost_while_it_is_migrated_is_blamed_on_no_build() -> None:
    data = placed()

    def lost() -> list[str]:
        if "data.apply" in data.world.calls:
            raise OutsideError("the connection to the database was lost", remedy="Wait.")
        return list(data.versions)

    data.applied = lost  # type: ignore[method-assign]
    outcome = release(data)
    assert outcome.result is Result.ABORTED
    assert "is not known" in outcome.reason
    assert not any(call.startswith("render.start") for call in data.world.calls)


def test_a_build_that_was_gone_back_from_when_its_run_died_is_not_said_to_be_good() -> None:
    world = dies(f"render.start {STABLE}", after=True)
    world.stop(world.ports()).to_zero("it is bad", release=None)
    lapse(world)
    outcome = put_in_order(world)
    assert outcome.result is Result.ABORTED
    assert outcome.remedy
    assert "see in the log of that run why" in outcome.remedy


def test_who_promotes_what_a_guard_could_not_judge_is_named_with_what_was_not_known() -> None:
    data = placed()

    def lose(call: str) -> None:
        if data.world.effective_share() > 0 and not data.unreachable:
            data.unreachable = True
            MemoryEdge(data.world).promote("77.1-v2", "ana", "the show begins")

    data.world.before = lose
    outcome = release(data)
    assert outcome.result is Result.PROMOTED
    assert "ana promoted it, although data: " in outcome.reason, outcome.reason


def test_a_rolling_part_of_a_release_looks_at_its_database_before_any_part_is_touched() -> None:
    data = placed()
    data.versions.append("20269999000000")
    plan = rolling.Plan(
        release="77.1-v2",
        settings=settings(**DATA),
        stable=STABLE,
        artifact=data.world.build("v2"),
    )
    with pytest.raises(Refused, match="not in this checkout"):
        rolling.look(plan, data.ports())


@pytest.mark.parametrize("again", [release, roll], ids=["canary", "rolling"])
def test_what_its_own_migration_spoilt_before_a_job_died_is_no_excuse_for_the_next_attempt(
    again: Callable[[MemoryData], Outcome],
) -> None:
    data = placed()
    data.intend(data.migrations, data.world.build("v2").identity)
    data.versions.append(VERSION)  # applied, and then the job was cancelled
    data.rows_of = lambda check: 3 if VERSION in data.versions else 0
    outcome = again(data)
    assert outcome.result is Result.ROLLED_BACK, outcome.reason
    assert data.versions == ["20260101000000"]
    assert not any(call.startswith("render.start") for call in data.world.calls)
