"""The ways back of services without an edge while Render is down, and their times."""

from __future__ import annotations

import pytest

from slipway.errors import SlipwayError
from slipway.release import direct
from slipway.release.outcome import Outcome, Result
from tests.unit.builds import OTHER, STABLE, digest
from tests.unit.outages import answers, fails, no_answer, press, status_500
from tests.unit.test_rolling import fleet, release
from tests.unit.world import World, settings
from tests.unit.world_fleet import FLEET, Film

MINUTE = 60.0


def bad_and_then(world: World, *prefixes: str, error: type[SlipwayError] | None = None) -> None:
    """Have Render fail as soon as the build is found to be bad."""
    made = answers(error) if error else no_answer

    def look(call: str) -> None:
        live = world.live(world.services[STABLE])
        bad = live is not None and live.build.name == "v2"
        if bad and live and world.clock.t - (live.live_at or 0) > 102:
            fails(*prefixes, error=made)(call)

    world.before = look


def test_a_rolling_release_names_the_deploy_where_render_does_not_come_back() -> None:
    world = fleet(2)
    bad_and_then(world, "render.")
    outcome = release(world, world.build("v2", sick_after=100))
    assert outcome.result is Result.FROZEN, outcome.reason
    assert "press Rollback on deploy dep-2 (" in (outcome.remedy or "")
    assert "of srv-stable at Render" in (outcome.remedy or "")
    assert outcome.seconds_to_old_code is None
    assert world.clock.t > 1200, "it goes on for as long as a deploy may take"


def test_a_rolling_release_goes_back_when_render_answers_again() -> None:
    world = fleet(2)
    artifact = world.build("v2", sick_after=100)
    bad_and_then(world, "render.")
    down = world.before
    world.before = lambda call: None if world.clock.t > 15 * MINUTE else down(call)
    outcome = release(world, artifact)
    assert outcome.result is Result.ROLLED_BACK, outcome.reason
    assert world.running(STABLE) == "v1"
    assert outcome.seconds_to_old_code is not None
    assert outcome.seconds_to_old_code > 5 * MINUTE


def test_a_rolling_release_says_after_how_long_old_code_served_everybody() -> None:
    world = fleet(2)
    outcome = release(world, world.build("v2", sick_after=100))
    needed = world.deploy_seconds + world.ports().confirm
    assert outcome.seconds_to_old_code is not None
    assert needed <= outcome.seconds_to_old_code < needed + 30


def test_a_deploy_that_never_came_is_not_blamed_where_render_could_not_be_asked() -> None:
    world = fleet(2)
    artifact = world.build("v2")
    world.after = lambda call: (
        setattr(world, "before", fails("render.", error=status_500))
        if call == f"render.start {STABLE}"
        else None
    )
    outcome = release(world, artifact)
    assert outcome.result is Result.FROZEN, outcome.reason


@pytest.mark.parametrize("target", ["previous", digest("v0")])
def test_a_fleets_button_names_a_deploy_for_each_service(target: str) -> None:
    film = Film()
    film.world.before = fails("render.")
    outcome = film.press(target)
    assert outcome.result is Result.FROZEN
    assert all(f"of {name} at Render" in (outcome.remedy or "") for name in FLEET)


def test_a_fleet_that_is_half_back_names_what_is_left() -> None:
    film = Film()
    film.release(film.world.build("v2"))
    film.world.clock.t += 1000
    begun: list[str] = []

    def down(call: str) -> None:
        if call.startswith(("render.start", "render.roll_back")):
            begun.append(call)
        if len(begun) > 1:
            fails("render.")(call)

    film.world.before = down
    outcome = film.press()
    assert outcome.result is Result.FROZEN
    last = FLEET[-1]
    assert f"of {last} at Render" not in (outcome.remedy or ""), "that one is back"
    assert all(f"of {name} at Render" in (outcome.remedy or "") for name in FLEET[:-1])


def test_a_fleets_way_back_has_a_time_when_all_of_it_is_back() -> None:
    film = Film()
    film.release(film.world.build("v2"))
    film.world.clock.t += 1000
    outcome = film.press()
    assert outcome.seconds_to_old_code is not None
    assert outcome.seconds_to_old_code >= len(FLEET) * film.world.deploy_seconds


def deployed(world: World) -> Outcome:
    ports = world.ports()
    plan = direct.Plan(
        release="88.1-order",
        settings=settings(),
        stable=STABLE,
        reason="sellers wait",
        actor="ana",
        holder=OTHER,
        artifact=world.build("v2", status="update_failed"),
    )
    return direct.run(plan, ports, world.stop(ports))


def test_a_direct_deploy_that_fails_was_old_code_all_the_time_once_that_is_read_twice() -> None:
    world = World()
    outcome = deployed(world)
    assert outcome.result is Result.ROLLED_BACK
    assert outcome.seconds_to_old_code is not None
    assert outcome.seconds_to_old_code >= world.ports().confirm


def test_a_service_without_an_edge_has_a_time_too() -> None:
    outcome = press(World(), edge=False)
    assert outcome.seconds_to_old_code is not None
