"""canary-prod beside people, other releases and systems that hang."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slipway.errors import Refused, Unreachable
from slipway.ports import Phase
from slipway.release.outcome import Result
from slipway.release.stop import Stop
from tests.unit.builds import CANARY, OTHER, STABLE, digest
from tests.unit.test_canary import SHORT, assert_everybody_is_on, release
from tests.unit.world import World


def press_the_button(world: World) -> str:
    """What Promote Previous Build does first, and the deploy it starts; its id."""
    assert world.flag is not None
    world.killed, world.killed_version = "77.1-candidate", world.flag.version
    world.flag = replace(
        world.flag, version=world.flag.version + 1, active=False, share=0, record=None
    )
    world.deploy_by_somebody(STABLE, "v1", trigger="api")
    return world.services[STABLE].deploys[-1].id


def test_a_stopped_release_leaves_the_persons_way_back_alone() -> None:
    world, pressed = World(), list[str]()

    def press(call: str) -> None:
        if call == "edge.state" and world.running(STABLE) == "v2" and not pressed:
            pressed.append(press_the_button(world))

    world.before = press
    outcome = release(world, world.build("v2"), **SHORT)
    assert pressed
    assert outcome.result is Result.ABORTED
    theirs = next(d for d in world.services[STABLE].deploys if d.id == pressed[0])
    assert theirs.ends is None
    world.clock.t += 100
    assert_everybody_is_on(world, "v1")


def test_a_button_pressed_at_the_very_end_is_not_overrun_by_success() -> None:
    world, pressed = World(), list[str]()

    def press(call: str) -> None:
        if call == "flags.write stable" and not pressed:
            pressed.append(press_the_button(world))

    world.before = press
    outcome = release(world, world.build("v2"), **SHORT)
    assert pressed
    assert outcome.result is Result.ABORTED


def test_somebody_elses_deploy_on_the_stable_service_is_theirs() -> None:
    world, deployed = World(), list[str]()
    world.build("v9")

    def deploy(call: str) -> None:
        if call == "flags.write settling" and not deployed:
            deployed.append(call)
            world.deploy_by_somebody(STABLE, "v9")

    world.before = deploy
    outcome = release(world, world.build("v2"), **SHORT)
    assert outcome.result is Result.ABORTED
    assert "somebody else is deploying" in outcome.reason
    assert f"render.cancel {STABLE}" not in world.calls


def test_a_canary_service_somebody_redeploys_is_not_judged_as_the_candidate() -> None:
    world, deployed = World(), list[str]()

    def deploy(call: str) -> None:
        if world.clock.t > 180 and not deployed:
            deployed.append(call)
            world.deploy_by_somebody(CANARY, "v1")

    world.before = deploy
    outcome = release(world, world.build("v2"))
    assert outcome.result is Result.ABORTED
    assert "is being judged" in outcome.reason
    assert_everybody_is_on(world, "v1")


def test_a_release_that_lost_the_edge_does_not_end_the_one_that_took_over() -> None:
    world = World()

    def take_over(call: str) -> None:
        if call == "edge.counts" and world.clock.t > 300 and world.lease:
            if world.lease[0] == "88.1-other":
                return
            assert world.flag is not None
            assert world.flag.record is not None
            record = replace(
                world.flag.record, release="88.1-other", candidate=digest("v1"), holder=OTHER
            )
            world.lease = ("88.1-other", OTHER, world.clock.t + 10_000)
            world.flag = replace(world.flag, version=world.flag.version + 1, record=record)

    world.after = take_over
    outcome = release(world, world.build("v2"))
    assert outcome.result is Result.ABORTED
    assert world.effective_share() == 5
    assert world.flag is not None
    assert world.flag.active


def test_a_lapsed_lease_is_never_taken_again_in_silence() -> None:
    world, hung = World(), list[str]()

    def hang(call: str) -> None:
        if call == f"render.deploy {STABLE}" and not hung:
            hung.append(call)
            world.clock.t += 185

    world.after = hang
    outcome = release(world, world.build("v2"), **SHORT)
    assert hung
    assert outcome.result is Result.ABORTED
    assert "s went by since the lease" in outcome.reason


def test_the_candidate_is_judged_while_the_canary_service_grows() -> None:
    world = World()
    artifact = world.build("v2")

    def break_it(call: str) -> None:
        if call == f"render.scale {CANARY}":
            world.builds["v2"].error_rate = 0.5
            world.services[CANARY].scaled_at = 1e9

    world.after = break_it
    outcome = release(world, artifact)
    assert outcome.result is Result.ROLLED_BACK
    assert world.clock.t < 900


def test_a_log_that_cannot_be_written_does_not_hold_the_way_back() -> None:
    world = World()
    ports = world.ports()

    def broken(entry: object) -> None:
        raise BrokenPipeError

    ports.journal._listeners = (broken,)
    stop: Stop = world.stop(ports)
    assert stop.to_zero("a test", release=None).safe


def test_a_bug_in_a_release_goes_back_and_keeps_its_outcome() -> None:
    world = World()

    def bug(call: str) -> None:
        if call == "edge.counts" and world.clock.t > 300:
            raise ZeroDivisionError

    world.before = bug
    outcome = release(world, world.build("v2"))
    assert outcome.result is Result.ABORTED
    assert "internal error: ZeroDivisionError" in outcome.reason
    assert_everybody_is_on(world, "v1")


def test_a_posthog_that_hangs_does_not_hold_the_way_back() -> None:
    world = World()

    def hang(call: str) -> None:
        if call == "flags.read" and world.clock.t > 60:
            world.clock.t += 100
            raise Unreachable("PostHog does not answer", remedy="Wait.")

    world.before = hang
    outcome = release(world, world.build("v2", error_rate=0.5))
    assert outcome.result is Result.ROLLED_BACK
    assert outcome.seconds_to_zero is not None
    assert outcome.seconds_to_zero < 1
    assert world.effective_share() == 0


def test_a_build_older_than_what_is_live_is_refused() -> None:
    world = World()
    world.seed(STABLE, "v2", "v3")
    with pytest.raises(Refused, match="is behind"):
        release(world, world.build("v1"))


def test_a_build_that_was_gone_back_from_may_be_released_again() -> None:
    world = World()
    world.seed(STABLE, "v2", "v1")
    assert release(world, world.build("v2")).result is Result.PROMOTED


def test_a_release_begins_in_the_phase_deploying() -> None:
    world, seen = World(), list[Phase]()
    world.after = lambda call: (
        seen.append(world.flag.record.phase)
        if call.startswith("flags.write") and world.flag and world.flag.record
        else None
    )
    release(world, world.build("v2"), **SHORT)
    assert seen[0] is Phase.DEPLOYING


def test_an_edge_that_follows_another_flag_is_found_out_before_anything_changes() -> None:
    world = World()
    world.edge_flag = "release-canry"
    with pytest.raises(Refused, match="follows the flag 'release-canry'"):
        release(world, world.build("v2"))
    assert not [c for c in world.calls if "write" in c or "start" in c]


@pytest.mark.parametrize("service", [CANARY, STABLE])
def test_a_deploy_that_goes_live_with_another_build_is_never_a_success(service: str) -> None:
    """Render built or pulled something else than was asked for: the read-back finds it."""
    world = World()
    artifact = world.build("v2")
    other = world.builds["v1"]

    def swap(call: str) -> None:
        if call == f"render.start {service}":
            world.services[service].deploys[-1].build = other

    world.after = swap
    outcome = release(world, artifact, **SHORT)
    assert outcome.result is Result.ABORTED
    assert "went live with" in outcome.reason
    assert_everybody_is_on(world, "v1")
