"""rolling-ui: Render replaces the instances of one service; this watches how, and goes back.

Needs one Render service and one secret: no edge, no record. While instances are replaced, the
service is probed continuously and Render is asked which instances there are; what is reported is
what was seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from slipway.config import Service as Settings
from slipway.errors import (
    Aborted,
    Cancelled,
    DeployFailed,
    Refused,
    SlipwayError,
    Tripped,
)
from slipway.ports import Artifact, Deploy, Service
from slipway.release import bug, deploys, predeploy, preflight, promises
from slipway.release.deploys import Ports
from slipway.release.health import await_build, url_of
from slipway.release.outcome import Outcome, Result
from slipway.release.replacing import Replacement
from slipway.release.retreat import Retreat
from slipway.release.undoing import Undo, Was
from slipway.text import short


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One rolling release, as asked for."""

    release: str
    settings: Settings
    stable: str
    """Render service id."""
    artifact: Artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What was there before anything was changed."""

    service: Service
    url: str
    """Where it is probed."""
    live: Deploy
    good: Deploy
    """What to go back to. Not ``live`` where a run that died has left the candidate live."""
    coming: Deploy | None
    """A deploy of the candidate that is running already."""


def check(plan: Plan, ports: Ports) -> Before:
    """Check everything that can be checked without changing anything. Raises ``Refused``."""
    service = deploys.usable(ports, plan.stable)
    url = url_of(service, plan.settings.health)
    preflight.refuse_other_deployers(service, plan.artifact)
    predeploy.require(service, plan.settings, ports.journal)
    latest = ports.platform.deploys(plan.stable, limit=100)
    live = preflight.build_to_go_back_to(service, latest)
    good = preflight.build_before(plan, service, live, latest, ports)
    running = [d for d in latest if d.status.running]
    others = [d.id for d in running if d.identity != plan.artifact.identity]
    if others:
        raise Refused(
            f"another deploy is running on {service.name}: {', '.join(others)}",
            remedy="Wait until it has ended, or cancel it at Render.",
        )
    if live.identity != plan.artifact.identity:
        promises.require(service, plan.settings, ports.journal)
    return Before(service=service, url=url, live=live, good=good, coming=next(iter(running), None))


def look(plan: Plan, ports: Ports) -> None:
    """Raise what a release would begin with. Changes nothing."""
    if check(plan, ports).good.identity != plan.artifact.identity:
        Undo(ports, plan.settings, plan.artifact.identity).check()


def run(plan: Plan, ports: Ports) -> Outcome:
    """Deploy, watch, and go back where it is bad. Raises only while nothing has been changed."""
    before = check(plan, ports)
    service, url, good = before.service, before.url, before.good
    left = before.live if good is not before.live else None
    if good.identity == plan.artifact.identity:
        return _unchanged(plan, ports, service, url, good)
    undo = Undo(ports, plan.settings, plan.artifact.identity)
    undo.check()
    change = Replacement(plan, ports, before, undo.checks)
    if left is None:
        change.seen.before(before.live)
    retreat = Retreat(
        ports,
        service=service,
        url=url,
        settings=plan.settings,
        artifact=plan.artifact,
        before=good,
        named=change.seen.named,
        ours=change.ours,
    )
    try:
        undo.expand([service], new=[service] if left else [])
        deploy = change.take_up(left) if left else change.replace_instances()
        change.watch()
        change.confirm(deploy)
    except Aborted as error:  # and Cancelled
        hurry = isinstance(error, Cancelled)
        outcome = retreat.leave(error, verified=change.verified, hurry=hurry)
        outcome = undo.stay(outcome)
    except (Tripped, DeployFailed) as error:
        outcome = retreat.go(Result.ROLLED_BACK, error)
        outcome = undo.after(outcome, error, [Was(service=service, live=good)], share=0.0)
    except SlipwayError as error:
        outcome = retreat.go(Result.ABORTED, error)
        outcome = undo.after(outcome, error, [], share=None)
    except Exception as error:
        outcome = retreat.go(Result.ABORTED, bug.aborted(error, ports.journal))
    else:
        outcome = Outcome(
            result=Result.PROMOTED,
            reason=f"{service.name} runs {short(plan.artifact.identity)}: {change.sentence()}; "
            f"healthy for {plan.settings.strategy.rolling.watch:g} s since" + change.watched(),
            deploy_id=deploy.id,
            build=plan.artifact.identity,
        )
    said = outcome.result is Result.PROMOTED or change.seen.probes.tripped
    if change.seen.probes.made and not said:
        outcome = replace(outcome, reason=f"{outcome.reason} ({change.sentence()})")
    return replace(
        outcome,
        release_id=plan.release,
        previous_build=good.identity or "",
        observed=change.observed() or "",
    )


def _unchanged(plan: Plan, ports: Ports, service: Service, url: str, live: Deploy) -> Outcome:
    """The build is live already, perhaps since a run that died: see it answer before saying so."""
    await_build(
        ports,
        url,
        build=plan.artifact.commit,
        health=plan.settings.health,
        instances=service.instances,
    )
    return Outcome(
        result=Result.UNCHANGED,
        reason=f"{service.name} already runs {short(plan.artifact.identity)} and answers at {url}",
        release_id=plan.release,
        deploy_id=live.id,
        build=plan.artifact.identity,
        previous_build=plan.artifact.identity,
    )
