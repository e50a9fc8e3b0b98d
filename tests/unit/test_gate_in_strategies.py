"""Every way to production asks the gate before anything is changed; the way back does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from slipway.errors import ArtifactRefused
from slipway.gates.codes import Code
from slipway.gates.verified import Verified
from slipway.ports import Artifact
from slipway.release import canary, direct, reconcile, rollback, rolling
from slipway.release.deploys import Ports
from slipway.release.ledger import Ledger
from slipway.release.outcome import Outcome, Result
from slipway.release.preflight import Plan
from tests.unit.builds import CANARY, OTHER, STABLE, digest
from tests.unit.dying import SHORT, assert_everybody_is_on, dies, lapse, record
from tests.unit.forge import FakeForge
from tests.unit.open_gate import OpenGate
from tests.unit.world import World, settings
from tests.unit.world_fleet import FLEET, Film

CHANGES = ("start", "scale", "cancel", "roll_back", "write", "create", "kill", "renew", "disable")
"""What calls that change something are named after."""


class ClosedGate(OpenGate):
    """Nothing passes."""

    def require(self, artifact: Artifact) -> Verified:
        super().require(artifact)
        raise ArtifactRefused(Code.PROOF_NONE, "nobody has signed it")


def by_canary(world: World, artifact: Artifact, *, observe: bool = False) -> Outcome:
    ports = replace(world.ports(), observe=observe)
    plan = Plan(
        release="77.1-v2", settings=settings(), stable=STABLE, canary=CANARY, artifact=artifact
    )
    return canary.run(plan, ports, world.traffic(ports, plan.release, artifact.identity))


def by_observed_canary(world: World, artifact: Artifact) -> Outcome:
    return by_canary(world, artifact, observe=True)


def by_rolling(world: World, artifact: Artifact) -> Outcome:
    alone = settings(canary=None, edge=None, strategy={"rolling": {"probe-every": "1s"}})
    plan = rolling.Plan(release="77.1-v2", settings=alone, stable=STABLE, artifact=artifact)
    return rolling.run(plan, world.ports())


def by_fleet(world: World, artifact: Artifact) -> Outcome:
    return Film(world).release(artifact)


def by_direct(world: World, artifact: Artifact) -> Outcome:
    ports = world.ports()
    plan = direct.Plan(
        release="88.1-direct",
        settings=settings(),
        stable=STABLE,
        artifact=artifact,
        reason="sellers wait",
        actor="ana",
        holder=OTHER,
    )
    return direct.run(plan, ports, world.stop(ports))


Way = Callable[[World, Artifact], Outcome]
each_way = pytest.mark.parametrize(
    "way", [by_canary, by_observed_canary, by_rolling, by_fleet, by_direct]
)


def the_world(way: Way) -> World:
    return Film().world if way is by_fleet else World()


@each_way
def test_what_is_not_proven_is_refused_before_anything_is_changed(way: Way) -> None:
    world = the_world(way)
    world.gate = ClosedGate()
    artifact = world.build("v2")

    with pytest.raises(ArtifactRefused) as refused:
        way(world, artifact)

    assert refused.value.code == "proof.none"
    assert not [call for call in world.calls if any(word in call for word in CHANGES)]


@each_way
def test_what_is_deployed_is_what_was_verified(way: Way) -> None:
    world = the_world(way)
    gate = OpenGate()
    world.gate = gate
    artifact = world.build("v2")

    assert way(world, artifact).result is Result.PROMOTED

    assert {asked.reference for asked in gate.asked} == {artifact.reference}
    assert {started.reference for started in world.started} == {artifact.reference}


@pytest.mark.parametrize("way", [by_canary, by_rolling])
def test_what_is_live_and_has_passed_needs_no_new_proof(way: Way) -> None:
    world = the_world(way)
    world.gate = ClosedGate()
    live = world.build("v1")
    world.unvouched.clear()
    assert way(world, live).result is Result.UNCHANGED


def test_what_is_live_and_has_not_passed_needs_proof_like_any_other() -> None:
    # Somebody has deployed it past the gate; a release would vouch for it.
    world = World()
    candidate = world.build("v2")
    world.deploy_by_somebody(STABLE, "v2")
    world.clock.sleep(600)
    assert world.running(STABLE) == "v2"
    world.gate = ClosedGate()
    with pytest.raises(ArtifactRefused):
        by_rolling(world, candidate)


def test_the_way_back_asks_for_no_signature() -> None:
    world = World()
    by_canary(world, world.build("v2"))
    world.gate = ClosedGate()
    ports = world.ports()
    plan = rollback.Plan(
        release="88.1-back",
        settings=settings(),
        stable=STABLE,
        target="previous",
        reason="it is slow",
        actor="ana",
        holder=OTHER,
    )
    assert rollback.run(plan, ports, world.stop(ports)).result is Result.PROMOTED_PREVIOUS


def reconcile_of_another(world: World, ports: Ports) -> None:
    lapse(world)
    plan = reconcile.Plan(
        release="88.1-reconcile",
        settings=settings(**SHORT),
        stable=STABLE,
        canary=CANARY,
        holder=OTHER,
        finalize=False,
    )
    reconcile.run(plan, ports, world.traffic(ports, plan.release, "", holder=OTHER))


def test_a_release_that_ended_well_with_its_build_live_is_finished_whatever_the_record_says() -> (
    None
):
    world = dies(f"render.start {STABLE}", after=True)
    for said in (world.in_progress, world.unvouched):
        said.discard("v2")
    world.clock.t += 300
    assert world.running(STABLE) == "v2"
    reconcile_of_another(world, world.ports())
    assert_everybody_is_on(world, "v2")


def test_a_record_that_somebody_made_up_brings_no_older_build_that_passed_once() -> None:
    world = dies(f"render.start {STABLE}")
    world.seed(CANARY, "v0")
    assert world.flag is not None
    world.flag = replace(world.flag, record=replace(record(world), candidate=digest("v0")))
    reconcile_of_another(world, world.ports())
    assert_everybody_is_on(world, "v1")


@pytest.mark.parametrize("way", [by_rolling, by_fleet])
def test_where_a_run_that_died_has_left_it_live_a_refusal_says_what_to_press(way: Way) -> None:
    world = the_world(way)
    artifact = world.build("v2")
    for service in FLEET if way is by_fleet else (STABLE,):
        world.deploy_by_somebody(service, "v2", trigger="api")
    world.clock.t += 500
    world.gate = ClosedGate()

    with pytest.raises(ArtifactRefused) as refused:
        way(world, artifact)

    assert refused.value.code == "proof.none"
    assert "runs it already" in refused.value.found
    assert "Promote Previous Build" in refused.value.remedy


def test_a_record_that_somebody_made_up_brings_no_build_that_no_release_is_known_of() -> None:
    world = dies(f"render.start {STABLE}")
    ports = replace(world.ports(), ledger=Ledger(FakeForge, "production/bot"))
    reconcile_of_another(world, ports)
    assert_everybody_is_on(world, "v1")
