"""rollback: Promote Previous Build, pressed by a person.

First everybody off the canary track, whoever drives it; then the stable service back to an
earlier build, by digest or deploy id. Needs nothing but what it must touch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from slipway.errors import DeployFailed, SlipwayError
from slipway.ports import Deploy, DeployStatus, Phase, Record, Service
from slipway.release import deploys, takeover
from slipway.release.deploys import Ports
from slipway.release.goback import go_back
from slipway.release.health import await_build, url_of
from slipway.release.outcome import Outcome, Result
from slipway.release.said import Said
from slipway.release.stop import Stop, Zero
from slipway.release.takeover import Order
from slipway.release.target import choose, next_older
from slipway.text import short

Intend = Callable[[Record], None]
"""Writes beside the way back what is under way."""
_SERVED = DeployStatus.DEACTIVATED
"""Render's word for a deploy that was live once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Order):
    """One way back, as asked for."""

    target: str
    """``previous``, a deploy id, a digest or a commit."""
    automatic: bool = False
    """Whether no person asks: it goes back to what was live before, which had passed. Nobody is
    asked about it."""


def run(plan: Plan, ports: Ports, stop: Stop | None, zero: Zero | None = None) -> Outcome:
    """Go back. ``stop`` is ``None`` for a service without an edge. Never raises SlipwayError.

    ``zero``: what is known of share 0, where it has been ordered already.
    """
    asked: list[Said] = []

    def ask() -> None:
        if not plan.automatic:
            asked.append(Said(ports.ledger, ports.start, ports.clock))

    def act(zero: Zero | None) -> Outcome:
        intend = partial(stop.intend, zero) if stop and zero else None
        return _go(plan, ports, zero, intend, next(iter(asked), None))

    return takeover.run(plan, ports, stop, act, beside=ask, zero=zero)


def _going(plan: Plan, ports: Ports, current: Deploy, target: Deploy) -> Record:
    """Return what the record says on the way: should this process die, reconcile goes on."""
    return Record(
        release=plan.release,
        candidate=current.identity or current.id,
        stable_build=target.identity or "",
        stable_deploy=target.id,
        phase=Phase.ROLLING_BACK,
        share=0,
        holder=plan.holder,
        since=ports.clock.now(),
    )


def _go(
    plan: Plan, ports: Ports, zero: Zero | None, intend: Intend | None, said: Said | None
) -> Outcome:
    service = deploys.usable(ports, plan.stable)
    history = ports.platform.deploys(plan.stable, limit=100)
    current = deploys.live(history)
    candidate = takeover.under_way(plan, ports, zero) or on_its_way(history)
    if plan.target == "previous" and candidate and current and current.identity != candidate:
        arrived = go_back(
            ports,
            plan.stable,
            current,
            image_backed=service.image_backed,
            deadline=plan.settings.strategy.deploy_deadline,
        )
        alive = bool(zero and zero.leased) or candidate == on_its_way(history)
        return takeover.ended(plan, candidate, arrived, alive=alive)
    choice = choose(
        history,
        plan.target,
        image_path=service.image_path,
        said=said,
        service=ports.ledger.service,
    )
    ports.journal.note(choice.why)
    if choice.doubt:
        ports.journal.trouble(choice.doubt)
    if choice.target is None:
        return Outcome(
            result=Result.UNCHANGED,
            reason=choice.why,
            deploy_id=current.id if current else "",
            build=(current.identity or "") if current else "",
        )
    before = zero.just_ordered(ports.clock.now()) if zero else None
    if plan.target == "previous" and before and current and before.stable_build == current.identity:
        return _done_already(before, current)
    if intend is not None and current is not None:
        intend(_going(plan, ports, current, choice.target))
    stop_auto_deploy(ports, service)
    try:
        arrived = go_back(
            ports,
            plan.stable,
            choice.target,
            image_backed=service.image_backed,
            deadline=plan.settings.strategy.deploy_deadline,
        )
    except DeployFailed as error:
        older = next_older(history, choice.target, said, ports.ledger.service)
        raise DeployFailed(error.found, remedy=f"{error.remedy} {older}".strip()) from error
    _see_it_answer(plan, ports, service)
    went_to = short(arrived.identity or arrived.id)
    return Outcome(
        result=Result.PROMOTED_PREVIOUS,
        reason=f"{plan.actor} went back to {went_to}: {plan.reason}"
        + (f" ({choice.doubt})" if choice.doubt else ""),
        deploy_id=arrived.id,
        build=arrived.identity or "",
        previous_build=(current.identity or "") if current else "",
    )


def _done_already(before: Record, current: Deploy) -> Outcome:
    """Two people saw the same thing: the second must not go one build further."""
    return Outcome(
        result=Result.UNCHANGED,
        reason=f"somebody else has just done it ({before.release}): everybody is on "
        f"{short(current.identity or current.id)}",
        remedy="To go further back, press the button again in a minute, or name a target now.",
        deploy_id=current.id,
        build=current.identity or "",
    )


def on_its_way(history: Sequence[Deploy]) -> str | None:
    """Return the new build that is being deployed to the service itself: a rolling release's.

    What Render deploys by itself, or a person at its dashboard, is no release; a build that has
    served before is on a way back, which is nothing to end.
    """
    served = {d.identity for d in history if d.status in (DeployStatus.LIVE, _SERVED)}
    ours = [d for d in history if d.status.running and d.trigger == "api"]
    return next((d.identity or d.id for d in ours if d.identity not in served), None)


def _see_it_answer(plan: Plan, ports: Ports, service: Service) -> None:
    """Wait until the service answers well. Which commit a digest holds is not known here."""
    if service.url is None:
        ports.journal.trouble(f"{service.name} has no public address: its health was not probed")
        return
    await_build(
        ports,
        url_of(service, plan.settings.health),
        build=None,
        health=plan.settings.health,
        instances=service.instances,
    )


def stop_auto_deploy(ports: Ports, service: Service) -> None:
    """Render's API leaves auto-deploy on after a rollback: the next push would undo it."""
    if not service.auto_deploy or service.image_backed:
        return
    try:
        ports.platform.disable_auto_deploy(service.id)
        ports.journal.note(f"auto-deploy is now off for {service.name}")
    except SlipwayError as error:
        ports.journal.trouble(f"turning auto-deploy off: {error.found}")
