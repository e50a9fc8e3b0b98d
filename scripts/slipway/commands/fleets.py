"""A service that is a fleet: what takes the place of one stable service."""

from __future__ import annotations

from slipway.commands.perform import Task
from slipway.ports import Artifact
from slipway.release import fleet, fleet_back
from slipway.release.deploys import Ports
from slipway.release.outcome import Outcome
from slipway.setup import Desk, require_stable


def first_of(desk: Desk) -> str:
    """Return the Render id of the first of the fleet, or of the one stable service."""
    return desk.service.fleet[0] if desk.service.fleet else require_stable(desk).service


def release(desk: Desk, artifact: Artifact) -> Task:
    """Replace one after the other."""

    def plan(release: str) -> fleet.Plan:
        return fleet.Plan(
            release=release,
            settings=desk.service,
            fleet=desk.service.fleet or (),
            artifact=artifact,
        )

    return Task(
        verb="rolling-ui",
        environment="production",
        artifact=artifact,
        carries=artifact.commit,
        check=lambda ports, r: fleet.look(plan(r), ports),
        act=lambda ports, r: fleet.run(plan(r), ports),
    )


def roll_back(desk: Desk, target: str, reason: str, ports: Ports, name: str) -> Outcome:
    """Bring ``target`` back to all, one after the other. ``name`` is the release's id.

    ``reason`` empty: a person asks for it, and says why in the inputs.
    """
    plan = fleet_back.Plan(
        release=name,
        settings=desk.service,
        fleet=desk.service.fleet or (),
        target=target,
        reason=reason or desk.inputs.reason,
        actor=desk.inputs.run.actor,
        automatic=bool(reason),
    )
    return fleet_back.run(plan, ports)
