"""One function for each strategy: from a desk to the report of what was done."""

from __future__ import annotations

from slipway.commands import fleets
from slipway.commands.perform import perform
from slipway.errors import Refused, UsageError
from slipway.release import canary, preflight, rollback, rolling, staging
from slipway.release.deploys import Ports
from slipway.release.outcome import Outcome
from slipway.report.markdown import Report
from slipway.setup import (
    Desk,
    artifact_of,
    canary_setup,
    render,
    require_stable,
    stop_of,
    traffic_of,
)


def deploy_staging(desk: Desk) -> Report:
    """Deploy to staging, wait, verify."""
    track = desk.service.staging
    if track is None:
        raise UsageError(
            f"{desk.inputs.service} has no `staging:` in slipway.yml",
            remedy="Add `staging: {service: srv-…}`: the Render service that is staging.",
        )
    artifact = artifact_of(desk, render(desk), track.service)

    def act(ports: Ports, release: str) -> Outcome:
        if track.frozen:
            raise Refused(
                f"staging is frozen: {track.frozen}",
                remedy="Take `frozen:` out of `staging:` in slipway.yml when it is over.",
            )
        return staging.run(
            staging.Plan(
                release=release,
                settings=desk.service,
                staging=track.service,
                artifact=artifact,
            ),
            ports,
        )

    return perform(desk, act, verb="deploy-staging", environment="staging", artifact=artifact)


def canary_prod(desk: Desk) -> Report:
    """A few sellers first, then everybody."""
    stable, setup = require_stable(desk), canary_setup(desk)
    artifact = artifact_of(desk, render(desk), stable.service)

    def act(ports: Ports, release: str) -> Outcome:
        return canary.run(
            preflight.Plan(
                release=release,
                settings=desk.service,
                stable=stable.service,
                canary=setup.canary.service,
                artifact=artifact,
            ),
            ports,
            traffic_of(desk, ports, setup, release=release, candidate=artifact.identity),
        )

    return perform(desk, act, verb="canary-prod", environment="production", artifact=artifact)


def rolling_ui(desk: Desk) -> Report:
    """Render replaces the instances; it is watched, and gone back from where it is bad."""
    stable = fleets.first_of(desk)
    artifact = artifact_of(desk, render(desk), stable)

    def act(ports: Ports, release: str) -> Outcome:
        if desk.service.fleet:
            return fleets.release(desk, artifact, ports, release)
        return rolling.run(
            rolling.Plan(
                release=release,
                settings=desk.service,
                stable=stable,
                artifact=artifact,
            ),
            ports,
        )

    return perform(desk, act, verb="rolling-ui", environment="production", artifact=artifact)


def roll_back(desk: Desk) -> Report:
    """Promote Previous Build."""
    stable = fleets.first_of(desk)
    inputs = desk.inputs

    def act(ports: Ports, release: str) -> Outcome:
        if desk.service.fleet:
            return fleets.roll_back(desk, inputs.target, inputs.reason, ports, release)
        return rollback.run(
            rollback.Plan(
                release=release,
                settings=desk.service,
                stable=stable,
                target=inputs.target,
                reason=inputs.reason,
                actor=inputs.run.actor,
                holder=inputs.run.holder,
            ),
            ports,
            stop_of(desk, ports) if desk.service.edge else None,
        )

    return perform(desk, act, verb="rollback", environment="production", artifact=None)
