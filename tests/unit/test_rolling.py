"""What rolling-ui promises."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any

import pytest

from slipway.errors import Refused, SlipwayError, Unreachable
from slipway.ports import Answer, Artifact, Requests
from slipway.release import rolling
from slipway.release.outcome import Outcome, Result
from tests.unit.builds import STABLE, commit_of
from tests.unit.world import World, fail_once, settings


def release(world: World, artifact: Artifact, **rules: object) -> Outcome:
    plan = rolling.Plan(
        release="77.1-candidate",
        # Nothing but the one service: no edge, no canary, no PostHog.
        settings=settings(
            canary=None, edge=None, strategy={"rolling": {"probe-every": "1s", **rules}}
        ),
        stable=STABLE,
        artifact=artifact,
    )
    return rolling.run(plan, world.ports())


def fleet(count: int, rollout: str = "one-by-one") -> World:
    world = World(git=True)
    world.services[STABLE].instances = count
    world.rollout = rollout
    return world


def starts(world: World) -> int:
    return world.calls.count(f"render.start {STABLE}")


@pytest.mark.parametrize("rollout", ["one-by-one", "all-at-once"])
def test_a_good_build_replaces_every_instance_and_how_is_said(rollout: str) -> None:
    world = fleet(4, rollout)
    outcome = release(world, world.build("v2"))
    assert outcome.result is Result.PROMOTED
    assert world.running(STABLE) == "v2"
    assert outcome.build == commit_of("v2")
    assert outcome.previous_build == commit_of("v1")
    assert outcome.observed == rollout
    how = {
        "one-by-one": "4+0, 4+1, 3+2, 2+3, 1+4, 0+4",
        "all-at-once": "4+0, 4+4, 0+4",
    }
    assert f"observed {rollout} (old+new: {how[rollout]}), 0 of" in outcome.reason
    assert "longest gap between good answers 1.00 s" in outcome.reason


def test_no_more_is_said_than_was_seen() -> None:
    world = fleet(4, "in-pairs")
    outcome = release(world, world.build("v2"))
    assert (outcome.result, outcome.observed) == (Result.PROMOTED, "unclear")


def test_it_is_probed_all_the_time_that_instances_are_replaced() -> None:
    world = fleet(4, "all-at-once")
    outcome = release(world, world.build("v2"), watch="1s", **{"probe-every": "100ms"})
    made = int(outcome.reason.split("0 of ")[1].split()[0])
    # 40 s of deploy, and 60 s until the last old instance is gone.
    assert 1000 <= made <= 1200


def test_it_is_not_done_before_the_last_old_instance_is_gone_and_the_watch_is_over() -> None:
    world = fleet(2, "all-at-once")
    release(world, world.build("v2"), watch="5m")
    assert world.clock.t >= 40 + 60 + 300


def test_a_build_that_loses_a_request_goes_back_and_the_numbers_are_said() -> None:
    world = fleet(4)
    outcome = release(world, world.build("v2", drops=1))
    assert outcome.result is Result.ROLLED_BACK
    assert world.running(STABLE) == "v1"
    assert "1 of " in outcome.reason
    assert "HTTP 502" in outcome.reason
    assert "longest gap between good answers" in outcome.reason
    # It was stopped at once, before its deploy was through.
    assert f"render.cancel {STABLE}" in world.calls


def test_as_many_failed_probes_as_allowed_are_said_and_do_not_turn_it_back() -> None:
    world = fleet(4)
    outcome = release(world, world.build("v2", drops=2), **{"max-failed-probes": 2})
    assert outcome.result is Result.PROMOTED
    assert outcome.reason.count(" 1 of ") == 2, "one on each kind of connection"


def test_an_answer_that_is_cut_on_a_kept_alive_connection_turns_it_back_too() -> None:
    world = fleet(4)
    outcome = release(world, world.build("v2", cuts=1))
    assert outcome.result is Result.ROLLED_BACK
    assert world.running(STABLE) == "v1"
    assert "1 of " in outcome.reason.partition("new connections, ")[2]
    assert "no answer (cut)" in outcome.reason


def test_kept_alive_connections_that_were_closed_are_counted_and_turn_nothing_back() -> None:
    world = fleet(4)
    outcome = release(world, world.build("v2", closes=3))
    assert outcome.result is Result.PROMOTED
    assert "on a kept-alive one (reconnected 3 times)" in outcome.reason
    assert outcome.reason.count("0 of ") == 2


def test_failures_of_both_kinds_of_connections_add_up() -> None:
    world = fleet(4)
    failing = {"drops": 1, "cuts": 1}
    assert release(world, world.build("v2", **failing), **{"max-failed-probes": 2}).result is (
        Result.PROMOTED
    )
    world = fleet(4)
    assert release(world, world.build("v2", **failing), **{"max-failed-probes": 1}).result is (
        Result.ROLLED_BACK
    )


def test_instances_that_never_become_healthy_leave_the_old_ones_serving() -> None:
    world = fleet(4)
    outcome = release(world, world.build("v2", status="update_failed"))
    assert outcome.result is Result.ROLLED_BACK
    assert "update_failed" in outcome.reason
    assert outcome.build == commit_of("v1")
    assert outcome.observed == ""
    assert world.running(STABLE) == "v1"
    assert starts(world) == 1


def test_a_build_that_sickens_while_it_is_watched_goes_back() -> None:
    world = fleet(2)
    outcome = release(world, world.build("v2", sick_after=60))
    assert outcome.result is Result.ROLLED_BACK
    assert "failed 3 times in a row" in outcome.reason
    assert world.running(STABLE) == "v1"


def test_a_short_watch_still_sees_a_build_that_is_sick() -> None:
    world = fleet(1)
    assert (
        release(world, world.build("v2", sick_after=2.5), watch="1s").result is Result.ROLLED_BACK
    )


def test_what_is_live_already_is_seen_to_answer_and_not_deployed_again() -> None:
    world = World(git=True)
    outcome = release(world, world.build("v1"))
    assert outcome.result is Result.UNCHANGED
    assert starts(world) == 0


def test_what_is_live_already_and_sick_is_not_a_success() -> None:
    world = World(git=True)
    artifact = world.build("v1", healthy=False)
    world.services[STABLE].deploys[-1].build = world.builds["v1"]
    with pytest.raises(SlipwayError, match="did not answer"):
        release(world, artifact)


def test_an_image_goes_back_by_its_digest() -> None:
    world = World()
    outcome = release(world, world.build("v2", sick_after=60))
    assert outcome.result is Result.ROLLED_BACK
    assert world.running(STABLE) == "v1"
    assert not [call for call in world.calls if call.startswith("render.roll_back")]


def test_a_static_site_is_never_asked_for_instances() -> None:
    world = World(git=True)
    world.static = True
    world.services[STABLE].instances = 1
    outcome = release(world, world.build("v2"))
    assert (outcome.result, outcome.observed) == (Result.PROMOTED, "atomic-static")
    assert f"render.instances {STABLE}" not in world.calls


# -- refused ----------------------------------------------------------------------------------


def suspended(world: World) -> None:
    world.services[STABLE].suspended = True


def auto_deploying(world: World) -> None:
    world.services[STABLE].auto_deploy = True


def somebody_deploying(world: World) -> None:
    world.build("v3")
    world.deploy_by_somebody(STABLE, "v3")


def nothing_live(world: World) -> None:
    world.services[STABLE].deploys.clear()


def down(world: World) -> None:
    world.services[STABLE].deploys[-1].build.healthy = False


@pytest.mark.parametrize(
    ("arrange", "told"),
    [
        (suspended, "suspended"),
        (auto_deploying, "auto-deploy is on"),
        (somebody_deploying, "another deploy is running"),
        (nothing_live, "no live deploy"),
        (down, "does not answer well before anything was changed"),
    ],
)
def test_it_is_refused_with_nothing_changed(arrange: object, told: str) -> None:
    world = World(git=True)
    artifact = world.build("v2")
    assert callable(arrange)
    arrange(world)
    with pytest.raises(Refused, match=told):
        release(world, artifact)
    assert starts(world) == 0


def test_a_build_older_than_the_live_one_is_refused() -> None:
    world = World(git=True)
    with pytest.raises(Refused, match="is behind"):
        release(world, world.build("v0"))


# -- other people -----------------------------------------------------------------------------


def test_a_deploy_of_the_same_build_is_adopted_and_not_started_twice() -> None:
    world = World(git=True)
    artifact = world.build("v2")
    world.deploy_by_somebody(STABLE, "v2", trigger="api")
    assert release(world, artifact).result is Result.PROMOTED
    assert starts(world) == 0


@pytest.mark.parametrize("rollout", ["one-by-one", "all-at-once"])
@pytest.mark.parametrize("since", [5, 15, 25, 35])
def test_a_run_that_died_half_way_is_taken_up_where_some_instances_are_new_already(
    rollout: str, since: float
) -> None:
    world = fleet(4, rollout)
    artifact = world.build("v2")
    world.deploy_by_somebody(STABLE, "v2", trigger="api")
    world.clock.t += since
    outcome = release(world, artifact)
    assert outcome.result is Result.PROMOTED
    assert world.clock.t < 400, "it does not wait for new instances to be gone"
    assert starts(world) == 0


@pytest.mark.parametrize(("behaviour", "ends"), [({}, "v2"), ({"sick_after": 160}, "v1")])
def test_a_run_that_died_while_it_watched_is_taken_up_and_the_watch_is_not_skipped(
    behaviour: dict[str, float], ends: str
) -> None:
    world = fleet(2)
    artifact = world.build("v2", **behaviour)
    world.unvouched.add("v2")
    world.deploy_by_somebody(STABLE, "v2", trigger="api")
    world.clock.t += 120
    outcome = release(world, artifact)
    assert (outcome.result, world.running(STABLE)) == (
        Result.PROMOTED if ends == "v2" else Result.ROLLED_BACK,
        ends,
    )
    assert outcome.previous_build == commit_of("v1")
    assert "since a run that died" in outcome.reason or ends == "v1"


def somebody_deploys_at(world: World, call: str, after: float) -> None:
    world.build("v3")

    def hook(name: str) -> None:
        if name == call and world.clock.t >= after:
            world.before = lambda call: None
            world.deploy_by_somebody(STABLE, "v3", trigger="manual")

    world.before = hook


def test_a_deploy_of_somebody_else_meanwhile_is_left_alone_by_a_bad_build() -> None:
    world = fleet(2)
    artifact = world.build("v2", sick_after=15)
    somebody_deploys_at(world, f"render.instances {STABLE}", 40)
    outcome = release(world, artifact)
    assert outcome.result is not Result.PROMOTED
    assert not [c for c in world.calls if c.startswith(("render.cancel", "render.roll_back"))]
    world.clock.t += 1000
    assert world.running(STABLE) == "v3"


def test_a_build_replaced_while_it_is_watched_is_not_a_success() -> None:
    world = fleet(2)
    artifact = world.build("v2")
    somebody_deploys_at(world, f"render.instances {STABLE}", 40)
    outcome = release(world, artifact, watch="10m")
    assert outcome.result is Result.ABORTED
    assert world.running(STABLE) == "v3"
    assert f"render.cancel {STABLE}" not in world.calls


def test_a_build_replaced_unseen_while_it_is_watched_is_not_a_success() -> None:
    world = World()
    # An image whose commit is not known: no answer tells it from another.
    artifact = dataclasses.replace(world.build("v2"), commit=None)
    somebody_deploys_at(world, f"render.instances {STABLE}", 40)
    outcome = release(world, artifact, watch="10m")
    assert outcome.result is Result.ABORTED
    assert "was replaced by" in outcome.reason
    assert world.running(STABLE) == "v3"


def test_a_bug_in_the_watch_is_a_reason_to_go_back_like_any_other() -> None:
    world = fleet(2)

    def bug(service: str, since: datetime, until: datetime) -> Requests | None:
        if world.clock.t > 90:
            raise KeyError("nobody thought of it")
        return None

    world.metrics = bug
    outcome = release(world, world.build("v2"))
    assert outcome.result is Result.ABORTED
    assert "internal error: KeyError" in outcome.reason
    assert world.running(STABLE) == "v1"


def test_a_way_back_that_begins_in_the_last_moment_is_not_overrun_by_success() -> None:
    world = fleet(2)
    artifact = world.build("v2")

    def button(call: str) -> None:
        if call == f"render.deploys {STABLE}" and world.clock.t > 120:
            world.before = lambda call: None
            world.deploy_by_somebody(STABLE, "v1", trigger="rollback")

    world.before = button
    outcome = release(world, artifact)
    assert outcome.result is Result.ABORTED
    world.clock.t += 300
    assert world.running(STABLE) == "v1"


@pytest.mark.parametrize("names_it", [True, False])
def test_a_service_that_names_no_build_still_gets_its_build_back(names_it: bool) -> None:
    world = fleet(2)
    world.builds["v1"].nameless = True
    outcome = release(world, world.build("v2", nameless=not names_it, sick_after=60))
    assert outcome.result is Result.ROLLED_BACK
    assert world.running(STABLE) == "v1"


def test_a_dying_release_leaves_the_fix_alone_that_somebody_deploys_directly() -> None:
    world = fleet(2)
    world.silent_while_running = True
    world.build("fix")

    def directly(call: str) -> None:
        coming = world.services[STABLE].deploys[-1]
        if call == f"render.deploy {STABLE}" and world.clock.t > 20:
            world.before = lambda call: None
            coming.ends = "canceled"
            world.deploy_by_somebody(STABLE, "fix", trigger="api")

    artifact = world.build("v2")
    world.before = directly
    outcome = release(world, artifact)
    assert outcome.result is Result.ABORTED
    world.clock.t += 300
    assert world.running(STABLE) == "fix"


def test_a_deploy_that_begins_at_the_same_moment_is_left_alone() -> None:
    world = fleet(2)
    artifact = world.build("v2")
    somebody_deploys_at(world, f"render.deploys {STABLE}", 3)
    outcome = release(world, artifact)
    assert outcome.result is Result.ABORTED
    assert "somebody else is deploying" in outcome.reason
    assert starts(world) == 0
    assert f"render.cancel {STABLE}" not in world.calls


# -- interruptions ----------------------------------------------------------------------------


def test_a_cancelled_job_cancels_its_own_deploy_and_touches_nothing_else() -> None:
    world = fleet(4)
    world.clock.cancel_at = 25
    outcome = release(world, world.build("v2"))
    assert outcome.result is Result.ABORTED
    assert outcome.build == commit_of("v1")
    assert not [c for c in world.calls if c.startswith("render.roll_back")]
    world.clock.t += 1000
    assert world.running(STABLE) == "v1"


def test_a_job_cancelled_when_its_build_is_live_says_what_serves() -> None:
    world = fleet(2, "all-at-once")
    world.clock.cancel_at = 60  # old instances are still there: nothing is verified
    outcome = release(world, world.build("v2"))
    assert outcome.result is Result.FROZEN
    assert "is live and was not verified" in outcome.reason
    world = fleet(2)
    world.clock.cancel_at = 100  # within the watch
    outcome = release(world, world.build("v2"))
    assert outcome.result is Result.ABORTED
    assert "nobody has judged it to the end" in outcome.reason


def test_a_way_back_that_fails_is_for_a_human() -> None:
    world = fleet(2)
    world.build("v2", sick_after=60)

    def hook(call: str) -> None:
        if call.startswith("render.roll_back"):
            raise Unreachable("no answer", remedy="Try again.")

    world.before = hook
    outcome = release(world, world.build("v2", sick_after=60))
    assert outcome.result is Result.FROZEN
    assert "press Rollback on deploy dep-2" in (outcome.remedy or "")


def test_instances_that_cannot_be_listed_are_never_a_success() -> None:
    world = fleet(2)

    def hook(call: str) -> None:
        if call.startswith("render.instances") and world.clock.t > 10:
            raise Unreachable("no answer", remedy="Try again.")

    world.before = hook
    outcome = release(world, world.build("v2"))
    assert outcome.result is Result.ABORTED
    assert world.running(STABLE) == "v1"


@pytest.mark.parametrize("queued", [False, True])
@pytest.mark.parametrize("lost", ["the call", "its answer"])
@pytest.mark.parametrize("behaviour", [{}, {"sick_after": 20}, {"drops": 1}, {"healthy": False}])
def test_whatever_call_is_lost_once_no_unverified_build_is_a_silent_success(
    behaviour: dict[str, object],
    lost: str,
    queued: bool,
) -> None:
    def play(world: World) -> Result:
        world.queue_deploys = queued
        try:
            artifact = world.build("v2", **behaviour)
            return release(world, artifact, watch="30s", **{"probe-every": "5s"}).result
        except (Unreachable, Refused):
            return Result.REFUSED

    whole = fleet(2)
    play(whole)
    assert len(whole.calls) >= 15
    for at in range(len(whole.calls)):
        world = fleet(2)
        fail_once(at, after=lost == "its answer")(world)
        result = play(world)
        where = f"call {at} ({whole.calls[at]}) lost {lost}: {result}"
        world.clock.t += 2000
        if result is Result.PROMOTED:
            assert not behaviour, where
            assert world.running(STABLE) == "v2", where
        else:
            assert result in (Result.ROLLED_BACK, Result.ABORTED, Result.REFUSED), where
            assert world.running(STABLE) == "v1", where


def test_an_image_has_not_gone_back_while_instances_of_the_bad_build_answer() -> None:
    """Render ends what a cancelled deploy had begun a while after it says so."""
    world = World()
    plan = rolling.Plan(
        release="77.1-candidate",
        settings=settings(canary=None, edge=None, strategy={"rolling": {"probe-every": "1s"}}),
        stable=STABLE,
        artifact=world.build("v2", drops=1),
    )
    ports = world.ports()
    cancelled: list[float] = []
    world.after = lambda call: (
        cancelled.append(world.clock.t) if call.startswith("render.cancel") else None
    )

    class Lingering:
        def probe(self, url: str, *, timeout: float, **more: Any) -> Answer:
            answer = ports.prober.probe(url, timeout=timeout, **more)
            lingers = cancelled and world.clock.t < cancelled[0] + 60
            return dataclasses.replace(answer, build=commit_of("v2")) if lingers else answer

    outcome = rolling.run(plan, dataclasses.replace(ports, prober=Lingering()))
    assert outcome.result is Result.ROLLED_BACK
    assert world.clock.t >= cancelled[0] + 60
