"""direct: a build to everybody at once, because a person says so. No canary, no watch, no way back.

For the fix that cannot wait. It is seen to answer, and nothing more is promised.
"""

from __future__ import annotations

from dataclasses import dataclass

from slipway.background import within
from slipway.errors import Cancelled, DeployFailed, OutsideError, Tripped
from slipway.ports import Artifact, Deploy
from slipway.release import deploys, lock, predeploy, preflight, takeover
from slipway.release.deploys import Ports
from slipway.release.health import await_build, url_of
from slipway.release.outcome import Outcome, Result
from slipway.release.stop import Stop, Zero
from slipway.release.takeover import Order
from slipway.release.undoing import Undo, Was
from slipway.text import short

LOOK = 10.0
"""Seconds for GitHub to say what was found bad."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Order):
    """One direct deploy, as asked for."""

    artifact: Artifact


def run(plan: Plan, ports: Ports, stop: Stop | None) -> Outcome:
    """Deploy to the stable service, in the place of whatever is being deployed there.

    Raises :class:`slipway.errors.Refused` before anything is touched where a bad build holds it
    back, or where it lacks commits of what is live: an old run that is run again.
    """
    ports.gate.require(plan.artifact)
    _require_newer_and_unlocked(plan, ports)
    return takeover.run(plan, ports, stop, lambda zero: _deploy(plan, ports, zero))


def _require_newer_and_unlocked(plan: Plan, ports: Ports) -> None:
    """Where GitHub does not say, it goes on, and says so: it is for when nothing else can wait."""

    def ask() -> None:
        live = deploys.live(ports.platform.deploys(plan.stable))
        if live is not None and live.identity == plan.artifact.identity:
            return
        good = ports.ledger.passed(live.identity) if live and live.identity else None
        if good is not None:
            ports.ledger.require_descent(plan.artifact, good)
        lock.require_unlocked(plan.artifact, good, plan.settings, ports.ledger, ports.journal)

    try:
        within(ports.start, LOOK, "what GitHub says of what is live, and of bad builds", ask)
    except OutsideError as error:
        ports.journal.trouble(
            "whether it takes commits back, or a bad build holds it back, is not known: "
            f"{error.found}. It is deployed all the same"
        )


def _deploy(plan: Plan, ports: Ports, zero: Zero | None) -> Outcome:
    service = deploys.usable(ports, plan.stable)
    url = url_of(service, plan.settings.health)
    preflight.refuse_other_deployers(service, plan.artifact)
    predeploy.require(service, plan.settings, ports.journal)
    before = deploys.live(ports.platform.deploys(plan.stable))
    undo = Undo(ports, plan.settings, plan.artifact.identity)
    undo.check()
    stays = before.identity or before.id if before else "nothing"
    ours: set[str] = set()
    try:
        undo.expand([service])
        deploy = deploys.bring_live(
            ports,
            plan.stable,
            plan.artifact,
            deadline=plan.settings.strategy.deploy_deadline,
            ours=ours,
        )
    except (DeployFailed, Tripped) as error:
        failed = ports.clock.monotonic()
        stayed = before is not None and _stayed(plan, ports, before)
        seconds = ports.clock.monotonic() - failed
        outcome = Outcome(
            result=Result.ROLLED_BACK,
            reason=f"{error.found}; {service.name} stays on {short(stays)}",
            remedy=error.remedy,
            build=(before.identity or "") if before else "",
            deploy_id=before.id if before else "",
            seconds_to_old_code=seconds if stayed else None,
        )
        share = 0.0 if zero is None or zero.edge is None else None
        return undo.after(outcome, error, [Was(service=service, live=before)], share=share)
    except Cancelled:
        deploys.abandon(ports, plan.stable, plan.artifact, ours)
        raise
    await_build(
        ports,
        url,
        build=plan.artifact.commit,
        health=plan.settings.health,
        instances=service.instances,
    )
    return Outcome(
        result=Result.PROMOTED,
        reason=f"{plan.actor} deployed {short(plan.artifact.identity)} directly, without a canary "
        f"or a watch: {plan.reason}",
        deploy_id=deploy.id,
        build=plan.artifact.identity,
        previous_build=(before.identity or "") if before else "",
    )


def _stayed(plan: Plan, ports: Ports, before: Deploy) -> bool:
    """Return whether a second reading shows that ``before`` serves, and that nothing is coming."""
    ports.clock.sleep(ports.confirm)
    try:
        latest = ports.platform.deploys(plan.stable)
    except OutsideError as error:
        ports.journal.trouble(f"reading {plan.stable}: {error.found}")
        return False
    live = deploys.live(latest)
    coming = any(deploy.status.running for deploy in latest)
    return live is not None and live.identity == before.identity and not coming
