"""From a desk to the adoption of what is live."""

from __future__ import annotations

from slipway.commands.perform import perform
from slipway.release import adopt as adoption
from slipway.release.deploys import Ports
from slipway.release.outcome import Outcome
from slipway.report.markdown import Report
from slipway.setup import Desk, require_stable


def adopt(desk: Desk) -> Report:
    """Record what is live as a build that passed."""
    inputs = desk.inputs
    services = desk.service.fleet or (require_stable(desk).service,)

    def act(ports: Ports, release: str) -> Outcome:
        return adoption.run(
            adoption.Plan(
                release=release,
                name=inputs.service,
                settings=desk.service,
                services=services,
                commit=inputs.live_commit,
                reason=inputs.reason,
                actor=inputs.run.actor,
                run_url=inputs.run.url,
            ),
            ports,
        )

    return perform(desk, act, verb="adopt", environment="production", artifact=None)
