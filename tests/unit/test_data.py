"""What the checks on the database mean for a release: only what is new is a reason to go back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.config import Service
from slipway.config.guarding import Data
from slipway.errors import Held, Inconsistent, Refused, SlipwayError
from slipway.ports import MOST, Check, Checked, Finding
from slipway.release import staging
from slipway.release.data import DataChecks
from slipway.release.guarding import guards_of
from slipway.release.guards import Guards
from slipway.release.outcome import Result
from tests.unit.builds import STAGING
from tests.unit.test_guards import Slow
from tests.unit.world import World

Told = int | str
"""Rows, or why it could not be run. One that begins with ``away`` is of the whole database."""


class MemoryDatabase:
    """Says what it is told to, by the check's name."""

    def __init__(self, **found: Told) -> None:
        self.found: dict[str, Told] = dict(found)
        self.asked: list[str] = []

    def check(self, check: Check) -> Checked:
        self.asked.append(check.name)
        told = self.found.get(check.name, 0)
        if isinstance(told, str):
            away = told.startswith("away")
            return Checked(check=check, finding=Finding.ERROR, why=told, unreachable=away)
        if told == 0:
            return Checked(check=check, finding=Finding.PASS)
        return Checked(check=check, finding=Finding.FAIL, rows=told, keys=("7", "8"))

    def cautions(self) -> Sequence[str]:
        return ("the role may write",)


SETTINGS = Service(data=Data())


class Release:
    """One release with these checks."""

    def __init__(self, database: MemoryDatabase, *checks: Check, observe: bool = False) -> None:
        self.ports = replace(World().ports(), database=database, checks=checks, observe=observe)
        self.data = DataChecks(self.ports, SETTINGS)

    @property
    def said(self) -> str:
        return "\n".join(entry.text for entry in self.ports.journal.entries)

    def look(self) -> tuple[list[SlipwayError], str | None]:
        """Look once through the guards of a release, as the main path does."""
        found: list[SlipwayError] = []
        guards = guards_of(self.ports, SETTINGS, [], None, data=self.data)
        guards.begin()
        guards.look(found.append)
        return found, guards.hold


def check(
    name: str,
    phase: Literal["always", "post-release"] = "always",
    severity: Literal["critical", "warn"] = "critical",
) -> Check:
    return Check(name=name, sql="SELECT 1", phase=phase, severity=severity)


def test_what_failed_before_is_told_and_is_no_reason_later() -> None:
    release = Release(MemoryDatabase(orders=3), check("orders"), check("lines"))
    release.data.before()
    release.data.require()
    assert release.look() == ([], None)
    assert "before the release: orders has 3 rows (7, 8); only more of it is new" in release.said
    assert "1 of 2 checks pass before the release" in release.said


def test_more_rows_than_before_are_new() -> None:
    database = MemoryDatabase(orders=3)
    release = Release(database, check("orders"))
    release.data.before()
    database.found["orders"] = 4
    with pytest.raises(Inconsistent, match=r"orders has 4 rows \(7, 8\)") as raised:
        release.data.require()
    assert raised.value.checks == ("orders",)


def test_more_than_can_be_counted_is_told_to_count_no_more() -> None:
    release = Release(MemoryDatabase(orders=MOST), check("orders"))
    release.data.before()
    assert "10000 rows or more" in release.said
    assert "whether it becomes more cannot be seen" in release.said


def test_a_new_failure_is_the_candidates_for_its_guard() -> None:
    database = MemoryDatabase()
    release = Release(database, check("orders"), check("lines"))
    release.data.before()
    database.found |= {"orders": 1, "lines": "too slow"}
    (error,), _ = release.look()
    assert isinstance(error, Inconsistent)
    assert "orders has 1 row (7, 8)" in error.found


def test_what_cannot_be_run_refuses_before_holds_during_and_holds_at_the_end() -> None:
    database = MemoryDatabase(orders="too slow")
    release = Release(database, check("orders"))
    with pytest.raises(Refused, match="orders: too slow"):
        release.data.before()
    assert release.look() == ([], "data: orders: too slow")
    with pytest.raises(Held, match="orders: too slow"):
        release.data.require()


def test_a_database_that_cannot_be_reached_is_said_once_and_not_asked_for_each_check() -> None:
    database = MemoryDatabase(a="away: nobody listens")
    release = Release(database, check("a"), check("b"), check("c"))
    with pytest.raises(Refused) as raised:
        release.data.before()
    assert raised.value.found.count("nobody listens") == 1
    assert "a, b, c" in raised.value.found
    assert database.asked == ["a"]


def test_a_check_of_what_the_release_brings_is_not_run_before_it_nor_after_it_was_reverted() -> (
    None
):
    database = MemoryDatabase(new="no such table")
    release = Release(database, check("new", phase="post-release"), check("old"))
    release.data.before()
    assert database.asked == ["old"]
    database.found["new"] = 2
    assert [one.check.name for one in release.data.now().failing] == ["new"]
    database.found["new"] = "no such table"
    assert not release.data.now(reverted=True).unknown


