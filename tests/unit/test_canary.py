"""What canary-prod promises, in a world in memory on a virtual clock."""

from __future__ import annotations

import pytest

from slipway.errors import Aborted, Refused, Unreachable
from slipway.ports import Artifact, Phase
from slipway.release import canary
from slipway.release.deploys import Ports
from slipway.release.outcome import Outcome, Result
from slipway.release.preflight import Plan
from tests.unit.builds import CANARY, OTHER, STABLE, digest
from tests.unit.world import World, fail_once, settings

MINUTE = 60.0


def release(world: World, artifact: Artifact, **changes: object) -> Outcome:
    return release_through(world.ports(), world, artifact, **changes)


def release_through(ports: Ports, world: World, artifact: Artifact, **changes: object) -> Outcome:
    plan = Plan(
        release="77.1-candidate",
        settings=settings(**changes),
        stable=STABLE,
        canary=CANARY,
        artifact=artifact,
    )
    return canary.run(plan, ports, world.traffic(ports, plan.release, artifact.identity))


def assert_everybody_is_on(world: World, build: str) -> None:
    assert world.effective_share() == 0
    assert world.running(STABLE) == build


def phases(world: World) -> list[str]:
    return [c.removeprefix("flags.write ") for c in world.calls if c.startswith("flags.write")]


def test_a_good_build_goes_to_everybody_through_every_phase() -> None:
    world = World()
    outcome = release(world, world.build("v2"))
    assert outcome.result is Result.PROMOTED
    assert phases(world) == ["deploying", "canary", "baking", "settling", "stable"]
    assert_everybody_is_on(world, "v2")
    assert world.max_share_seen == pytest.approx(0.95)
    assert outcome.build == digest("v2")
    assert outcome.previous_build == digest("v1")
    assert world.clock.t >= 20 * MINUTE, "ten minutes at 5 % and a bake of ten"
    record = world.flag.record if world.flag else None
    assert record is not None
    assert (record.phase, record.stable_build) == (Phase.STABLE, digest("v2"))
    assert world.lease is None, "the lease is given back"


def test_the_canary_service_carries_the_load_with_as_many_instances_and_is_scaled_back() -> None:
    world = World()
    release(world, world.build("v2"))
    scaled = world.calls.index(f"render.scale {CANARY}")
    baked = world.calls.index("flags.write baking")
    assert scaled < baked
    assert world.services[CANARY].instances == 1


@pytest.mark.parametrize(("configured", "autoscaled", "wanted"), [(2, 5, 5), (4, 2, 4), (1, 1, 2)])
def test_with_autoscaling_the_canary_gets_as_many_instances_as_render_lists(
    configured: int, autoscaled: int, wanted: int
) -> None:
    world = World()
    world.services[STABLE].instances = configured
    world.services[STABLE].autoscaled = autoscaled
    carried: list[int] = []

    def look(call: str) -> None:
        if call == "flags.write baking":
            carried.append(world.services[CANARY].instances)

    world.before = look
    assert release(world, world.build("v2"), **SHORT).result is Result.PROMOTED
    assert carried == [wanted]
    assert world.services[CANARY].instances == 1


@pytest.mark.parametrize(("autoscaled", "said"), [(5, True), (2, False)])
def test_that_the_idle_stable_service_may_be_made_smaller_is_said(
    autoscaled: int, said: bool
) -> None:
    world = World()
    world.services[STABLE].autoscaled = autoscaled
    ports = world.ports()
    release_through(ports, world, world.build("v2"), **SHORT)
    troubles = [e.text for e in ports.journal.entries if "may take away all but 2" in e.text]
    assert bool(troubles) is said


def test_the_stable_service_is_not_touched_before_settling() -> None:
    world = World()
    release(world, world.build("v2"))
    assert world.calls.index("flags.write settling") < world.calls.index(f"render.start {STABLE}")


def test_a_build_with_errors_is_rolled_back_and_only_five_percent_ever_saw_it() -> None:
    world = World()
    outcome = release(world, world.build("v2", error_rate=0.3))
    assert outcome.result is Result.ROLLED_BACK
    assert outcome.exit_code == 1
    assert "times as often as the build before" in outcome.reason
    assert_everybody_is_on(world, "v1")
    assert world.max_share_seen == pytest.approx(0.05)
    assert world.clock.t < 5 * MINUTE, "it does not wait for the end of the step"
    assert f"render.start {STABLE}" not in world.calls


def test_after_a_rollback_the_canary_service_runs_the_build_it_ran_before() -> None:
    world = World()
    release(world, world.build("v2", error_rate=0.3))
    assert world.running(CANARY) == "v1"


def test_a_build_that_fails_only_under_load_is_rolled_back_from_the_bake() -> None:
    world = World()
    outcome = release(world, world.build("v2", error_rate_under_load=0.2))
    assert outcome.result is Result.ROLLED_BACK
    assert "baking" in phases(world)
    assert "settling" not in phases(world)
    assert_everybody_is_on(world, "v1")
    assert world.services[CANARY].instances == 1


