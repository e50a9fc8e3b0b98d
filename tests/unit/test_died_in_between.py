"""A run that dies between two things it does: whoever comes next does the other, and no more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from slipway.errors import Unreachable
from slipway.ports import Holder, Phase
from slipway.release import reconcile, rollback
from slipway.release.outcome import Outcome, Result
from tests.unit.builds import CANARY, HOLDER, OTHER, STABLE, digest, image
from tests.unit.dying import SHORT as SHORTEST
from tests.unit.dying import (
    RunnerDied,
    assert_everybody_is_on,
    dies,
    lapse,
    put_in_order,
    record,
)
from tests.unit.dying import release as push
from tests.unit.test_canary import SHORT, release
from tests.unit.world import World, fail_once, settings
from tests.unit.world_ports import MemoryFlags, MemoryRender

SETTLING = 110.0
"""Seconds after it was live on the canary service at which a build is settling, with SHORTEST."""
ANA = Holder(run_id="89", attempt=1)


def press(world: World, holder: Holder = ANA) -> Outcome:
    ports = world.ports()
    plan = rollback.Plan(
        release=f"{holder.run_id}.{holder.attempt}-rollback",
        settings=settings(),
        stable=STABLE,
        target="previous",
        reason="orders are lost",
        actor="ana",
        holder=holder,
    )
    return rollback.run(plan, ports, world.stop(ports))


def test_a_way_back_over_a_dead_release_is_in_its_record_and_reconcile_does_the_rest() -> None:
    world = dies("flags.write baking")
    press(world)
    left = record(world)
    assert (left.phase, left.stable_build) == (Phase.ROLLING_BACK, digest("v1"))
    assert world.services[CANARY].instances == 2, "a rollback knows nothing of the canary service"
    lapse(world)
    put_in_order(world)
    assert_everybody_is_on(world, "v1")
    assert world.services[CANARY].instances == 1
    assert not world.in_progress


def test_a_way_back_that_died_is_finished_by_the_next_and_the_record_is_stable() -> None:
    world = World()
    world.before = _die_at(f"render.start {STABLE}")
    with pytest.raises(RunnerDied):
        press(world, OTHER)
    world.before = lambda call: None
    assert record(world).phase is Phase.ROLLING_BACK
    press(world)
    assert_everybody_is_on(world, "v0")


def _die_at(name: str) -> Callable[[str], None]:
    def hook(call: str) -> None:
        if call == name:
            raise RunnerDied

    return hook


@pytest.mark.parametrize("at", ["edge.give_back", "flags.write stable"])
def test_a_release_that_died_before_it_scaled_back_is_scaled_back(at: str) -> None:
    world = dies(at, after=True)
    assert world.services[CANARY].instances == 2
    lapse(world)
    put_in_order(world)
    assert world.services[CANARY].instances == 1
    assert_everybody_is_on(world, "v2")
    world.services[CANARY].instances = 3
    put_in_order(world)
    assert world.services[CANARY].instances == 3, "what a person sets later is left alone"


def test_a_reconcile_that_dies_before_it_scales_back_leaves_that_to_the_next() -> None:
    world = dies("edge.give_back")
    lapse(world)
    world.before = _die_at(f"render.scale {CANARY}")
    with pytest.raises(RunnerDied):
        put_in_order(world)
    world.before = lambda call: None
    lapse(world)
    put_in_order(world)
    assert world.services[CANARY].instances == 1


def test_finalize_finishes_a_release_that_was_settling_though_it_latches_it_first() -> None:
    world = dies(f"render.start {STABLE}", after=True)
    outcome = put_in_order(world, holder=HOLDER, finalize=True)
    assert "edge.kill" in world.calls
    assert outcome.result is Result.PROMOTED
    assert_everybody_is_on(world, "v2")


def test_what_was_stopped_at_the_edge_before_is_not_finished_by_finalize() -> None:
    world = dies(f"render.start {STABLE}", after=True)
    world.killed, world.killed_version = "77.1-v2", world.flag.version if world.flag else 0
    put_in_order(world, holder=HOLDER, finalize=True)
    assert_everybody_is_on(world, "v1")


def test_what_nobody_vouches_for_is_vouched_for_by_no_number_of_reconciles() -> None:
    world = dies(f"render.start {STABLE}", after=True)
    assert world.flag is not None
    MemoryFlags(world).kill(world.flag)
    lapse(world)
    for _ in range(3):
        put_in_order(world)
    assert record(world).stable_build == digest("v2"), "the record says what serves"
    assert "v2" in world.unvouched


def test_a_deploy_that_was_on_its_way_when_its_runner_died_is_not_met_half_way() -> None:
    world = dies(f"render.start {STABLE}")
    world.overlap = "wait"
    at = world.clock.t + 1
    world.landing.append((at, lambda: MemoryRender(world).start_deploy(STABLE, image("v2"))))
    outcome = put_in_order(world, holder=HOLDER, finalize=True)
    assert outcome.result is Result.PROMOTED, outcome.reason
    assert not world.running_deploys(world.services[STABLE])


def test_one_lost_answer_in_the_last_moment_does_not_end_a_release_that_has_passed() -> None:
    good = World()
    release(good, good.build("v2"), **SHORT)
    last = max(i for i, c in enumerate(good.calls) if c == f"render.deploys {STABLE}")
    world = World()
    fail_once(last, after=True)(world)
    assert release(world, world.build("v2"), **SHORT).result is Result.PROMOTED
    assert_everybody_is_on(world, "v2")


def test_the_canary_service_is_scaled_back_though_one_call_gets_no_answer() -> None:
    world = World()
    fail_once(1, after=False, matching=f"render.scale {CANARY}")(world)
    assert release(world, world.build("v2"), **SHORT).result is Result.PROMOTED
    assert world.services[CANARY].instances == 1


def test_a_release_that_hung_while_another_was_promoted_goes_back_over_nothing_of_it() -> None:
    world = World()
    bad = world.build("v2", sick_after=SETTLING)
    newer = world.build("v3")
    hung: list[str] = []

    def hang(call: str) -> None:
        if call == "edge.kill" and "flags.write settling" in world.calls and not hung:
            hung.append(call)
            world.rewinds = False
            lapse(world)
            put_in_order(world)
            world.in_progress.clear()
            world.unvouched.discard("v2")
            newest = push(world, newer, holder=OTHER, short=SHORT)
            assert newest.result is Result.PROMOTED

    world.before = hang
    release(world, bad, **SHORTEST)
    assert hung
    assert world.running(STABLE) == "v3"
    assert world.effective_share() == 0


def test_a_button_takes_back_the_canary_alone_though_a_peer_is_silent_and_posthog_is_down() -> None:
    world = World()
    pressed: list[Outcome] = []

    def meanwhile(call: str) -> None:
        if call == "edge.counts" and world.effective_share() and not pressed:
            world.silent_peers = ("10.0.0.2",)
            world.before = lambda call: down(call) if call.startswith("flags") else None
            pressed.append(press(world))
            world.before = lambda call: None

    def down(call: str) -> None:
        raise Unreachable(f"{call}: no answer", remedy="Try again.")

    world.before = meanwhile
    release(world, world.build("v2"), **SHORT)
    assert world.running(STABLE) == "v1", "which was good, and is what the canary goes back to"
    assert pressed[0].build == digest("v1")
    assert pressed[0].result is Result.FROZEN, "share 0 was confirmed by neither"


@pytest.mark.parametrize("at", ["flags.write canary", f"render.start {STABLE}"])
def test_a_dead_release_is_put_in_order_with_a_lease_shorter_than_two_confirmations(
    at: str,
) -> None:
    world = dies(at)
    lapse(world)
    ports = replace(world.ports(), confirm=100.0)  # more than half of the lease
    plan = reconcile.Plan(
        release="88.1-reconcile",
        settings=settings(**SHORTEST),
        stable=STABLE,
        canary=CANARY,
        holder=OTHER,
    )
    traffic = world.traffic(ports, plan.release, "", holder=OTHER)
    assert reconcile.run(plan, ports, traffic).exit_code == 0


def test_two_people_who_press_the_button_at_once_take_back_the_canary_alone() -> None:
    world = World()
    pressed: list[Outcome] = []

    def meanwhile(call: str) -> None:
        if call == "edge.counts" and world.effective_share() and not pressed:
            world.before = lambda call: None
            pressed.append(press(world))
            pressed.append(press(world, Holder(run_id="90", attempt=1)))

    world.before = meanwhile
    release(world, world.build("v2"), **SHORT)
    assert pressed[1].result is Result.UNCHANGED
    assert world.running(STABLE) == "v1", "which nobody has found bad"
