"""A release whose runner died is ended, or finished, and the record says which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from slipway.errors import Refused, Unreachable
from slipway.ports import Phase
from slipway.release.outcome import Result
from tests.unit.builds import CANARY, HOLDER, OTHER, STABLE, Build, digest
from tests.unit.dying import (
    RunnerDied,
    assert_everybody_is_on,
    dies,
    lapse,
    put_in_order,
    record,
    release,
)
from tests.unit.world import World
from tests.unit.world_ports import MemoryFlags


@pytest.mark.parametrize("at", ["flags.write canary", "edge.counts", "flags.write baking"])
def test_a_release_that_died_before_settling_is_ended_and_everybody_is_on_the_old_build(
    at: str,
) -> None:
    world = dies(at)
    lapse(world)
    outcome = put_in_order(world)
    assert (outcome.result, outcome.exit_code) == (Result.ABORTED, 0)
    assert_everybody_is_on(world, "v1")
    assert "Release it again" in (outcome.remedy or ""), "the build is not blamed"


def test_a_release_that_died_while_settling_had_passed_and_is_finished() -> None:
    world = dies(f"render.start {STABLE}", after=True)
    lapse(world)
    outcome = put_in_order(world)
    assert outcome.result is Result.PROMOTED
    assert_everybody_is_on(world, "v2")


def test_it_is_finished_even_where_render_never_heard_of_the_deploy() -> None:
    world = dies(f"render.start {STABLE}")
    lapse(world)
    assert put_in_order(world).result is Result.PROMOTED
    assert_everybody_is_on(world, "v2")


def test_where_it_cannot_be_finished_everybody_is_on_the_old_build() -> None:
    world = dies(f"render.start {STABLE}")
    world.builds["v2"].becomes_live = False
    lapse(world)
    assert put_in_order(world).result is Result.ABORTED
    assert_everybody_is_on(world, "v1")


def test_a_release_that_is_alive_is_left_alone() -> None:
    world = dies("edge.counts")
    asked = len(world.calls)
    outcome = put_in_order(world)
    assert outcome.result is Result.UNCHANGED
    assert "77.1-v2 holds the edge" in outcome.reason
    assert not [c for c in world.calls[asked:] if "kill" in c or "write" in c]


def test_finalize_waits_for_no_lease_of_its_own_run_and_latches_the_dead_release() -> None:
    world = dies("edge.counts")
    outcome = put_in_order(world, holder=HOLDER, finalize=True)
    assert outcome.result is Result.ABORTED
    assert "edge.kill" in world.calls, "until the record of reconcile itself ends the latch"
    assert_everybody_is_on(world, "v1")


def test_finalize_leaves_the_release_of_another_run_alone() -> None:
    assert put_in_order(dies("edge.counts"), finalize=True).result is Result.UNCHANGED


def test_a_way_back_that_died_is_never_resumed_forwards() -> None:
    world = dies(f"render.start {STABLE}", after=True)
    ports = world.ports()
    world.before = _raising("render.deploys", RunnerDied)
    world.stop(ports).to_zero("it is bad", release=None)
    with pytest.raises(RunnerDied):
        ports.platform.deploys(STABLE)
    world.before = lambda call: None
    assert record(world).phase is Phase.ROLLING_BACK
    lapse(world)
    assert put_in_order(world).result is Result.ABORTED
    assert_everybody_is_on(world, "v1")


def _raising(prefix: str, error: type[BaseException]) -> Callable[[str], None]:
    def hook(call: str) -> None:
        if call.startswith(prefix):
            raise error

    return hook


def test_the_canary_service_gets_the_instances_back_that_it_had() -> None:
    world = dies("flags.write baking")
    assert world.services[CANARY].instances == 2
    lapse(world)
    put_in_order(world)
    assert world.services[CANARY].instances == 1


def test_where_render_does_not_answer_it_is_frozen_and_the_next_try_goes_on() -> None:
    world = dies(f"render.start {STABLE}", after=True)
    lapse(world)
    world.before = _down("render.deploy")
    outcome = put_in_order(world)
    assert (outcome.result, outcome.exit_code) == (Result.FROZEN, 5)
    assert world.effective_share() == 0
    world.before = lambda call: None
    assert put_in_order(world).exit_code == 0
    assert_everybody_is_on(world, "v2")


def _down(prefix: str) -> Callable[[str], None]:
    def hook(call: str) -> None:
        if call.startswith(prefix):
            raise Unreachable(f"{call}: no answer", remedy="Try again.")

    return hook


def test_where_nothing_is_left_nothing_is_changed() -> None:
    world = dies("edge.counts")
    lapse(world)
    put_in_order(world)
    before = world.flag
    outcome = put_in_order(world)
    assert (outcome.result, outcome.exit_code) == (Result.UNCHANGED, 0)
    assert world.flag == before


def test_a_release_that_died_before_it_told_github_has_passed_where_the_record_says_so() -> None:
    world = dies("edge.give_back")
    assert (record(world).phase, record(world).stable_build) == (Phase.STABLE, digest("v2"))
    lapse(world)
    assert put_in_order(world).result is Result.UNCHANGED
    assert "v2" not in world.unvouched
    assert not world.in_progress


def test_what_a_kill_by_hand_left_on_the_stable_service_is_not_vouched_for() -> None:
    world = dies(f"render.start {STABLE}", after=True)
    assert world.flag is not None
    MemoryFlags(world).kill(world.flag)
    lapse(world)
    put_in_order(world)
    assert record(world).stable_build == digest("v2"), "the record says what serves"
    assert "v2" in world.unvouched


def test_after_a_deploy_past_slipway_the_record_names_what_serves() -> None:
    world = dies("edge.counts")
    lapse(world)
    put_in_order(world)
    world.builds["v9"] = Build("v9")
    world.deploy_by_somebody(STABLE, "v9")
    lapse(world)
    assert "the record says so now" in put_in_order(world).reason
    assert record(world).stable_build == digest("v9")


def test_the_next_release_ends_a_dead_one_first_and_is_not_refused() -> None:
    world = dies(f"render.start {STABLE}", after=True)
    outcome = release(world, world.build("v3"), holder=OTHER)
    assert outcome.result is Result.PROMOTED, outcome.reason
    assert outcome.previous_build == digest("v2"), "what had settled is what is gone back to"
    assert_everybody_is_on(world, "v3")


def test_the_next_release_is_refused_where_what_is_left_cannot_be_put_in_order() -> None:
    world = dies(f"render.start {STABLE}", after=True)
    artifact = world.build("v3")
    world.before = _down("render.deploy")
    with pytest.raises(Refused, match="could not be put in order"):
        release(world, artifact, holder=OTHER)
    assert world.effective_share() == 0
    assert world.lease is None


def test_after_a_job_that_was_cancelled_while_settling_finalize_goes_back() -> None:
    world = World()

    def cancel(call: str) -> None:
        if call == f"render.start {STABLE}":
            world.clock.cancel_at = world.clock.t + 10

    world.after = cancel
    assert release(world, world.build("v2")).result is Result.ABORTED
    world.clock.cancel_at = None
    assert record(world).phase is Phase.ROLLING_BACK, "which build serves was not asked any more"
    put_in_order(world, holder=HOLDER, finalize=True)
    assert_everybody_is_on(world, "v1")


def test_a_way_back_that_render_did_not_let_through_is_frozen_and_reconcile_goes_on() -> None:
    world = World()

    def break_down(call: str) -> None:
        if world.running(STABLE) == "v2":
            world.builds["v2"].healthy = False
            world.before = _down(f"render.start {STABLE}")

    world.before = break_down
    outcome = release(world, world.build("v2"))
    assert outcome.result is Result.FROZEN, outcome.reason
    assert (record(world).phase, record(world).stable_build) == (Phase.FROZEN, digest("v1"))
    assert world.running(STABLE) == "v2"
    world.before = lambda call: None
    assert put_in_order(world).exit_code == 0
    assert_everybody_is_on(world, "v1")


def test_a_lease_that_was_given_back_is_not_taken_again_by_who_held_on_to_it() -> None:
    world = World()
    traffic = world.traffic(world.ports(), "77.1-v2", digest("v2"))
    traffic.lease.keep_alive(force=True)
    world.clock.sleep(60)
    traffic.lease.hold_on()
    assert world.lease
    assert world.lease[2] == 60 + 180
    traffic.lease.give_back()
    world.clock.sleep(60)
    traffic.lease.hold_on()
    assert world.lease is None


def test_a_record_of_another_version_is_left_to_that_version_while_the_flag_is_on() -> None:
    world = dies("edge.counts")
    lapse(world)
    assert world.flag is not None
    newer = {"payloads": {"true": '{"v": 2}'}}
    world.flag = replace(world.flag, record=None, filters=newer)
    with pytest.raises(Refused, match="no record that this version of Slipway can read"):
        put_in_order(world)
    assert world.flag.filters == newer
