"""The way back, among people, outages and bad luck: each once went wrong."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.errors import Cancelled, Refused, Unreachable
from slipway.ports import DeployStatus, Phase
from slipway.release.outcome import Result
from slipway.release.traffic import Traffic
from tests.unit.builds import CANARY, OTHER, STABLE, digest
from tests.unit.test_canary import SHORT, release
from tests.unit.test_rollback import press
from tests.unit.world import World


def under_way(world: World, candidate: str = "v2", phase: Phase = Phase.CANARY) -> Traffic:
    ports = world.ports()
    t = world.traffic(ports, "77.1-candidate", digest(candidate))
    live = next(d for d in ports.platform.deploys(STABLE) if d.status is DeployStatus.LIVE)
    t.begin(live)
    t.set(phase, 5, "x")
    return t


def test_what_the_release_starts_just_after_the_button_looked_does_not_stay() -> None:
    world, outs = World(), list[Any]()
    art = world.build("v2")
    world.deploy_seconds = 8.0

    def p(call: str) -> None:
        if call == f"render.start {STABLE}" and not outs:
            outs.append(None)
            outs[0] = press(world)

    world.before = p
    out = release(world, art, **SHORT)
    world.clock.t += 100
    assert world.running(STABLE) == "v1", (out.result, out.reason, outs[0].result, outs[0].reason)


def test_a_build_judged_bad_while_settling_leaves_a_persons_deploy_alone() -> None:
    world, theirs = World(), list[Any]()
    art = world.build("v2")

    def person(call: str) -> None:
        if call == f"render.start {STABLE}" and not theirs:
            world.builds["v2"].error_rate = 0.5
            world.deploy_by_somebody(STABLE, "v0", trigger="rollback")
            theirs.append(world.services[STABLE].deploys[-1])

    world.after = person
    out = release(world, art, **SHORT)
    assert out.result is Result.ROLLED_BACK
    assert theirs
    assert theirs[0].ends is None, (out.reason, theirs)


def test_the_canary_keeps_its_instances_while_sellers_may_be_on_it() -> None:
    world = World()
    seen = []
    art = world.build("v2")

    def gone(call: str) -> None:
        if (
            world.flag
            and world.flag.record
            and world.flag.record.phase is Phase.BAKING
            and world.clock.t > 150
        ):
            if call.startswith(("edge.", "flags.")):
                raise Unreachable("no", remedy="x")
            if call == f"render.scale {CANARY}":
                seen.append(world.effective_share())

    world.before = gone
    out = release(world, art, **SHORT)
    assert not any(seen), (seen, out.result, out.reason, world.clock.t)


def test_an_edge_that_just_restarted_does_not_send_the_button_too_far_back() -> None:
    world = World()
    world.build("v2")
    under_way(world)
    world.lease = None
    out = press(world)
    assert world.running(STABLE) == "v1", out.reason


def test_a_way_back_made_at_render_during_a_release_is_not_overrun() -> None:
    world, done = World(), list[Any]()
    art = world.build("v2")

    def person(call: str) -> None:
        if call == "edge.counts" and world.clock.t > 100 and not done:
            done.append(1)
            world.deploy_by_somebody(STABLE, "v0", trigger="rollback")

    world.after = person
    out = release(world, art, **SHORT)
    assert out.result is Result.ABORTED, out.reason
    assert world.running(STABLE) == "v0"


def test_the_canary_deploy_of_the_next_release_is_left_alone() -> None:
    world, d = World(), list[Any]()
    art = world.build("v2", error_rate=0.5)
    world.build("v3")

    def other(call: str) -> None:
        if call == "edge.give_back" and not d:
            world.lease = ("88.1-next", OTHER, world.clock.t + 1000)
            world.deploy_by_somebody(CANARY, "v3")
            d.append(world.services[CANARY].deploys[-1])

    world.after = other
    out = release(world, art, **SHORT)
    assert d[0].ends is None, (out.result, d)


def test_the_button_ends_a_deploy_whose_build_render_does_not_say_yet() -> None:
    world = World()
    world.silent_while_running = True
    world.build("v2")
    under_way(world, phase=Phase.SETTLING)
    world.deploy_by_somebody(STABLE, "v2", trigger="api")
    out = press(world)
    world.clock.t += 100
    assert world.running(STABLE) == "v1", (out.result, out.reason)


def test_a_cancelled_job_ends_its_own_deploy_though_render_does_not_say_its_build() -> None:
    world = World()
    world.silent_while_running = True
    art = world.build("v2")

    def c(call: str) -> None:
        if call == f"render.start {STABLE}":
            world.clock.cancel_at = world.clock.t + 3

    world.after = c
    out = release(world, art, **SHORT)
    world.clock.t += 100
    assert world.running(STABLE) == "v1", (out.result, out.reason, out.build)


def test_a_cancel_while_the_record_is_closed_does_not_lose_the_outcome() -> None:
    world = World()

    def c(call: str) -> None:
        if call == "flags.write stable":
            raise Cancelled("stopped in a retry's pause", remedy="x")

    world.before = c
    press(world)


def test_an_old_build_is_known_after_many_deploys() -> None:
    world = World()
    world.seed(STABLE, *[f"w{n}" for n in range(25)])
    with pytest.raises(Refused):
        release(world, world.build("v1"), **SHORT)


def test_nobody_waits_for_the_canary_to_be_put_back() -> None:
    world = World()
    art = world.build("v2", error_rate=0.5)
    world.builds["v1"].becomes_live = False
    for s in world.services.values():
        for dd in s.deploys:
            dd.live_at = dd.created + 40
    at = []

    def c(call: str) -> None:
        if call == f"render.start {CANARY}" and world.clock.t > 60:
            world.clock.cancel_at = world.clock.t + 2
            at.append(world.clock.t)

    world.after = c
    out = release(world, art, **SHORT)
    assert world.clock.t - at[0] < 12, (world.clock.t - at[0], out.result)


def test_an_old_record_is_dead_without_asking_the_edge() -> None:
    world = World()
    world.build("v2")
    under_way(world)
    world.clock.t += 100000

    def f(call: str) -> None:
        if call.startswith("edge."):
            raise Unreachable("x", remedy="y")

    world.before = f
    out = press(world)
    assert world.running(STABLE) == "v0", (out.result, out.exit_code, out.reason)


def test_a_refusal_in_the_middle_is_not_called_untouched() -> None:
    world = World()
    world.build("v2")
    world.deploy_by_somebody(STABLE, "v2")

    def f(call: str) -> None:
        if call == f"render.start {STABLE}":
            raise Refused("409 state conflict", remedy="y")

    world.before = f
    out = press(world)
    assert "not touched" not in out.reason, (out.reason, [c for c in world.calls if "cancel" in c])


def test_a_build_that_fails_every_request_at_night_is_not_promoted() -> None:
    world = World()
    art = world.build("v2", error_rate_under_load=1.0)

    def night(call: str) -> None:
        if call == "flags.write baking":
            world.requests_per_second = 0.5

    world.after = night
    out = release(world, art, **SHORT)
    assert out.result is Result.ROLLED_BACK, (out.result, out.reason, world.running(STABLE))


def test_a_deploy_that_lands_before_its_cancel_is_taken_back() -> None:
    world = World()
    world.build("v2")
    under_way(world, phase=Phase.SETTLING)
    world.deploy_by_somebody(STABLE, "v2", trigger="api")

    def land(call: str) -> None:
        if call == f"render.cancel {STABLE}":
            world.clock.t += 60
            world.running(STABLE)

    world.before = land
    out = press(world)
    assert world.running(STABLE) == "v1", (out.result, out.exit_code, out.reason)


def test_a_way_back_with_another_target_wins_over_a_release_that_goes_back_too() -> None:
    world, outs = World(), list[Any]()
    world.services[STABLE].deploys.clear()
    world.seed(STABLE, "vA", "v0", "v1")
    art = world.build("v2")

    def p(call: str) -> None:
        if call == f"render.start {STABLE}" and not outs:
            outs.append(None)
            world.builds["v2"].error_rate = 0.5
            world.deploy_by_somebody(STABLE, "vA", trigger="api")
            outs[0] = world.services[STABLE].deploys[-1]

    world.after = p
    out = release(world, art, **SHORT)
    world.clock.t += 200
    assert world.running(STABLE) == "vA", (out.result, world.running(STABLE), outs[0].ends)


def test_a_running_deploy_that_hangs_does_not_use_up_the_way_back() -> None:
    world = World()
    world.builds["v0"].becomes_live = False
    for d in world.services[STABLE].deploys:
        d.live_at = d.created + 40
    world.deploy_by_somebody(STABLE, "v0", trigger="manual")

    def cure(call: str) -> None:
        if call == f"render.start {STABLE}":
            world.builds["v0"].becomes_live = True

    world.before = cure
    out = press(world, digest("v0"))
    assert out.result is Result.PROMOTED_PREVIOUS, (
        out.result,
        world.clock.t,
        out.reason,
        [c for c in world.calls if "start" in c],
    )


def test_a_deploy_that_is_cancelled_every_time_is_given_up_soon() -> None:
    world = World()
    n = []

    def cancel(call: str) -> None:
        if call == f"render.start {STABLE}":
            n.append(1)
            world.services[STABLE].deploys[-1].ends = "canceled"

    world.after = cancel
    out = press(world)
    assert len(n) < 10, (len(n), world.clock.t, out.result, out.reason)


def test_the_report_names_what_serves_even_if_somebody_else_deployed_it() -> None:
    world, done = World(), list[Any]()
    art = world.build("v2", error_rate=0.0)

    def person(call: str) -> None:
        if call == "edge.counts" and world.clock.t > 60 and not done:
            done.append(1)
            world.deploy_by_somebody(STABLE, "v0", trigger="rollback")
        if done and world.running(STABLE) == "v0":
            world.builds["v2"].error_rate = 0.5

    world.after = person
    out = release(world, art)
    serves = world.running(STABLE)
    assert serves is not None
    assert out.build == digest(serves), (out.result, out.reason)


def test_a_cancelled_job_does_not_claim_a_build_that_it_had_no_time_to_ask_for() -> None:
    world = World()
    art = world.build("v2")

    def c(call: str) -> None:
        if call == f"render.start {STABLE}":
            world.clock.cancel_at = world.clock.t + world.deploy_seconds + 1

    world.after = c
    out = release(world, art, **SHORT)
    assert out.result is Result.ABORTED
    assert world.running(STABLE) == "v2"
    assert out.build == ""
