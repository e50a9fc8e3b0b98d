"""What an outage leaves to Reconcile, or to a person who is told so."""

from __future__ import annotations

from slipway.release.outcome import Result
from tests.unit.builds import CANARY, STABLE, digest
from tests.unit.dying import (
    assert_everybody_is_on,
    dies,
    lapse,
    put_in_order,
    record,
    release,
)
from tests.unit.outages import (
    SHORTER,
    Outage,
    bad_release,
    fails,
    no_answer,
)
from tests.unit.world import World


def test_a_canary_deploy_that_could_not_be_cancelled_is_cancelled_by_reconcile() -> None:
    world = World()
    artifact = world.build("v2", becomes_live=False)

    def down(call: str) -> None:
        if f"render.start {CANARY}" in world.calls:
            fails("render.")(call)

    world.before = lambda call: None if call == f"render.start {CANARY}" else down(call)
    outcome = release(world, artifact, short=SHORTER)
    world.before = lambda call: None
    assert outcome.result is Result.ABORTED
    assert "run Reconcile" in outcome.reason
    assert world.running_deploys(world.services[CANARY])
    put_in_order(world)
    assert not world.running_deploys(world.services[CANARY])
    assert_everybody_is_on(world, "v1")


def test_a_promoted_release_that_cannot_scale_the_canary_back_says_to_what() -> None:
    world = World()

    def down(call: str) -> None:
        if "flags.write stable" in world.calls and call == f"render.scale {CANARY}":
            raise no_answer(call)

    world.before = down
    outcome = release(world, world.build("v2"), short=SHORTER)
    assert outcome.result is Result.PROMOTED
    assert world.services[CANARY].instances == 2
    assert f"scale {CANARY} back to 1 at Render" in outcome.reason


def test_with_the_edge_down_a_promoted_release_leaves_the_canary_as_it_is_and_says_so() -> None:
    world = World()

    def down(call: str) -> None:
        if "flags.write stable" in world.calls:
            fails("edge.")(call)

    world.before = down
    outcome = release(world, world.build("v2"), short=SHORTER)
    assert outcome.result is Result.PROMOTED
    assert world.services[CANARY].instances == 2, "sellers may be on it"
    assert f"scale {CANARY} back to 1 at Render" in outcome.reason


# What comes after


def test_reconcile_names_the_deploy_to_press_while_render_is_still_down() -> None:
    world, _ = bad_release("settling", Outage(prefixes=("render.",)))
    world.before = fails("render.")
    outcome = put_in_order(world)
    assert outcome.result is Result.FROZEN
    assert f"press Rollback on deploy dep-2 (sha256:763100000000) of {STABLE}" in (
        outcome.remedy or ""
    )


def test_a_release_that_reconcile_finishes_says_what_was_stable_before() -> None:
    world = dies(f"render.start {STABLE}", after=True)
    lapse(world)
    assert put_in_order(world).result is Result.PROMOTED
    said = record(world)
    assert (said.stable_build, said.previous_build) == (digest("v2"), digest("v1"))
    assert said.previous_deploy == "dep-2"


def test_a_build_is_not_said_to_be_what_was_stable_before_itself() -> None:
    world = World()
    ports = world.ports()
    traffic = world.traffic(ports, "77.1-v2", digest("v2"))
    live = ports.platform.deploys(STABLE)[0]
    traffic.begin(live)
    traffic.finish("dep-9", "x")
    assert record(world).previous_build == digest("v1")
    traffic.close(traffic.to_zero("it was taken back"), live)
    assert (record(world).stable_build, record(world).previous_build) == (digest("v1"), None)