def test_three_failed_health_checks_in_a_row_roll_back() -> None:
    world = World()
    outcome = release(world, world.build("v2", sick_after=200))
    assert outcome.result is Result.ROLLED_BACK
    assert "failed 3 times in a row: HTTP 503" in outcome.reason
    assert_everybody_is_on(world, "v1")


def test_a_deploy_that_never_becomes_healthy_is_cancelled_and_nobody_saw_it() -> None:
    world = World()
    outcome = release(world, world.build("v2", becomes_live=False))
    assert outcome.result is Result.ROLLED_BACK
    assert "still update_in_progress after 1200 s" in outcome.reason
    assert f"render.cancel {CANARY}" in world.calls
    assert world.max_share_seen == 0
    assert_everybody_is_on(world, "v1")


@pytest.mark.parametrize("status", ["build_failed", "update_failed", "pre_deploy_failed"])
def test_a_failed_deploy_ends_the_release_before_anybody_sees_it(status: str) -> None:
    world = World()
    outcome = release(world, world.build("v2", status=status))
    assert outcome.result is Result.ROLLED_BACK
    assert status in outcome.reason
    assert world.max_share_seen == 0


def test_a_status_nobody_knows_is_never_success_and_the_build_is_not_blamed() -> None:
    world = World()
    outcome = release(world, world.build("v2", status="almost_there"))
    assert outcome.result is Result.ABORTED
    assert "'almost_there'" in outcome.reason
    assert world.max_share_seen == 0
    assert_everybody_is_on(world, "v1")


def test_a_build_that_is_live_already_changes_nothing() -> None:
    world = World()
    outcome = release(world, world.build("v1"))
    assert outcome.result is Result.UNCHANGED
    assert outcome.exit_code == 0
    assert not [c for c in world.calls if "write" in c or "start" in c or "renew" in c]


def test_a_release_under_way_is_not_disturbed() -> None:
    world = World()
    world.lease = ("another-release", OTHER, world.clock.t + 100)

    def renew(call: str) -> None:
        if call == "edge.state" and world.clock.t > 25:
            world.lease = ("another-release", OTHER, world.clock.t + 180)

    world.before = renew
    with pytest.raises(Refused, match="another-release is under way"):
        release(world, world.build("v2"))
    assert not [c for c in world.calls if "write" in c or "kill" in c or "start" in c]


def test_a_release_that_takes_the_lease_in_between_is_not_ended() -> None:
    world = World()
    world.before = lambda call: (
        setattr(world, "lease", ("other", OTHER, world.clock.t + 100))
        if call == "edge.renew"
        else None
    )
    with pytest.raises(Exception, match="holds the edge"):
        release(world, world.build("v2"))
    assert "flags.kill" not in world.calls
    assert "edge.kill" not in world.calls


@pytest.mark.parametrize("service", [STABLE, CANARY])
def test_a_suspended_service_is_refused_before_anything_changes(service: str) -> None:
    world = World()
    world.services[service].suspended = True
    with pytest.raises(Refused, match="suspended") as error:
        release(world, world.build("v2"))
    assert "Resume it" in error.value.remedy
    assert not [c for c in world.calls if "write" in c or "start" in c]


def test_auto_deploy_beside_a_canary_is_refused_with_the_remedy() -> None:
    world = World(git=True)
    world.services[STABLE].auto_deploy = True
    with pytest.raises(Refused, match="auto-deploy is on") as error:
        release(world, world.build("v2"))
    assert "Auto-Deploy: No" in error.value.remedy


def test_a_service_built_from_git_is_released_by_commit() -> None:
    world = World(git=True)
    outcome = release(world, world.build("v2"))
    assert outcome.result is Result.PROMOTED
    assert_everybody_is_on(world, "v2")


def test_a_deploy_that_render_only_queues_is_found_and_waited_for() -> None:
    world = World()
    world.queue_deploys = True
    assert release(world, world.build("v2")).result is Result.PROMOTED
    assert_everybody_is_on(world, "v2")


def test_a_person_who_stops_it_at_the_edge_wins() -> None:
    world = World()

    def stop(call: str) -> None:
        if call == "edge.counts" and world.clock.t > 5 * MINUTE:
            world.killed = "77.1-candidate"

    world.after = stop
    outcome = release(world, world.build("v2"))
    assert outcome.result is Result.ABORTED
    assert "stopped at the edge" in outcome.reason
    assert_everybody_is_on(world, "v1")


def test_an_edge_that_restarted_gets_its_lease_again() -> None:
    world = World()
    restarted: list[str] = []

    def restart(call: str) -> None:
        if call == "edge.counts" and world.clock.t > 5 * MINUTE and not restarted:
            restarted.append(call)
            world.lease = None

    world.after = restart
    assert release(world, world.build("v2")).result is Result.PROMOTED
    assert restarted


