"""What Promote Previous Build promises of a fleet."""

from __future__ import annotations

import dataclasses

import pytest

from slipway.release.outcome import Result
from tests.unit.builds import commit_of
from tests.unit.world_fleet import FLEET, Film, killed_after_the_second, trio


def released(*, git: bool = True) -> Film:
    film = Film(trio(git=git))
    film.release(film.world.build("v2"))
    film.world.calls.clear()
    film.world.clock.t += 1000
    return film


@pytest.mark.parametrize("git", [True, False])
def test_the_button_brings_the_previous_build_back_to_all_one_by_one(git: bool) -> None:
    film = released(git=git)
    outcome = film.press()
    assert outcome.result is Result.PROMOTED_PREVIOUS
    assert film.running() == ["v1"] * 3
    assert film.fewest == 2
    assert film.order("roll_back" if git else "start") == [*reversed(FLEET)]
    assert "ana went back" in outcome.reason
    assert "orders are lost" in outcome.reason


def test_pressed_twice_it_goes_no_further() -> None:
    film = released()
    film.press()
    film.world.calls.clear()
    assert film.press().result is Result.UNCHANGED
    assert film.order("roll_back") == []
    assert film.running() == ["v1"] * 3


def test_one_that_is_down_is_brought_back_first() -> None:
    film = released()
    film.world.build("v2", healthy=False)
    film.world.services["srv-a"].deploys[-1].build = film.world.builds["v2"]
    film.press()
    assert film.order("roll_back") == ["srv-a", "srv-c", "srv-b"]
    assert film.running() == ["v1"] * 3


def test_a_fleet_that_is_all_down_is_brought_back() -> None:
    film = released()
    film.world.builds["v2"].healthy = False
    assert film.press().result is Result.PROMOTED_PREVIOUS
    assert film.running() == ["v1"] * 3


def test_a_fleet_that_a_dead_run_left_half_changed_is_made_whole() -> None:
    film = Film()
    killed_after_the_second(film, film.world.build("v2"))
    assert film.press().result is Result.PROMOTED_PREVIOUS
    assert film.running() == ["v1"] * 3
    assert film.order("roll_back") == ["srv-b", "srv-a"]


def test_a_deploy_under_way_is_ended_by_the_button_and_goes_no_further_back() -> None:
    film = Film()
    film.world.build("v2")
    film.world.deploy_by_somebody("srv-a", "v2", trigger="api")
    film.press()
    film.world.clock.t += 1000
    assert film.running() == ["v1"] * 3


def test_a_way_back_under_way_is_adopted_by_the_button() -> None:
    film = released()
    film.world.deploy_by_somebody("srv-a", "v1", trigger="rollback")
    film.press()
    film.world.clock.t += 1000
    assert film.running() == ["v1"] * 3


def test_a_build_that_not_all_have_had_is_refused_with_nothing_changed() -> None:
    film = Film()
    film.world.build("v2")
    film.world.seed("srv-a", "v2")
    film.world.seed("srv-a", "v1")
    outcome = film.press(commit_of("v2"))
    assert outcome.result is Result.REFUSED
    assert "no service was touched" in outcome.reason
    assert film.order("roll_back") == []


def test_a_healthy_one_is_not_taken_out_beside_one_that_is_down_for_good() -> None:
    film = released()
    sick = dataclasses.replace(film.world.builds["v1"], healthy=False)
    brought = film.world.add("srv-b", sick, "manual")  # by hand, and it does not get well
    brought.live_at = film.world.clock.t
    outcome = film.press(commit_of("v1"))
    assert outcome.result is Result.FROZEN
    assert "srv-b does not answer well" in outcome.reason
    assert "not gone back on srv-a, srv-c" in outcome.reason
    assert film.running() == ["v2", "v1", "v2"]
