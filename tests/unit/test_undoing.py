"""A migration is reverted where data were found inconsistent, after the new code, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from slipway.ports import Check
from slipway.release import canary, rolling
from slipway.release.outcome import Outcome, Result
from slipway.release.preflight import Plan
from tests.unit.builds import CANARY, STABLE
from tests.unit.world import World, settings
from tests.unit.world_data import DATA, NAMED, VERSION, MemoryData, broken, migration


def placed(**changes: object) -> MemoryData:
    return MemoryData(World(), migration(**changes))


def release(data: MemoryData, *checks: Check, observe: bool = False, **changes: Any) -> Outcome:
    world = data.world
    artifact = world.build("v2", **changes)
    ports = replace(data.ports(*checks), observe=observe)
    plan = Plan(
        release="77.1-v2",
        settings=settings(**DATA),
        stable=STABLE,
        canary=CANARY,
        artifact=artifact,
    )
    return canary.run(plan, ports, world.traffic(ports, plan.release, artifact.identity))


def roll(data: MemoryData, *checks: Check) -> Outcome:
    world = data.world
    artifact = world.build("v2")
    plan = rolling.Plan(
        release="77.1-v2", settings=settings(**DATA), stable=STABLE, artifact=artifact
    )
    return rolling.run(plan, data.ports(*checks))


def once_new_code_runs(data: MemoryData, service: str = CANARY) -> Callable[[str], int]:
    """Rows are there from when the new code has run, and until its migration is gone."""
    written = False

    def rows(check: str) -> int:
        nonlocal written
        written = written or data.world.running(service) == "v2"
        return 12 if written and VERSION in data.versions else 0

    return rows


def order(world: World, *beginnings: str) -> list[str]:
    """Return which of these calls came, in order, each time they began anew."""
    found = [b for call in world.calls for b in beginnings if call.startswith(b)]
    return [one for n, one in enumerate(found) if n == 0 or found[n - 1] != one]


def test_what_is_pending_is_applied_once_before_any_new_code_runs() -> None:
    data = placed()
    assert release(data).result is Result.PROMOTED
    assert data.versions[-1] == VERSION
    assert order(data.world, "data.apply", "render.start") == ["data.apply", "render.start"]
    assert [r.release for r in data.records] == [data.world.build("v2").identity]


@pytest.mark.parametrize("service", [CANARY, STABLE], ids=["in the canary", "while it settles"])
def test_inconsistent_data_take_the_code_back_first_and_then_the_migration(service: str) -> None:
    data = placed()
    data.world.rollout = "all-at-once"  # old instances are kept for a while
    data.rows_of = once_new_code_runs(data, service)
    outcome = release(data)
    assert outcome.result is Result.ROLLED_BACK, outcome.reason
    assert "orphans has 12 rows" in outcome.reason
    assert VERSION in outcome.reason
    assert "the checks pass as before" in outcome.reason
    assert outcome.remedy is not None
    assert "query of the check" not in outcome.remedy, "its table may be gone"
    assert data.versions == ["20260101000000"]
    assert data.code_at_revert == ["v1"], "new code was still there"
    assert data.world.running(STABLE) == data.world.running(CANARY) == "v1"
    ends = order(data.world, "edge.kill", "data.revert")
    assert ends[-2:] == ["edge.kill", "data.revert"]


def test_data_that_cannot_be_looked_at_in_the_end_are_named_and_stop_nothing() -> None:
    data = placed()

    def lose(call: str) -> None:
        data.unreachable = data.unreachable or data.world.running(STABLE) == "v2"

    data.world.before = lose
    outcome = release(data)
    assert outcome.result is Result.PROMOTED, outcome.reason
    assert "at the end data: orphans: no connection" in outcome.reason


def test_data_that_the_migration_itself_makes_inconsistent_never_meet_new_code() -> None:
    data = placed()
    data.rows_of = lambda check: 3 if VERSION in data.versions else 0
    outcome = release(data)
    assert outcome.result is Result.ROLLED_BACK, outcome.reason
    assert data.versions == ["20260101000000"]
    assert not order(data.world, "render.start")


@pytest.mark.parametrize(
    ("why", "changes"),
    [
        ("nothing that reverts it", {"down": None}),
        ("irreversible", {"irreversible": True}),
        ("is not run in a transaction", {"transactional": False}),
    ],
)
def test_what_must_not_be_reverted_is_left_to_a_person_with_old_code_everywhere(
    why: str, changes: dict[str, object]
) -> None:
    data = placed(**changes)
    data.rows_of = once_new_code_runs(data)
    outcome = release(data)
    assert outcome.result is Result.FROZEN
    assert outcome.data_left
    assert outcome.bad, "neither it nor what descends from it may be released"
    assert why in outcome.reason
    assert outcome.remedy
    assert data.versions[-1] == VERSION
    assert data.world.running(STABLE) == data.world.running(CANARY) == "v1"
    assert outcome.share == 0


def test_a_build_that_is_bad_for_another_reason_leaves_its_migration_where_it_is() -> None:
    data = placed()
    outcome = release(data, error_rate=0.5)
    assert outcome.result is Result.ROLLED_BACK
    assert f"the migration {VERSION} stays applied" in outcome.reason
    assert data.versions[-1] == VERSION


def test_rows_that_come_to_light_after_another_reason_revert_nothing() -> None:
    data = placed()
    data.rows_of = lambda check: 12 if "edge.kill" in " ".join(data.world.calls) else 0
    outcome = release(data, error_rate=0.5)
    assert outcome.result is Result.ROLLED_BACK
    assert "5xx" in outcome.reason
    assert data.versions[-1] == VERSION


def test_checks_that_cannot_be_run_hold_and_revert_nothing() -> None:
    data = placed()

    def lose(call: str) -> None:
        data.unreachable = data.unreachable or data.world.effective_share() > 0

    data.world.before = lose
    outcome = release(data)
    assert outcome.result is Result.HELD, outcome.reason
    assert "no connection" in outcome.reason
    assert data.versions[-1] == VERSION
    assert data.world.running(STABLE) == "v1"


def test_data_that_are_consistent_again_without_the_new_code_keep_the_migration() -> None:
    data = placed()
    data.rows_of = lambda check: 12 if data.world.running(CANARY) == "v2" else 0
    outcome = release(data)
    assert outcome.result is Result.ROLLED_BACK
    assert "nothing is inconsistent since the new code is gone" in outcome.reason
    assert data.versions[-1] == VERSION


def test_code_that_cannot_be_seen_to_be_gone_keeps_its_migration() -> None:
    data = placed()
    data.rows_of = once_new_code_runs(data)
    data.world.before = _fail_once_reverting(data, "render.instances")
    outcome = release(data)
    assert outcome.result is Result.FROZEN
    assert "may still run the new code" in outcome.reason
    assert data.versions[-1] == VERSION


def test_an_edge_that_has_not_confirmed_keeps_the_migration_too() -> None:
    data = placed()
    data.rows_of = once_new_code_runs(data)
    data.world.before = _fail_once_reverting(data, "edge.kill")
    outcome = release(data)
    assert outcome.result is Result.FROZEN
    assert "what share the new code has at the edge is not known" in outcome.reason
    assert data.versions[-1] == VERSION


def _fail_once_reverting(data: MemoryData, beginning: str) -> Callable[[str], None]:
    """Let calls fail that begin so, from when the data are inconsistent on."""

    def hook(call: str) -> None:
        if call.startswith(beginning) and data.rows_of("orphans"):
            raise broken()

    return hook


def test_a_check_that_fails_still_when_the_migration_is_reverted_needs_a_person() -> None:
    data = placed()
    seen = once_new_code_runs(data)
    hurt = False

    def rows(check: str) -> int:
        nonlocal hurt
        hurt = hurt or seen(check) > 0
        return 12 if hurt else 0

    data.rows_of = rows
    outcome = release(data)
    assert outcome.result is Result.FROZEN
    assert "still data are inconsistent: orphans has 12 rows" in outcome.reason
    assert data.versions == ["20260101000000"]


def test_a_migration_that_fails_ends_the_release_before_anything_is_deployed() -> None:
    data = placed()
    data.fails = broken()
    outcome = release(data)
    assert outcome.result is Result.ROLLED_BACK
    assert "syntax error" in outcome.reason
    assert not order(data.world, "render.start")
    assert data.world.running(STABLE) == "v1"


def test_without_a_migration_of_this_release_the_rows_are_left_to_a_person() -> None:
    data = MemoryData(World())
    hurt = False

    def rows(check: str) -> int:
        nonlocal hurt
        hurt = hurt or data.world.running(CANARY) == "v2"
        return 12 if hurt else 0

    data.rows_of = rows
    outcome = release(data)
    assert outcome.result is Result.ROLLED_BACK
    assert "without the new code still data are inconsistent" in outcome.reason
    assert outcome.remedy
    assert outcome.remedy.startswith("Mend the rows")


def test_what_failed_before_the_release_is_no_reason() -> None:
    data = placed()
    data.rows_of = lambda check: 7
    assert release(data).result is Result.PROMOTED


def test_checks_that_cannot_be_run_before_the_release_refuse_it() -> None:
    data = placed()
    data.unreachable = True
    with pytest.raises(Exception, match="no connection"):
        release(data)
    assert VERSION not in data.versions
    assert data.world.flag
    assert not data.world.flag.active


def test_a_release_that_is_only_observed_says_so_and_reverts_nothing() -> None:
    data = placed()
    data.rows_of = once_new_code_runs(data)
    outcome = release(data, observe=True)
    assert outcome.result is Result.PROMOTED
    assert data.versions[-1] == VERSION


@pytest.mark.parametrize("rollout", ["one-by-one", "all-at-once"])
def test_a_rolling_release_goes_back_in_the_same_order(rollout: str) -> None:
    data = placed()
    data.world.rollout = rollout
    data.rows_of = once_new_code_runs(data, STABLE)
    outcome = roll(data)
    assert outcome.result is Result.ROLLED_BACK, outcome.reason
    assert data.versions == ["20260101000000"]
    assert "v2" not in {
        deploy.build.name for _, deploy, _ in data.world.instances(data.world.services[STABLE])
    }
    assert data.world.running(STABLE) == "v1"


def test_a_check_without_a_version_never_reverts_anything() -> None:
    data = placed()
    data.rows_of = once_new_code_runs(data)
    outcome = release(data, replace(NAMED, migrations=()))
    assert outcome.result is Result.FROZEN
    assert "no failing check names one of" in outcome.reason
    assert data.versions[-1] == VERSION
