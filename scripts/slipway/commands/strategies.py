"""One function for each strategy: from a desk to the task that is performed."""

from __future__ import annotations

from typing import TypedDict

from slipway import config
from slipway.commands import fleets
from slipway.commands.perform import Task
from slipway.errors import Refused, UsageError
from slipway.ports import Holder
from slipway.release import (
    abort,
    canary,
    direct,
    preflight,
    promote,
    reconcile,
    recovery,
    rolling,
    staging,
)
from slipway.release.deploys import Ports
from slipway.release.outcome import Outcome
from slipway.release.stop import Stop
from slipway.release.takeover import Order
from slipway.release.traffic import Traffic
from slipway.setup import (
    Desk,
    artifact_of,
    canary_setup,
    edge_client,
    render,
    require_stable,
    stop_of,
    traffic_of,
)


def deploy_staging(desk: Desk) -> Task:
    """Deploy to staging, wait, verify."""
    track = desk.service.staging
    if track is None:
        raise UsageError(
            f"{desk.name} has no `staging:` in slipway.yml",
            remedy="Add `staging: {service: srv-…}`: the Render service that is staging.",
        )
    artifact = artifact_of(desk, render(desk), track.service)

    def act(ports: Ports, release: str) -> Outcome:
        if track.frozen:
            raise Refused(
                f"staging is frozen: {track.frozen}",
                remedy="Production was not touched either. Take `frozen:` out of `staging:` in "
                "slipway.yml when it is over, then run this again.",
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

    return Task(verb="deploy-staging", environment="staging", artifact=artifact, act=act)


def canary_prod(desk: Desk) -> Task:
    """A few sellers first, then everybody."""
    stable, setup = require_stable(desk), canary_setup(desk)
    artifact = artifact_of(desk, render(desk), stable.service)

    def plan(release: str) -> preflight.Plan:
        return preflight.Plan(
            release=release,
            settings=desk.service,
            stable=stable.service,
            canary=setup.canary.service,
            artifact=artifact,
        )

    def traffic(ports: Ports, release: str) -> Traffic:
        return traffic_of(desk, ports, setup, release=release, candidate=artifact.identity)

    return Task(
        verb="canary-prod",
        environment="production",
        artifact=artifact,
        carries=artifact.commit,
        check=lambda ports, r: canary.check(plan(r), ports, traffic(ports, r)),
        act=lambda ports, r: canary.run(plan(r), ports, traffic(ports, r)),
    )


def rolling_ui(desk: Desk) -> Task:
    """Render replaces the instances; it is watched, and gone back from where it is bad."""
    stable = fleets.first_of(desk)
    artifact = artifact_of(desk, render(desk), stable)
    if desk.service.fleet:
        return fleets.release(desk, artifact)

    def plan(release: str) -> rolling.Plan:
        return rolling.Plan(
            release=release, settings=desk.service, stable=stable, artifact=artifact
        )

    def act(ports: Ports, release: str) -> Outcome:
        if desk.service.canary and desk.service.edge:
            # A minor change of a service that has canaries: one may be under way, or dead.
            setup = canary_setup(desk)
            place = recovery.Place(
                settings=desk.service, stable=stable, canary=setup.canary.service
            )
            candidate = artifact.identity
            traffic = traffic_of(desk, ports, setup, release=release, candidate=candidate)
            recovery.clear(place, ports, traffic)
        return rolling.run(plan(release), ports)

    return Task(
        verb="rolling-ui",
        environment="production",
        artifact=artifact,
        carries=artifact.commit,
        check=lambda ports, r: rolling.look(plan(r), ports),
        act=act,
    )


def abort_release(desk: Desk) -> Task:
    """End the release that is under way."""
    order = order_of(desk, require_stable(desk).service)
    return Task(
        verb="abort",
        environment="production",
        artifact=None,
        act=lambda ports, r: abort.run(Order(release=r, **order), ports, brake_of(desk, ports)),
    )


def promote_now(desk: Desk) -> Task:
    """Ask the canary under way to end its judging."""
    order, setup = order_of(desk, require_stable(desk).service), canary_setup(desk)
    return Task(
        verb="promote-now",
        environment="production",
        artifact=None,
        act=lambda ports, r: promote.run(
            Order(release=r, **order), ports, edge_client(desk, ports, setup.edge, setup.edge_token)
        ),
    )


def put_in_order(desk: Desk) -> Task:
    """End or finish what a release that died left behind."""
    stable, setup = require_stable(desk), canary_setup(desk)

    def act(ports: Ports, release: str) -> Outcome:
        plan = reconcile.Plan(
            release=release,
            settings=desk.service,
            stable=stable.service,
            canary=setup.canary.service,
            holder=desk.inputs.run.holder,
            finalize=desk.inputs.finalize,
        )
        # What it releases is known only from the record.
        traffic = traffic_of(desk, ports, setup, release=release, candidate="")
        return reconcile.run(plan, ports, traffic)

    return Task(verb="reconcile", environment="production", artifact=None, act=act)


def deploy_directly(desk: Desk) -> Task:
    """To everybody at once."""
    stable = require_stable(desk).service
    order = order_of(desk, stable)
    artifact = artifact_of(desk, render(desk), stable)
    return Task(
        verb="direct",
        environment="production",
        artifact=artifact,
        carries=artifact.commit,
        act=lambda ports, r: direct.run(
            direct.Plan(release=r, artifact=artifact, **order), ports, brake_of(desk, ports)
        ),
    )


class OrderOf(TypedDict):
    """What every order says, but for the release's id."""

    settings: config.Service
    stable: str
    reason: str
    actor: str
    holder: Holder


def order_of(desk: Desk, stable: str, reason: str = "") -> OrderOf:
    run = desk.inputs.run
    return OrderOf(
        settings=desk.service,
        stable=stable,
        reason=reason or desk.inputs.reason,
        actor=run.actor,
        holder=run.holder,
    )


def brake_of(desk: Desk, ports: Ports) -> Stop | None:
    return stop_of(desk, ports) if desk.service.edge else None
