"""Promote Previous Build while something outside is down, and two ways back at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slipway.errors import NotFound, Unauthorized
from slipway.ports import Phase
from slipway.release import rollback, takeover
from slipway.release.outcome import Outcome, Result
from tests.unit.builds import HOLDER, STABLE, digest, image
from tests.unit.dying import (
    assert_everybody_is_on,
    lapse,
    put_in_order,
    record,
    release,
)
from tests.unit.outages import (
    CASES,
    SHORTER,
    Error,
    Outage,
    answers,
    bad_release,
    fails,
    no_answer,
    order_of,
    press,
    status_500,
)
from tests.unit.world import World

# Promote Previous Build


@pytest.mark.parametrize("error", [no_answer, status_500, answers(Unauthorized), answers(NotFound)])
def test_the_button_names_what_the_record_says_was_stable_before(
    error: Error,
) -> None:
    world = World()
    assert release(world, world.build("v2"), short=SHORTER).result is Result.PROMOTED
    world.before = fails("render.", error=error)
    outcome = press(world)
    assert outcome.result is Result.FROZEN
    assert outcome.share == 0
    assert "press Rollback on deploy dep-2 (sha256:7631" in (outcome.remedy or ""), outcome.remedy
    assert "srv-stable" in (outcome.remedy or "")
    assert "Reconcile" in (outcome.remedy or "")
    assert (record(world).phase, record(world).stable_build) == (Phase.ROLLING_BACK, digest("v1"))
    world.before = lambda call: None
    put_in_order(world)
    assert_everybody_is_on(world, "v1")


def test_the_button_goes_on_until_its_deadline() -> None:
    world = World()
    world.before = lambda call: None if world.clock.t > 500 else fails("render.")(call)
    outcome = press(world)
    assert outcome.result is Result.PROMOTED_PREVIOUS
    assert world.running(STABLE) == "v0"


def test_the_time_counts_from_when_share_zero_was_ordered() -> None:
    world = World()
    ports = world.ports()
    stop = world.stop(ports)
    plan = order_of("previous")
    zero = takeover.order_zero(plan, stop)
    world.clock.t += 100
    outcome = rollback.run(plan, ports, stop, zero)
    assert outcome.seconds_to_old_code is not None
    assert outcome.seconds_to_old_code >= 100 + world.deploy_seconds + ports.confirm


def test_during_a_release_the_button_names_what_was_stable_before_it() -> None:
    world = World()
    pressed: list[Outcome] = []

    def meanwhile(call: str) -> None:
        if call == "edge.counts" and world.effective_share() and not pressed:
            pressed.append(Outcome(result=Result.FROZEN, reason=""))
            world.before = fails("render.")
            pressed[0] = press(world)
            world.before = lambda call: None

    world.before = meanwhile
    release(world, world.build("v2"), short=SHORTER)
    assert pressed[0].result is Result.FROZEN
    assert "press Rollback on deploy dep-2 " in (pressed[0].remedy or "")


@pytest.mark.parametrize("edge", [True, False])
def test_without_a_record_the_history_names_the_build(edge: bool) -> None:
    world = World()
    world.before = fails("render.", "flags.")
    outcome = press(world, edge=edge)
    assert outcome.result is Result.FROZEN
    assert "the newest deploy of sha256:7630" in (outcome.remedy or ""), outcome.remedy


def test_with_everything_down_it_says_so_and_where_to_look() -> None:
    world = World()
    world.before = fails("render.", "flags.", "github.", "edge.")
    outcome = press(world)
    assert outcome.result is Result.FROZEN
    assert outcome.share is None
    assert "not confirmed at the edge" in outcome.reason
    assert "not confirmed at PostHog" in outcome.reason
    assert "shows as Deactivated" in (outcome.remedy or "")


def test_a_named_target_is_what_is_to_be_pressed() -> None:
    world = World()
    world.before = fails("render.")
    assert "press Rollback on dep-1 of" in (press(world, "dep-1").remedy or "")
    assert "newest deploy of sha256:7630" in (press(world, digest("v0")).remedy or "")


def test_an_image_that_does_not_come_back_to_a_person_names_the_next_older() -> None:
    world = World()
    world.services[STABLE].deploys.clear()
    world.seed(STABLE, "vA", "v0", "v1")
    oldest = world.services[STABLE].deploys[0]
    world.builds["v0"].status = "update_failed"
    outcome = press(world)
    assert outcome.result is Result.FROZEN
    assert f"press Rollback on deploy {oldest.id} " in (outcome.remedy or ""), outcome.remedy
    assert world.running(STABLE) == "v1"


@pytest.mark.parametrize("how", ["deleted", "not-ours", "down"])
def test_a_record_that_cannot_be_read_never_stops_it(how: str) -> None:
    world = World()
    if how == "deleted":
        world.flag = None
    elif how == "not-ours":
        assert world.flag is not None
        theirs = {"payloads": {"true": '{"v": 9}'}}
        world.flag = replace(world.flag, active=True, filters=theirs, record=None)
    else:
        world.before = fails("flags.")
    outcome = press(world)
    assert outcome.result is Result.PROMOTED_PREVIOUS, outcome.reason
    assert world.running(STABLE) == "v0"


@pytest.mark.parametrize("how", ["deleted", "not-ours"])
def test_a_record_that_is_lost_during_a_release_never_stops_its_way_back(how: str) -> None:
    world = World()
    world.build("v2", **CASES["settling"])

    def lose(call: str) -> None:
        if call == "edge.kill" and world.flag is not None:
            theirs = {"payloads": {"true": '{"v": 9}'}}
            gone = replace(world.flag, filters=theirs, record=None)
            world.flag = None if how == "deleted" else gone

    world.before = lose
    outcome = release(world, image("v2"), short=SHORTER)
    assert outcome.result is Result.ROLLED_BACK, outcome.reason
    assert world.running(STABLE) == "v1"
    assert world.effective_share() == 0


# Two at once


def test_a_person_during_an_automatic_way_back_goes_no_build_further() -> None:
    world = World()
    world.build("v2", **CASES["settling"])
    pressed: list[Outcome] = []

    def person(call: str) -> None:
        back = "edge.kill" in world.calls and call == f"render.start {STABLE}"
        if back and not pressed:
            pressed.append(Outcome(result=Result.FROZEN, reason=""))
            pressed[0] = press(world)

    world.before = person
    outcome = release(world, image("v2"), short=SHORTER)
    assert world.running(STABLE) == "v1", (outcome.reason, pressed[0].reason)
    assert pressed[0].result in (Result.PROMOTED_PREVIOUS, Result.UNCHANGED)
    assert outcome.result is Result.ROLLED_BACK, outcome.reason
    lapse(world)
    put_in_order(world, holder=HOLDER)
    assert_everybody_is_on(world, "v1")


def test_two_people_at_once_after_a_release_go_one_build_back() -> None:
    world = World()
    assert release(world, world.build("v2"), short=SHORTER).result is Result.PROMOTED
    pressed: list[Outcome] = []

    def second(call: str) -> None:
        if call == f"render.start {STABLE}" and not pressed:
            pressed.append(Outcome(result=Result.FROZEN, reason=""))
            pressed[0] = press(world)

    world.before = second
    first = press(world)
    assert world.running(STABLE) == "v1", (first.reason, pressed[0].reason)
    assert first.exit_code == pressed[0].exit_code == 0


def test_the_second_of_two_people_is_told_what_the_first_did() -> None:
    world = World()
    assert release(world, world.build("v2"), short=SHORTER).result is Result.PROMOTED
    press(world)
    second = press(world)
    assert second.result is Result.UNCHANGED
    assert "has already gone back from sha256:7632" in second.reason
    assert "to go further back, name it: target: dep-1 " in second.reason
    assert world.running(STABLE) == "v1"


def test_a_person_decides_where_a_frozen_release_goes_back_to_and_reconcile_follows() -> None:
    world, outcome = bad_release("settling", Outage(prefixes=("render.",)))
    assert outcome.result is Result.FROZEN
    assert record(world).phase is Phase.FROZEN
    begun: list[str] = []

    def down_again(call: str) -> None:
        if call == f"render.start {STABLE}":
            begun.append(call)
        if begun:
            fails("render.")(call)

    world.before = down_again
    assert press(world, digest("v0")).result is Result.FROZEN
    assert record(world).stable_build == digest("v0"), "what the person has asked for"
    world.before = lambda call: None
    lapse(world)
    put_in_order(world)
    assert_everybody_is_on(world, "v0")
