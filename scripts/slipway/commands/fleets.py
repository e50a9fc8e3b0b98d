"""A service that is a fleet: what takes the place of one stable service."""

from __future__ import annotations

from slipway.ports import Artifact
from slipway.release import fleet, fleet_back
from slipway.release.deploys import Ports
from slipway.release.outcome import Outcome
from slipway.setup import Desk, require_stable


def first_of(desk: Desk) -> str:
    """Return the Render id of the first of the fleet, or of the one stable service."""
    return desk.service.fleet[0] if desk.service.fleet else require_stable(desk).service


def release(desk: Desk, artifact: Artifact, ports: Ports, name: str) -> Outcome:
    """Replace one after the other. ``name`` is the release's id."""
    plan = fleet.Plan(
        release=name, settings=desk.service, fleet=desk.service.fleet or (), artifact=artifact
    )
    return fleet.run(plan, ports)


def roll_back(desk: Desk, target: str, reason: str, ports: Ports, name: str) -> Outcome:
    """Bring ``target`` back to all, one after the other. ``name`` is the release's id."""
    plan = fleet_back.Plan(
        release=name,
        settings=desk.service,
        fleet=desk.service.fleet or (),
        target=target,
        reason=reason,
        actor=desk.inputs.run.actor,
    )
    return fleet_back.run(plan, ports)