def test_a_lost_edge_ends_the_release_before_the_lease_does() -> None:
    world = World()
    lost_at = 5 * MINUTE

    def lost(call: str) -> None:
        if call.startswith("edge.") and world.clock.t > lost_at:
            raise Unreachable("the edge is gone", remedy="Look at it.")

    world.before = lost
    outcome = release(world, world.build("v2"))
    assert outcome.result is Result.ABORTED
    assert "since the lease of 180 s was last renewed" in outcome.reason
    assert "not confirmed at the edge" in outcome.reason
    assert world.flag is not None
    assert not world.flag.active, "PostHog alone is enough to protect users"


def test_no_traffic_is_never_a_success() -> None:
    world = World()
    world.requests_per_second = 0
    outcome = release(world, world.build("v2"))
    assert outcome.result is Result.HELD
    assert "no request reached the candidate" in outcome.reason
    assert_everybody_is_on(world, "v1")


def test_a_canary_that_gets_no_requests_while_stable_has_some_is_held_and_not_blamed() -> None:
    world = World()
    world.no_canary_traffic = True
    outcome = release(world, world.build("v2"))
    assert outcome.result is Result.HELD
    assert_everybody_is_on(world, "v1")
    assert "the routing is at fault" in outcome.reason


@pytest.mark.parametrize("minute", [0.5, 3, 12, 15, 21.6])
def test_a_cancelled_job_has_share_zero_within_a_second_and_blames_nobody(minute: float) -> None:
    world = World()
    world.clock.cancel_at = minute * MINUTE
    outcome = release(world, world.build("v2"))
    assert outcome.result is Result.ABORTED
    assert world.effective_share() == 0
    assert world.clock.t < minute * MINUTE + 1
    assert world.running(STABLE) in ("v1", "v2")


def test_when_the_record_cannot_be_closed_the_promoted_build_stays() -> None:
    world = World()
    fail_once(0, after=False, matching="flags.write stable")(world)
    outcome = release(world, world.build("v2"))
    assert outcome.result is Result.PROMOTED
    assert_everybody_is_on(world, "v2")


def calls_of_a_good_release() -> int:
    world = World()
    release(world, world.build("v2"), **SHORT)
    return len(world.calls)


SHORT = {
    "strategy": {
        "steps": [{"share": 5, "for": "1m"}],
        "bake": {"share": 95, "for": "1m"},
        "judge": {"every": "20s"},
    }
}


@pytest.mark.parametrize("lost", ["the call", "its answer"])
def test_whatever_call_fails_once_everybody_ends_on_a_build_that_passed(lost: str) -> None:
    total = calls_of_a_good_release()
    assert total > 40
    for at in range(total):
        world = World()
        fail_once(at, after=lost == "its answer")(world)
        try:
            result = release(world, world.build("v2"), **SHORT).result
        except (Unreachable, Refused):
            result = Result.REFUSED
        where = f"call {at} ({world.calls[at]}) lost {lost}: {result}"
        assert world.effective_share() == 0, where
        wanted = "v2" if result is Result.PROMOTED else "v1"
        serves = world.running(STABLE)
        if result is Result.ABORTED:
            assert serves in ("v1", "v2"), where
        else:
            assert serves == wanted, where


@pytest.mark.parametrize("lost", ["the call", "its answer"])
def test_whatever_call_fails_once_a_bad_build_never_stays(lost: str) -> None:
    world = World()
    release(world, world.build("v2", error_rate=0.5), **SHORT)
    for at in range(len(world.calls)):
        world = World()
        fail_once(at, after=lost == "its answer")(world)
        try:
            result = release(world, world.build("v2", error_rate=0.5), **SHORT).result
        except (Unreachable, Refused):
            result = Result.REFUSED
        where = f"call {at} ({world.calls[at]}) lost {lost}: {result}"
        assert result in (Result.ROLLED_BACK, Result.ABORTED, Result.REFUSED), where
        assert_everybody_is_on(world, "v1")


def test_what_the_edges_own_tripwire_ended_is_rolled_back_and_blamed() -> None:
    world = World()

    def trip(call: str) -> None:
        flag = world.flag
        if call == "edge.state" and flag and flag.record and flag.record.share == 5:
            world.killed = flag.record.release
            world.killed_reason = "tripwire: 14 of 20 requests failed within 30 s"
            world.killed_version = flag.version

    world.before = trip
    outcome = release(world, world.build("v2"))
    assert outcome.result is Result.ROLLED_BACK
    assert "14 of 20 requests failed" in outcome.reason
    assert_everybody_is_on(world, "v1")


def test_a_flag_that_the_edge_cannot_follow_ends_the_release_and_the_way_back_is_taken() -> None:
    world = World()

    def refuse(call: str) -> None:
        flag = world.flag
        if call == "edge.renew" and flag and flag.record and flag.record.share == 5:
            raise Aborted("the edge cannot follow the release flag", remedy="Take it out.")

    world.before = refuse
    outcome = release(world, world.build("v2"))
    assert outcome.result is Result.ABORTED
    assert "cannot follow" in outcome.reason
    assert world.running(CANARY) == "v1"
    assert_everybody_is_on(world, "v1")
