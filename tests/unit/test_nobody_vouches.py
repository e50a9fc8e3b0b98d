"""What did not pass is vouched for by nobody, whoever finds it on the stable service."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slipway.errors import Unreachable
from slipway.ports import Phase
from slipway.release import abort, direct
from slipway.release.outcome import Outcome, Result
from slipway.release.takeover import Order
from tests.unit.builds import HOLDER, OTHER, STABLE, Build, digest
from tests.unit.dying import (
    RunnerDied,
    dies,
    lapse,
    put_in_order,
    record,
    release,
)
from tests.unit.test_died_in_between import ANA
from tests.unit.world import World, settings


def order(release: str = "89.1-abort") -> Order:
    return Order(
        release=release,
        settings=settings(),
        stable=STABLE,
        reason="orders are lost",
        actor="ana",
        holder=ANA,
    )


def goes_live(world: World, name: str) -> None:
    """Somebody deploys a build by hand, and it has become live."""
    world.builds.setdefault(name, Build(name))
    world.deploy_by_somebody(STABLE, name)
    world.clock.sleep(world.deploy_seconds + 1)


def judged_bad_on_stable() -> World:
    """A build that is live on the stable service, and whose release is being gone back from."""
    world = dies(f"render.start {STABLE}", after=True)
    world.clock.sleep(world.deploy_seconds + 1)
    ports = world.ports()
    world.traffic(ports, "77.1-v2", digest("v2")).to_zero("it is bad")
    assert (world.running(STABLE), record(world).phase) == ("v2", Phase.ROLLING_BACK)
    lapse(world)
    return world


def test_a_build_being_gone_back_from_has_not_passed_because_somebody_else_deploys() -> None:
    world = judged_bad_on_stable()
    world.builds["v9"] = Build("v9")
    world.deploy_by_somebody(STABLE, "v9")
    outcome = put_in_order(world)
    assert outcome.result is not Result.PROMOTED, outcome.reason
    assert record(world).phase is Phase.ROLLING_BACK, "there is still something to go back from"
    assert "v2" in world.unvouched
    lapse(world)
    put_in_order(world)
    assert (world.running(STABLE), record(world).stable_build) == ("v9", digest("v9"))
    assert "v2" in world.unvouched


def test_a_candidate_that_somebody_deployed_by_hand_has_not_passed_by_that() -> None:
    world = dies("edge.counts")
    goes_live(world, "v2")
    lapse(world)
    outcome = put_in_order(world)
    assert outcome.result is not Result.PROMOTED, outcome.reason
    assert record(world).stable_build == digest("v2"), "the record says what serves"
    put_in_order(world)
    assert "v2" in world.unvouched


def test_another_build_that_is_found_is_vouched_for_by_no_later_reconcile() -> None:
    world = dies("edge.counts")
    artifact = world.build("v9")

    def die(call: str) -> None:
        if world.running(STABLE) == "v9":
            raise RunnerDied

    world.in_progress.add("v9")
    ports = world.ports()
    world.before = die
    with pytest.raises(RunnerDied):
        direct.run(
            direct.Plan(
                release="89.1-v9",
                settings=settings(),
                stable=STABLE,
                reason="no time",
                actor="ana",
                holder=ANA,
                artifact=artifact,
            ),
            ports,
            world.stop(ports),
        )
    world.before = lambda call: None
    lapse(world)
    for _ in range(2):
        put_in_order(world)
    assert record(world).stable_build == digest("v9")
    assert "v9" in world.unvouched, "nobody saw it answer"


def test_ending_what_is_not_under_way_vouches_for_no_build_whose_run_died() -> None:
    world = World()
    world.build("v2")
    world.in_progress.add("v2")  # a rolling release of it died in its watch
    goes_live(world, "v2")
    ports = world.ports()
    assert abort.run(order(), ports, world.stop(ports)).result is Result.UNCHANGED
    put_in_order(world)
    assert "v2" in world.unvouched


def test_a_way_back_that_left_the_bad_build_serving_does_not_say_it_is_stable() -> None:
    world = World()

    def somebody(call: str) -> None:
        if world.running(STABLE) == "v2" and world.builds["v2"].healthy:
            world.builds["v2"].healthy = False
            world.builds["v9"] = Build("v9", status="build_failed")
            world.deploy_by_somebody(STABLE, "v9")

    world.before = somebody
    outcome: Outcome = release(world, world.build("v2"))
    assert outcome.result is Result.FROZEN, outcome.reason
    assert (record(world).phase, record(world).stable_build) == (Phase.FROZEN, digest("v1"))
    world.before = lambda call: None
    lapse(world)
    put_in_order(world, holder=OTHER)
    assert world.running(STABLE) == "v1"


@pytest.mark.parametrize("live", [True, False], ids=["it was live", "its deploy was cancelled"])
def test_what_was_judged_bad_is_not_settled_once_the_edge_has_forgotten_the_kill(
    *, live: bool
) -> None:
    world = World()

    def posthog_is_down(call: str) -> None:
        settles = f"render.start {STABLE}" in world.calls
        if settles and not live:
            world.deploy_seconds = 400
        if world.running(STABLE) == "v2" if live else settles:
            world.builds["v2"].healthy = False
            if call.startswith("flags"):
                raise Unreachable(f"{call}: no answer", remedy="Try again.")

    world.before = posthog_is_down
    assert release(world, world.build("v2")).result is Result.ROLLED_BACK
    world.blamed.add("v2")
    world.before = lambda call: None
    assert record(world).phase is Phase.SETTLING, "PostHog could not be told"
    world.builds["v2"].healthy = True
    world.deploy_seconds = 40
    world.killed = None  # every instance of the edge was replaced
    lapse(world)
    put_in_order(world)
    assert world.running(STABLE) == "v1"


def test_a_settling_build_that_a_person_has_replaced_is_not_deployed_over_theirs() -> None:
    world = dies(f"render.start {STABLE}", after=True)
    world.clock.sleep(world.deploy_seconds + 1)
    goes_live(world, "v0")
    lapse(world)
    put_in_order(world, holder=HOLDER)
    assert world.running(STABLE) == "v0", "what somebody deploys by hand stays"


def test_what_observing_would_have_stopped_has_not_passed_though_its_run_died_at_the_end() -> None:
    world = World()
    artifact = world.build("v2", error_rate=0.3)
    world.in_progress.add("v2")

    def die(call: str) -> None:
        if call == "edge.give_back":
            raise RunnerDied

    world.before = die
    ports = replace(world.ports(), observe=True)
    with pytest.raises(RunnerDied):
        release(world, artifact, ports=ports)
    world.before = lambda call: None
    assert ports.journal.would_have
    lapse(world)
    put_in_order(world)
    assert (world.running(STABLE), record(world).stable_build) == ("v2", digest("v2"))
    assert "v2" in world.unvouched
