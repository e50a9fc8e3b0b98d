"""From a desk to the adoption of what is live."""

from __future__ import annotations

from slipway.commands.perform import Task
from slipway.release import adopt as adoption
from slipway.release.deploys import Ports
from slipway.release.outcome import Outcome
from slipway.setup import Desk, require_stable


def adopt(desk: Desk) -> Task:
    """Record what is live as a build that passed."""
    inputs = desk.inputs
    services = desk.service.fleet or (require_stable(desk).service,)

    def act(ports: Ports, release: str) -> Outcome:
        return adoption.run(
            adoption.Plan(
                release=release,
                name=desk.name,
                settings=desk.service,
                services=services,
                commit=inputs.live_commit,
                reason=inputs.reason,
                actor=inputs.run.actor,
                run_url=inputs.run.url,
            ),
            ports,
        )

    return Task(verb="adopt", environment="production", artifact=None, act=act)
