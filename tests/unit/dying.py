"""Releases whose runner dies at a call of theirs, and what is played after that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from slipway.ports import Artifact, Holder, Phase, Record
from slipway.release import canary, reconcile
from slipway.release.deploys import Ports
from slipway.release.outcome import Outcome
from slipway.release.preflight import Plan
from tests.unit.builds import CANARY, HOLDER, OTHER, STABLE, commit_of, digest
from tests.unit.world import World, settings

SHORT = {
    "strategy": {
        "steps": [{"share": 5, "for": "30s"}],
        "bake": {"share": 95, "for": "30s"},
        "judge": {"on-low-power": "promote"},
    }
}


class RunnerDied(BaseException):
    """Nothing of the process cleans up after this."""


def release(
    world: World,
    artifact: Artifact,
    *,
    holder: Holder = HOLDER,
    ports: Ports | None = None,
    short: Mapping[str, Any] = SHORT,
) -> Outcome:
    """Release a build of the world as the run ``holder``."""
    name = next(n for n in world.builds if artifact.identity in (digest(n), commit_of(n)))
    plan = Plan(
        release=f"{holder.run_id}.{holder.attempt}-{name}",
        settings=settings(**short),
        stable=STABLE,
        canary=CANARY,
        artifact=artifact,
    )
    ports = ports or world.ports()
    traffic = world.traffic(ports, plan.release, artifact.identity, holder=holder)
    return canary.run(plan, ports, traffic)


def dies(at: str, *, after: bool = False) -> World:
    """Return a world in which the runner of v2's release died at (or after) a call."""
    world = World()
    artifact = world.build("v2")
    world.in_progress.add("v2")

    def stop(call: str) -> None:
        if call == at and not (at == "edge.counts" and world.effective_share() == 0):
            raise RunnerDied

    if after:
        world.after = stop
    else:
        world.before = stop
    with pytest.raises(RunnerDied):
        release(world, artifact)
    world.before = world.after = lambda call: None
    return world


def put_in_order(world: World, *, holder: Holder = OTHER, finalize: bool = False) -> Outcome:
    ports = world.ports()
    plan = reconcile.Plan(
        release="88.1-reconcile",
        settings=settings(**SHORT),
        stable=STABLE,
        canary=CANARY,
        holder=holder,
        finalize=finalize,
    )
    return reconcile.run(plan, ports, world.traffic(ports, plan.release, "", holder=holder))


def record(world: World) -> Record:
    assert world.flag is not None
    assert world.flag.record is not None
    return world.flag.record


def lapse(world: World) -> None:
    world.clock.sleep(200)


def assert_everybody_is_on(world: World, name: str) -> None:
    assert world.running(STABLE) == name
    assert world.effective_share() == 0
    assert (record(world).phase, record(world).stable_build) == (Phase.STABLE, digest(name))
    assert world.lease is None
