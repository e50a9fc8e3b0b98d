"""What a canary release makes of its metrics: several of them, none, old ones, too few events."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from slipway.errors import Refused, Unreachable
from slipway.ports import (
    Counts,
    Event,
    Found,
    Habits,
    Phase,
    Side,
    Sides,
)
from slipway.release.deploys import Ports
from slipway.release.journal import Kind
from slipway.release.outcome import Outcome, Result
from tests.unit.builds import CANARY, STABLE, commit_of
from tests.unit.test_canary import MINUTE, assert_everybody_is_on, phases, release_through
from tests.unit.world import World
from tests.unit.world_metrics import Ai

SHORT: Mapping[str, Any] = {
    "steps": [{"share": 5, "for": "2m"}],
    "bake": {"share": 95, "for": "2m"},
}


def judged(
    world: World,
    *,
    strategy: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    ai: Ai | None = None,
    ports: Ports | None = None,
    **build: Any,
) -> Outcome:
    ports = ports or world.ports()
    told: dict[str, Any] = {"strategy": {**SHORT, **(strategy or {})}}
    if ai is not None:
        ports = replace(ports, sources={"slow-ai": ai})
        query = {"source": "prometheus", "all": 'a{build="{build}"}', "bad": 'b{build="{build}"}'}
        told["metrics"] = {"slow-ai": {**query, **(metrics or {})}}
    return release_through(ports, world, world.build("v2", **build), **told)


def said(ports: Ports) -> str:
    return "\n".join(entry.text for entry in ports.journal.entries)


# Several metrics


def test_a_candidate_whose_ai_is_slow_goes_back_although_nothing_answers_5xx() -> None:
    world = World()
    ai = Ai(world, slow=lambda candidate: 0.5 if candidate else 0.0)
    outcome = judged(world, ai=ai)
    assert outcome.result is Result.ROLLED_BACK
    assert "slow-ai: candidate" in outcome.reason
    assert "baking" not in phases(world)
    assert_everybody_is_on(world, "v1")


def test_the_source_is_asked_for_the_builds_as_they_call_themselves() -> None:
    world = World()
    ai = Ai(world)
    assert judged(world, ai=ai).result is Result.PROMOTED
    control = Side(build=commit_of("v1"), service=STABLE)
    assert ai.asked == control
    assert ai.sides == Sides(candidate=Side(build=commit_of("v2"), service=CANARY), control=control)


def test_a_provider_that_is_slow_for_both_holds_and_blames_nobody() -> None:
    world = World()
    ai = Ai(world, slow=lambda candidate: 0.9 if candidate else 0.6)
    outcome = judged(world, ai=ai, metrics={"hold-above": 20})
    assert outcome.result is Result.HELD
    assert outcome.exit_code == 4
    assert "build before has 60 % bad ones too, so nobody is blamed" in outcome.reason
    assert_everybody_is_on(world, "v1")


def test_a_provider_that_recovers_while_the_step_is_extended_holds_nobody_up() -> None:
    world = World()
    ai = Ai(world, slow=lambda candidate: 0.5 if world.clock.t < 3 * MINUTE else 0.0)
    outcome = judged(world, ai=ai, metrics={"hold-above": 20})
    assert outcome.result is Result.PROMOTED


def test_a_limit_of_its_own_needs_no_comparison() -> None:
    world = World()
    ai = Ai(world, slow=lambda candidate: 0.3)
    outcome = judged(world, ai=ai, metrics={"limit": {"percent": 20}})
    assert outcome.result is Result.ROLLED_BACK
    assert "above 20 % in 3 of 5 looks" in outcome.reason


# Sources that fail


@pytest.mark.parametrize("error", [Refused("no series matches", remedy="Mend it.")])
def test_a_name_that_matches_nothing_is_told_before_anything_is_deployed(error: Refused) -> None:
    world = World()
    ai = Ai(world)

    def check(control: Side) -> Found:
        raise error

    ai.check = check  # type: ignore[method-assign]
    with pytest.raises(Refused, match="no series matches"):
        judged(world, ai=ai)
    assert not [call for call in world.calls if "start" in call or "flags.write" in call]


def test_a_source_that_cannot_be_reached_is_told_before_anything_is_deployed() -> None:
    world = World()
    ai = Ai(world)

    def check(control: Side) -> Found:
        raise Unreachable("Prometheus does not answer", remedy="Look at it.")

    ai.check = check  # type: ignore[method-assign]
    with pytest.raises(Unreachable, match="Prometheus does not answer"):
        judged(world, ai=ai)
    assert not [call for call in world.calls if "start" in call or "flags.write" in call]


def test_a_source_without_traffic_is_said_and_stops_nothing() -> None:
    world = World()
    ports = world.ports()
    ai = Ai(world, per_second=0, traffic=False)
    assert judged(world, ports=ports, ai=ai).result is Result.PROMOTED
    assert "slow-ai: no traffic yet" in said(ports)
    assert "nothing could have been seen of slow-ai" in said(ports)


def test_a_source_that_is_gone_at_the_end_of_a_step_holds() -> None:
    world = World()
    ai = Ai(world, hold=lambda: "numbers are 400 s old" if world.clock.t > MINUTE else "")
    outcome = judged(world, ai=ai)
    assert outcome.result is Result.HELD
    assert "slow-ai: numbers are 400 s old" in outcome.reason
    assert_everybody_is_on(world, "v1")


def test_what_a_source_missed_for_a_while_counts_when_it_is_back() -> None:
    world = World()

    def dark() -> bool:
        return 60 < world.clock.t < 110

    ai = Ai(
        world,
        hold=lambda: "no answer" if dark() else "",
        slow=lambda candidate: 0.8 if candidate and dark() else 0.0,
    )
    outcome = judged(world, ai=ai)
    assert outcome.result is Result.ROLLED_BACK


def test_counters_that_are_not_of_the_same_thing_hold() -> None:
    world = World()
    ai = Ai(world, slow=lambda candidate: 1.5)
    outcome = judged(world, ai=ai)
    assert outcome.result is Result.HELD
    assert "the two counters are not of the same thing" in outcome.reason


# The plan


def test_errors_that_come_with_the_load_are_found_in_the_first_minute_after_promotion() -> None:
    world = World()
    ports = world.ports()
    outcome = judged(world, ports=ports, error_rate_under_load=0.05)
    assert outcome.result is Result.ROLLED_BACK
    baking = [e for e in ports.journal.entries if e.phase is Phase.BAKING]
    looks = [e for e in baking if e.kind is Kind.TICK]
    assert (looks[-1].at - baking[0].at).total_seconds() <= MINUTE


def test_by_the_literal_rule_a_fifth_more_errors_in_the_first_minute_go_back() -> None:
    world = World()
    world.requests_per_second = 2000
    world.builds["v1"].error_rate = 0.01
    outcome = judged(world, strategy={"judge": {"rule": "literal"}}, error_rate=0.012)
    assert outcome.result is Result.ROLLED_BACK
    assert "more than 1.15 times in the first minute" in outcome.reason
    assert world.clock.t < 4 * MINUTE


def test_by_the_literal_rule_what_comes_after_the_first_minute_does_not() -> None:
    world = World()
    world.requests_per_second = 2000
    world.builds["v1"].error_rate = 0.01
    outcome = judged(world, strategy={"judge": {"rule": "literal"}}, error_rate=0.0114)
    assert outcome.result is Result.PROMOTED


def test_an_incident_of_both_builds_is_promoted_through() -> None:
    world = World()

    def incident(call: str) -> None:
        bad = 0.3 if 80 < world.clock.t < 110 else 0.0
        for build in world.builds.values():
            build.error_rate = bad

    world.before = incident
    assert judged(world).result is Result.PROMOTED


# Too little to see


def test_a_step_that_could_see_little_is_extended_once_and_passes_with_a_notice() -> None:
    world = World()
    world.requests_per_second = 2
    ports = world.ports()
    outcome = judged(world, ports=ports)
    assert outcome.result is Result.PROMOTED
    assert re.search(r"the step is extended once: \d+ requests reached the candidate", said(ports))
    assert re.search(r"it goes on although \d+ requests reached the candidate", said(ports))
    weak = r"; at 5 %: \d+ requests reached .* could not have been seen reliably"
    assert re.search(weak, outcome.reason), "whoever reads only the result must know"


@pytest.mark.parametrize(
    ("policy", "result", "extended"),
    [("promote", Result.PROMOTED, False), ("hold", Result.HELD, True)],
)
def test_what_a_step_does_that_could_see_little_is_a_setting(
    policy: str, result: Result, extended: bool
) -> None:
    world = World()
    world.requests_per_second = 2
    ports = world.ports()
    outcome = judged(world, ports=ports, strategy={"judge": {"on-low-power": policy}})
    assert outcome.result is result
    assert ("the step is extended once" in said(ports)) is extended


def test_a_step_that_saw_enough_says_what_it_could_not_have_seen() -> None:
    world = World()
    ports = world.ports()
    outcome = judged(world, ports=ports)
    assert "could not have been seen" not in outcome.reason
    assert "requests reached the candidate: a fault in fewer than 1" in said(ports)


def test_without_a_single_request_nothing_is_promoted() -> None:
    world = World()
    world.requests_per_second = 0
    outcome = judged(world, strategy={"judge": {"on-low-power": "promote"}})
    assert outcome.result is Result.HELD


# Sellers who differ


def test_sellers_who_fail_more_often_by_themselves_do_not_take_a_good_build_back() -> None:
    def play(calibrate: str, habits: Habits | None) -> Result:
        world = World()
        world.habits = habits
        # The cohort fails four times as often, whatever build it is on.
        world.builds["v1"].error_rate = 0.005
        judge = {"judge": {"calibrate": calibrate}}
        return judged(world, strategy=judge, error_rate=0.02).result

    day = 86_400.0
    known = Habits(
        inside=Counts(total=400_000, bad=8000),
        outside=Counts(total=7_600_000, bad=38_000),
        seconds=day,
    )
    assert play("auto", None) is Result.ROLLED_BACK
    assert play("auto", known) is Result.PROMOTED
    assert play("off", known) is Result.ROLLED_BACK


def test_what_is_known_of_sellers_is_said() -> None:
    world = World()
    few = Counts(total=1000, bad=2)
    world.habits = Habits(inside=few, outside=few, seconds=3600)
    ports = world.ports()
    judged(world, ports=ports)
    assert "sellers are taken to be alike at 5 %: 4 errors" in said(ports)


def test_an_edge_that_does_not_tell_of_sellers_stops_nothing() -> None:
    world = World()

    def lost(call: str) -> None:
        if call == "edge.habits":
            raise Unreachable("no answer", remedy="Look at it.")

    world.before = lost
    ports = world.ports()
    assert judged(world, ports=ports).result is Result.PROMOTED
    assert "how sellers differ is not known: no answer" in said(ports)


# Maintenance mode


def maintenance(world: World, service: str, *, after: float, until: float = 1e9) -> None:
    """Have somebody turn on maintenance mode: Render itself answers 503 for it."""
    names = {CANARY: "v2", STABLE: "v1"}

    def look(call: str) -> None:
        on = after < world.clock.t < until
        one = world.services[service]
        if on and not one.maintenance:
            at = world.clock.now() + timedelta(seconds=0)
            one.events.append(Event(id="evt-m", type="maintenance_mode_enabled", at=at))
        one.maintenance = on
        world.builds[names[service]].error_rate = 1.0 if on else 0.0

    world.before = look


def test_503s_of_maintenance_mode_take_everybody_off_the_canary_and_blame_nobody() -> None:
    world = World()
    maintenance(world, CANARY, after=100)
    outcome = judged(world)
    assert outcome.result is Result.HELD
    assert "srv-canary is in maintenance mode at Render" in outcome.reason
    assert_everybody_is_on(world, "v1")


def test_where_the_judge_was_faster_than_the_event_the_build_is_not_blamed_either() -> None:
    world = World()
    maintenance(world, CANARY, after=100)
    world.services[CANARY].events = Silent()
    outcome = judged(world)
    assert outcome.result is Result.HELD
    assert "in maintenance mode at Render, so the build is not blamed" in outcome.reason
    assert world.clock.t < 4 * MINUTE


class Silent(list[Event]):
    """Events that Render has not told yet."""

    def append(self, event: Event) -> None:
        pass


def test_while_the_stable_service_is_in_maintenance_mode_nothing_is_promoted() -> None:
    world = World()
    maintenance(world, STABLE, after=100)
    outcome = judged(world)
    assert outcome.result is Result.HELD
    assert "srv-stable is in maintenance mode at Render" in outcome.reason
    assert "baking" not in phases(world)


# The account


def test_every_look_is_written_down_with_the_state_after_it() -> None:
    world = World()
    account: list[Mapping[str, Any]] = []
    ports = replace(world.ports(), log=account.append)
    judged(world, ports=ports, error_rate=0.3)
    kinds = [line["kind"] for line in account]
    assert kinds[:2] == ["release", "phase"]
    assert set(kinds[2:]) == {"look"}
    assert account[-1]["verdict"] == "rollback"
    assert account[-1]["state"]["metrics"]["5xx"]["evidence"]["bad"] >= 3
    assert account[0]["candidate"]


def test_nothing_that_came_before_anybody_was_on_the_candidate_is_judged() -> None:
    world = World()
    world.seconds_of = {"flags.write canary": 30.0}
    account: list[Mapping[str, Any]] = []
    ports = replace(world.ports(), log=account.append)
    judged(world, ports=ports)
    first = next(line for line in account if line["kind"] == "look")
    seen = first["counts"]["5xx"]
    assert seen["control"]["total"] <= 11 * world.requests_per_second
    assert seen["candidate"]["total"] > 0
