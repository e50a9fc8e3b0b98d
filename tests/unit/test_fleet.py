"""What a rolling release of a fleet promises: one by one, and never two of them out at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from slipway.errors import Cancelled, Refused, SlipwayError, Unreachable
from slipway.ports import Autoscaling, Requests
from slipway.release.journal import Kind
from slipway.release.outcome import Result
from tests.unit.builds import commit_of
from tests.unit.world import World, fail_once
from tests.unit.world_fleet import FLEET, Film, killed_after_the_second, trio

# -- forth ------------------------------------------------------------------------------------


@pytest.mark.parametrize("git", [True, False])
def test_services_are_replaced_one_by_one_in_their_order(git: bool) -> None:
    film = Film(trio(git=git))
    outcome = film.release(film.world.build("v2"))
    assert outcome.result is Result.PROMOTED
    assert film.running() == ["v2"] * 3
    assert film.order("start") == [*FLEET]
    assert film.fewest == 2, "one is out at a time, and never two"
    assert outcome.observed == "one-by-one"
    assert "one by one in the order srv-a, srv-b, srv-c, 0 of" in outcome.reason
    assert "longest gap between good answers" in outcome.reason
    assert "3 of 3 services replaced: srv-c; longest gap so far" in film.said(Kind.GATE)


def test_the_public_address_is_probed_all_the_time() -> None:
    film = Film(watch="1s")
    outcome = film.release(film.world.build("v2"))
    made = int(outcome.reason.split("0 of ")[1].split()[0])
    assert film.world.clock.t - 30 <= made <= film.world.clock.t
    assert made >= 120


def test_one_that_never_gets_healthy_brings_all_back() -> None:
    film = Film()
    artifact = film.world.build("v2")
    third_fails(film.world)
    outcome = film.release(artifact)
    assert outcome.result is Result.ROLLED_BACK
    film.world.clock.t += 1000
    assert film.running() == ["v1"] * 3
    assert film.fewest == 2
    assert "update_failed" in outcome.reason
    assert "v1" not in outcome.reason
    assert outcome.build == commit_of("v1")
    assert film.order("roll_back") == ["srv-b", "srv-a"]


def third_fails(world: World) -> None:
    """The third deploy of ``v2`` does not become healthy; the others do."""
    before = world.before

    def hook(call: str) -> None:
        before(call)
        if call == "render.deploy srv-c":
            deploy = world.services["srv-c"].deploys[-1]
            if deploy.build.name == "v2" and not deploy.ends:
                deploy.ends = "update_failed"

    world.before = hook


def test_a_first_one_that_answers_badly_goes_back_and_the_others_are_never_touched() -> None:
    film = Film()
    outcome = film.release(film.world.build("v2", healthy=False))
    assert outcome.result is Result.ROLLED_BACK
    assert film.running() == ["v1"] * 3
    assert film.order("start") == ["srv-a"]
    assert film.fewest == 2


def test_a_build_that_sickens_in_the_watch_brings_all_back() -> None:
    film = Film(watch="10m")
    outcome = film.release(film.world.build("v2", sick_after=300))
    assert outcome.result is Result.ROLLED_BACK
    assert film.running() == ["v1"] * 3
    assert "failed 3 times in a row" in outcome.reason


def test_a_failed_probe_of_the_public_address_brings_all_back() -> None:
    film = Film()
    artifact = film.world.build("v2")
    at_the_second(film.world, lambda: setattr(film.world.builds["v2"], "drops", 1))
    outcome = film.release(artifact)
    assert outcome.result is Result.ROLLED_BACK
    assert "1 of " in outcome.reason
    assert film.running() == ["v1"] * 3
    assert film.fewest == 2


def at_the_second(world: World, act: Callable[[], None], name: str = "srv-b") -> None:
    """Do something once the second service, or ``name``, is being deployed."""
    before = world.before
    done: list[str] = []

    def hook(call: str) -> None:
        before(call)
        if call == f"render.deploy {name}" and not done:
            done.append(call)
            act()

    world.before = hook


def test_an_old_one_that_dies_meanwhile_stops_it_and_blames_nobody() -> None:
    film = Film()
    artifact = film.world.build("v2")
    film.world.build("broken", healthy=False)

    def die() -> None:
        film.world.services["srv-c"].deploys[-1].build = film.world.builds["broken"]

    at_the_second(film.world, die, "srv-a")
    outcome = film.release(artifact)
    assert outcome.result is Result.FROZEN, "srv-c is down: no other may be taken out"
    assert "srv-c does not answer well" in outcome.reason
    assert film.order("roll_back") == []
    assert film.order("start") == ["srv-a"]
    assert "Promote Previous Build" in (outcome.remedy or "")


# -- a run that died, a job that is cancelled ---------------------------------------------------


def test_a_run_after_one_that_died_goes_on_with_the_rest() -> None:
    film = Film()
    artifact = film.world.build("v2")
    film.world.unvouched.add("v2")
    killed_after_the_second(film, artifact)
    assert film.running() == ["v2", "v2", "v1"]
    outcome = film.release(artifact)
    assert outcome.result is Result.PROMOTED
    assert film.order("start") == ["srv-c"]
    assert film.running() == ["v2"] * 3
    assert film.fewest == 2
    assert outcome.previous_build == commit_of("v1")


def test_what_a_dead_run_changed_goes_back_too() -> None:
    film = Film()
    artifact = film.world.build("v2")
    film.world.unvouched.add("v2")
    killed_after_the_second(film, artifact)
    third_fails(film.world)
    outcome = film.release(artifact)
    assert outcome.result is Result.ROLLED_BACK
    assert film.running() == ["v1"] * 3
    assert film.fewest == 2


def test_what_ran_a_build_that_had_passed_keeps_it() -> None:
    film = Film()
    artifact = film.world.build("v2")
    film.world.unvouched.discard("v2")
    film.world.seed("srv-a", "v2")
    third_fails(film.world)
    outcome = film.release(artifact)
    assert outcome.result is Result.ROLLED_BACK
    assert film.running() == ["v2", "v1", "v1"]


def test_a_way_back_that_failed_is_not_forgotten_by_the_next_run() -> None:
    film = Film(watch="2m")
    world = film.world
    artifact = world.build("v2", sick_after=200)

    def render_is_down(call: str) -> None:
        if call.startswith("render.roll_back"):
            raise Unreachable("Render does not answer", remedy="Wait.")

    film._hook = render_is_down
    assert film.release(artifact).result is Result.FROZEN
    assert film.running() == ["v2"] * 3
    film._hook = lambda call: None
    again = film.release(artifact)
    assert again.result is Result.ROLLED_BACK, "never unchanged, and never green"
    assert film.running() == ["v1"] * 3


def test_a_bug_in_the_watch_is_a_reason_to_go_back_like_any_other() -> None:
    film = Film()

    def bug(service: str, since: datetime, until: datetime) -> Requests | None:
        if film.world.clock.t > 60:
            raise KeyError("nobody thought of it")
        return None

    film.world.metrics = bug
    outcome = film.release(film.world.build("v2"))
    assert outcome.result is Result.ABORTED
    assert "internal error: KeyError" in outcome.reason
    assert film.running() == ["v1"] * 3


def test_a_deploy_that_a_dead_run_began_is_adopted_and_ended_first() -> None:
    film = Film()
    artifact = film.world.build("v2")
    film.world.deploy_by_somebody("srv-c", "v2", trigger="api")
    outcome = film.release(artifact)
    assert outcome.result is Result.PROMOTED
    assert film.order("start") == ["srv-a", "srv-b"]
    assert film.fewest == 2


def test_what_all_run_already_is_seen_to_answer_and_not_deployed_again() -> None:
    film = Film()
    assert film.release(film.world.build("v1")).result is Result.UNCHANGED
    assert film.order("start") == []
    film.world.services["srv-b"].deploys[-1].build.healthy = False
    with pytest.raises(SlipwayError, match="did not answer"):
        film.release(film.world.build("v1", healthy=False))


@pytest.mark.parametrize("at", [20, 60, 110, 150])
def test_a_cancelled_job_leaves_no_fleet_half_changed(at: float) -> None:
    film = Film()
    film.world.clock.cancel_at = at
    outcome = film.release(film.world.build("v2"))
    assert outcome.result is Result.ABORTED
    film.world.clock.t += 1000
    assert film.running() == ["v1"] * 3
    assert film.fewest == 2
    assert "if this job is ended before, run Promote Previous Build" in film.said(Kind.NOTE)


def test_a_job_cancelled_before_anything_was_changed_is_cancelled() -> None:
    film = Film()
    film.world.clock.cancel_at = 4
    with pytest.raises(Cancelled):
        film.release(film.world.build("v2"))
    assert film.order("start") == []


@pytest.mark.parametrize("lost", ["the call", "its answer"])
@pytest.mark.parametrize("behaviour", [{}, {"sick_after": 200}, {"healthy": False}])
def test_whatever_call_is_lost_once_the_fleet_ends_whole(
    behaviour: dict[str, object], lost: str
) -> None:
    def play(film: Film) -> Result:
        try:
            return film.release(film.world.build("v2", **behaviour)).result
        except (Unreachable, Refused):
            return Result.REFUSED

    rules: dict[str, object] = {"watch": "30s", "probe-every": "5s"}
    whole = Film(None, **rules)
    play(whole)
    for at in range(len(whole.world.calls)):
        world = trio()
        fail_once(at, after=lost == "its answer")(world)
        film = Film(world, **rules)
        result = play(film)
        where = f"call {at} ({whole.world.calls[at]}) lost {lost}: {result}"
        world.clock.t += 2000
        if result is Result.PROMOTED:
            assert behaviour.get("healthy", True), where
            assert film.running() == ["v2"] * 3, where
        else:
            assert result in (Result.ROLLED_BACK, Result.ABORTED, Result.REFUSED), where
            assert film.running() == ["v1"] * 3, where


# -- refused ----------------------------------------------------------------------------------


def suspended(world: World) -> None:
    world.services["srv-b"].suspended = True


def auto_deploying(world: World) -> None:
    world.services["srv-b"].auto_deploy = True


def deploying(world: World) -> None:
    world.build("v3")
    world.deploy_by_somebody("srv-b", "v3")


def empty(world: World) -> None:
    world.services["srv-b"].deploys.clear()


def many(world: World) -> None:
    world.services["srv-b"].instances = 2


def scaling(world: World) -> None:
    world.services["srv-b"].autoscaling = Autoscaling(enabled=True, minimum=1, maximum=3)


def down(world: World) -> None:
    world.builds["down"] = world.builds["v1"].__class__("down", healthy=False)
    world.seed("srv-b", "down")


def unknown(world: World) -> None:
    world.unvouched.add("v1")


@pytest.mark.parametrize(
    ("arrange", "told"),
    [
        (suspended, "suspended"),
        (auto_deploying, "auto-deploy is on"),
        (deploying, "another deploy is running on srv-b"),
        (empty, "no live deploy"),
        (many, "more than one instance"),
        (scaling, "more than one instance"),
        (down, "srv-b does not answer well .*nothing was changed"),
        (unknown, "nothing to go back to"),
    ],
)
def test_it_is_refused_with_nothing_changed(arrange: Callable[[World], None], told: str) -> None:
    film = Film()
    artifact = film.world.build("v2")
    arrange(film.world)
    if arrange is down:
        artifact = film.world.build("v3")
    with pytest.raises(Refused, match=told):
        film.release(artifact)
    assert film.order("start") == []


def test_what_nobody_vouches_for_is_refused_where_a_dead_run_left_nothing_before_it() -> None:
    film = Film()
    artifact = film.world.build("v2")
    film.world.unvouched |= {"v2", "v0", "v1"}
    for name in FLEET[:1]:
        film.world.seed(name, "v2")
    with pytest.raises(Refused, match="nothing to go back to"):
        film.release(artifact)


def test_a_build_older_than_the_live_one_is_refused() -> None:
    film = Film()
    with pytest.raises(Refused, match="is behind"):
        film.release(film.world.build("v0"))


# -- other people -------------------------------------------------------------------------------


def test_what_somebody_else_deploys_meanwhile_is_left_alone_and_the_rest_goes_back() -> None:
    film = Film()
    artifact = film.world.build("v2")
    film.world.build("v3")
    at_the_second(
        film.world, lambda: film.world.deploy_by_somebody("srv-a", "v3", trigger="manual")
    )
    outcome = film.release(artifact)
    film.world.clock.t += 1000
    assert outcome.result is not Result.PROMOTED
    assert outcome.result is not Result.ROLLED_BACK
    assert film.running() == ["v3", "v1", "v1"]
    assert "srv-a" in outcome.reason
