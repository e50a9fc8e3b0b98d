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
from slipway.release.stop import Stop, Zero
from slipway.release.takeover import Order
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


def run(plan: Plan, ports: Ports, stop: Stop | None) -> Outcome:
    """Go back. ``stop`` is ``None`` for a service without an edge. Never raises SlipwayError."""

    def act(zero: Zero | None) -> Outcome:
        intend = partial(stop.intend, zero) if stop and zero else None
        aim = Aim(zero=zero)
        try:
            return _go(plan, ports, zero, intend, aim)
        except (Refused, Cancelled):
            raise
        except SlipwayError as error:
            return _stuck(plan, ports, aim, intend, error)

    return takeover.run(plan, ports, stop, act)


def _stuck(
    plan: Plan, ports: Ports, aim: Aim, intend: Intend | None, error: SlipwayError
) -> Outcome:
    """It did not arrive: say what to press, and leave in the record where it was going."""
    record = unseen.record_of(aim.zero)
    place = unseen.place_in(record)
    if intend and aim.target is None and plan.target == "previous" and place and record:
        intend(_going(plan, ports, record.stable_build, *place))
    press = unseen.what_to_press(ports, aim, error, target=plan.target, service_id=plan.stable)
    later = " Or run Reconcile when Render answers: it goes on from here." if intend else ""
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


def _go(plan: Plan, ports: Ports, zero: Zero | None, intend: Intend | None, aim: Aim) -> Outcome:
    began = ports.clock.monotonic()
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
    candidate = takeover.under_way(plan, ports, zero) or _on_its_way(history)
    if plan.target == "previous" and candidate and current and current.identity != candidate:
        aim.target = current
        arrived = go_back(
            ports,
            plan.stable,
            current,
            image_backed=service.image_backed,
            deadline=plan.settings.strategy.deploy_deadline,
        )
        alive = bool(zero and zero.leased) or candidate == _on_its_way(history)
        seconds = ports.clock.monotonic() - began
        outcome = takeover.ended(plan, candidate, arrived, alive=alive)
        return replace(outcome, seconds_to_old_code=seconds)
    choice = choose(history, plan.target, image_path=service.image_path)
    ports.journal.note(choice.why)
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
        reason=f"{plan.actor} went back to {went_to}: {plan.reason}",
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


def _on_its_way(history: Sequence[Deploy]) -> str | None:
    """Return the new build that is being deployed to the service itself: a rolling release's.

    What Render deploys by itself, or a person at its dashboard, is no release; a build that has
    served before is on a way back, which is nothing to end.
    """
    served = {d.identity for d in history if d.status in (DeployStatus.LIVE, _SERVED)}
    ours = [d for d in history if d.status.running and d.trigger == "api"]
    return next((d.identity or d.id for d in ours if d.identity not in served), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The deploy to go back to, or ``None`` when what is asked for is already live."""

    target: Deploy | None
    why: str


def choose(history: Sequence[Deploy], target: str, *, image_path: str | None = None) -> Choice:
    """Choose the deploy to go back to from a newest-first ``history``.

    ``previous`` is the newest deploy before the live one that has been live with another build.
    Where the live build is itself a return (it had been live earlier, with another build in
    between), the way back has already been taken: nothing is done, and the next older build is
    named. A deploy that never served is never a target.
    """
    current = deploys.live(history)
    if target != "previous":
        return _named(history, current, target, image_path)
    if current is None:
        raise Refused(
            "the service has no live deploy, so there is no build to go back from",
            remedy="Name a build: `target: sha256:…`, a commit or a deploy id.",
        )
    served = [d for d in history if d.status is DeployStatus.DEACTIVATED and d.identity]
    older = [d for d in served if d.created_at < current.created_at]
    others = [d for d in older if d.identity != current.identity]
    if not others:
        raise Refused(
            f"no build has been live before {current.identity} in the last "
            f"{len(history)} deploys: there is no previous build",
            remedy="Name a build that Render still has: `target: dep-…`, or `target: sha256:…`.",
        )
    before_others = [d for d in older if d.created_at < others[0].created_at]
    first_time = next((d for d in before_others if d.identity == current.identity), None)
    if first_time is None:
        when = f"{others[0].created_at:%Y-%m-%d %H:%M} UTC"
        return Choice(target=others[0], why=f"previous build: {others[0].id} of {when}")
    still_older = next(
        (d for d in before_others if d.identity not in (current.identity, others[0].identity)),
        None,
    )
    hint = (
        f"; to go further back, name it: target: {still_older.id} "
        f"({short(still_older.identity or '')})"
        if still_older
        else "; Render lists no older build"
    )
    return Choice(
        target=None,
        why=f"{current.id} has already gone back from {short(others[0].identity or '')} to "
        f"{short(current.identity or '')}{hint}",
    )


def _named(
    history: Sequence[Deploy], current: Deploy | None, target: str, image_path: str | None
) -> Choice:
    """Find a deploy that has served, by its id or build."""
    if current and target in (current.identity, current.id):
        return Choice(target=None, why=f"{target} is what is live")
    found = next(
        (
            d
            for d in history
            if target in (d.id, d.identity) and d.status is DeployStatus.DEACTIVATED
        ),
        None,
    )
    if found:
        return Choice(target=found, why=f"target: {found.id} ({short(found.identity or target)})")
    never_live = next((d for d in history if target in (d.id, d.identity)), None)
    if never_live:
        raise Refused(
            f"{target} is {never_live.raw_status}: it has never served, so it is no way back",
            remedy="Choose a deploy that has been live (Render shows it as Deactivated).",
        )
    listed = ", ".join(d.id for d in history if d.status is DeployStatus.DEACTIVATED) or "none"
    where = f" of {image_path}" if image_path else ""
    raise Refused(
        f"{target} is not among the last {len(history)} deploys{where}",
        remedy=f"Builds that have been live: {listed}.",
    )


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
