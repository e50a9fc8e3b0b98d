"""rollback: Promote Previous Build, pressed by a person.

First everybody off the canary track, whoever drives it; then the stable service back to an
earlier build, by digest or deploy id. Needs nothing but what it must touch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from slipway.errors import Cancelled, Refused, SlipwayError
from slipway.ports import Deploy, DeployStatus, Phase, Record, Service
from slipway.release import deploys, takeover, unseen
from slipway.release.deploys import Ports
from slipway.release.goback import go_back
from slipway.release.health import await_build, url_of
from slipway.release.outcome import Outcome, Result
from slipway.release.patience import patiently
from slipway.release.said import Said
from slipway.release.stop import Stop, Zero
from slipway.release.takeover import Order
from slipway.release.target import choose
from slipway.release.unseen import Aim
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
        aim = Aim(zero=zero)
        try:
            return _go(plan, ports, intend, aim, next(iter(asked), None))
        except (Refused, Cancelled):
            raise
        except SlipwayError as error:
            return _stuck(plan, ports, aim, intend, error)

    return takeover.run(plan, ports, stop, act, beside=ask, zero=zero)


def _stuck(
    plan: Plan, ports: Ports, aim: Aim, intend: Intend | None, error: SlipwayError
) -> Outcome:
    """It did not arrive: say what to press, and leave in the record where it was going."""
    record = unseen.record_of(aim.zero)
    place = unseen.place_in(record)
    if intend and aim.target is None and plan.target == "previous" and place and record:
        intend(_going(plan, ports, record.stable_build, *place))
    press = unseen.what_to_press(ports, aim, error, target=plan.target, service_id=plan.stable)
    known = intend is not None and (aim.target is not None or place is not None)
    later = " Or run Reconcile when Render answers: it goes on from here." if known else ""
    return Outcome(
        result=Result.FROZEN,
        reason=f"it was not finished: {error.found}",
        remedy=f"Now: {press}.{later}",
    )


def _going(plan: Plan, ports: Ports, current: str, build: str, deploy_id: str) -> Record:
    """Return what the record says on the way: should this process die, reconcile goes on."""
    return Record(
        release=plan.release,
        candidate=current,
        stable_build=build,
        stable_deploy=deploy_id,
        phase=Phase.ROLLING_BACK,
        share=0,
        holder=plan.holder,
        since=ports.clock.now(),
    )


def _go(plan: Plan, ports: Ports, intend: Intend | None, aim: Aim, said: Said | None) -> Outcome:
    zero, began = aim.zero, ports.clock.monotonic()
    service, history = patiently(
        ports,
        f"reading {plan.stable}",
        lambda: (
            deploys.usable(ports, plan.stable),
            ports.platform.deploys(plan.stable, limit=100),
        ),
        deadline=plan.settings.strategy.deploy_deadline,
    )
    aim.service = service
    current = deploys.live(history)
    candidate = takeover.under_way(plan, ports, zero) or on_its_way(history)
    if plan.target == "previous" and candidate and current and current.identity != candidate:
        aim.target = current
        arrived = go_back(
            ports,
            plan.stable,
            current,
            image_backed=service.image_backed,
            deadline=plan.settings.strategy.deploy_deadline,
        )
        alive = bool(zero and zero.leased) or candidate == on_its_way(history)
        seconds = ports.clock.monotonic() - began
        outcome = takeover.ended(plan, candidate, arrived, alive=alive)
        return replace(outcome, seconds_to_old_code=seconds)
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
        place = (choice.target.identity or "", choice.target.id)
        intend(_going(plan, ports, current.identity or current.id, *place))
    aim.target = choice.target
    stop_auto_deploy(ports, service)
    arrived = go_back(
        ports,
        plan.stable,
        choice.target,
        image_backed=service.image_backed,
        deadline=plan.settings.strategy.deploy_deadline,
    )
    seconds = ports.clock.monotonic() - began
    _see_it_answer(plan, ports, service)
    went_to = short(arrived.identity or arrived.id)
    return Outcome(
        result=Result.PROMOTED_PREVIOUS,
        reason=f"{plan.actor} went back to {went_to}: {plan.reason}"
        + (f" ({choice.doubt})" if choice.doubt else ""),
        deploy_id=arrived.id,
        build=arrived.identity or "",
        previous_build=(current.identity or "") if current else "",
        seconds_to_old_code=seconds,
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