@pytest.mark.parametrize("found", [4, "too slow"])
def test_what_only_warns_is_told_once_and_stops_nothing(found: Told) -> None:
    release = Release(MemoryDatabase(odd=found), check("odd", severity="warn"))
    release.data.before()
    release.data.require()
    assert release.look() == ([], None)
    assert release.said.count("only a warning: odd") == 1


def test_what_the_role_may_do_beside_reading_is_told() -> None:
    release = Release(MemoryDatabase(), check("orders"))
    release.data.before()
    assert "the role may write" in release.said


def test_a_release_that_is_only_observed_is_never_ended() -> None:
    database = MemoryDatabase(orders="too slow")
    release = Release(database, check("orders"), observe=True)
    release.data.before()
    database.found["orders"] = 2
    release.data.require()
    (would,) = release.ports.journal.would_have
    assert "orders: too slow" in would.text


def test_a_lease_is_kept_alive_while_checks_take_their_time() -> None:
    slow = Slow()
    release = Release(MemoryDatabase(orders=1), check("orders"))
    data = DataChecks(replace(release.ports, start=slow), SETTINGS)
    pulses: list[float] = []

    def pulse() -> None:
        pulses.append(release.ports.clock.monotonic())
        if len(pulses) == 3:
            slow.end()

    with pytest.raises(Inconsistent):
        data.require(pulse)
    assert len(pulses) == 3


@pytest.mark.parametrize("settings", [Service(), SETTINGS])
def test_without_a_database_nothing_is_done(settings: Service) -> None:
    data = DataChecks(World().ports(), settings)
    data.before()
    data.require()
    assert data.now().all == ()
    assert guards_of(World().ports(), settings, [], None, data=data).hold is None
    assert not data.asked


@pytest.mark.parametrize(
    ("later", "result"),
    [(0, Result.DEPLOYED), (2, Result.FAILED), ("too slow", Result.ABORTED)],
)
def test_staging_whose_data_got_worse_is_no_staging_that_passed(
    later: Told, result: Result
) -> None:
    class Turning(MemoryDatabase):
        def check(self, check: Check) -> Checked:
            found = super().check(check)
            self.found["orders"] = later
            return found

    world = World()
    plan = staging.Plan(
        release="1.1", settings=SETTINGS, staging=STAGING, artifact=world.build("v2")
    )
    ports = replace(world.ports(), database=Turning(), checks=(check("orders"),))
    assert staging.run(plan, ports).result is result


NAMES = ("a", "b", "c")
Base = st.dictionaries(st.sampled_from(NAMES), st.integers(0, 3))
Later = st.dictionaries(
    st.sampled_from(NAMES), st.one_of(st.integers(0, 3), st.sampled_from(["slow", "away"]))
)
Severities = st.lists(st.sampled_from(("critical", "warn")), min_size=3, max_size=3)


@given(before=Base, later=Later, severities=Severities)
def test_an_error_is_never_a_pass_and_never_the_candidates_fault(
    before: Mapping[str, int],
    later: Mapping[str, Told],
    severities: list[Literal["critical", "warn"]],
) -> None:
    database = MemoryDatabase(**before)
    checks = [check(n, severity=s) for n, s in zip(NAMES, severities, strict=True)]
    release = Release(database, *checks)
    release.data.before()
    database.found = dict(later)
    critical = [c.name for c in checks if c.severity == "critical"]
    first_away = next((i for i, n in enumerate(NAMES) if later.get(n) == "away"), len(NAMES))
    seen = {n: "away" if i > first_away else later.get(n, 0) for i, n in enumerate(NAMES)}
    grown = {n for n in critical if isinstance(v := seen[n], int) and v > before.get(n, 0)}
    unknown = {n for n in critical if isinstance(seen[n], str)}

    ended: SlipwayError | None = None
    try:
        release.data.require()
    except SlipwayError as error:
        ended = error
    trips, hold = release.look()

    if grown:
        assert isinstance(ended, Inconsistent)
        assert set(ended.checks) == grown
        assert [type(trip) for trip in trips] == [Inconsistent]
    elif unknown:
        assert isinstance(ended, Held)
        assert not trips
        assert hold
    else:
        assert (ended, trips, hold) == (None, [], None)


def test_a_guard_that_raises_in_its_thread_ends_the_release_and_blames_nobody() -> None:
    class Broken(MemoryDatabase):
        def check(self, check: Check) -> Checked:
            raise RuntimeError("a bug")

    release = Release(Broken(), check("orders"))
    guards = guards_of(release.ports, SETTINGS, [], None, data=release.data)
    assert isinstance(guards, Guards)
    with suppress(RuntimeError):
        guards.look(lambda error: pytest.fail(str(error)))
        pytest.fail("it was taken for good")
