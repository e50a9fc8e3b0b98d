"""What Promote Previous Build would do now: looked up, said, and nothing changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from slipway.errors import Refused, SlipwayError
from slipway.ports import Deploy, Edge, EdgeState, FlagStore, Phase, Service
from slipway.release import deploys
from slipway.release.deploys import Ports
from slipway.release.outcome import Outcome, Result
from slipway.release.rollback import on_its_way
from slipway.release.said import Said, Word
from slipway.release.target import Choice, choose
from slipway.text import short


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One way back, as it would be asked for."""

    release: str
    services: tuple[str, ...]
    """Render service ids: the stable service, or all of a fleet."""
    target: str
    edge: Edge | None = None
    flags: FlagStore | None = None
    flag: str = ""
    """The key of the flag; empty: the service has no edge."""


def run(plan: Plan, ports: Ports) -> Outcome:
    """Say what would happen. Raises nothing but bugs; what would be refused is said too."""
    said = Said(ports.ledger, ports.start, ports.clock)
    state = _edge_state(plan, ports)
    for line in _record(plan):
        ports.journal.note(f"dry run: {line}")
    ends = []
    for service in plan.services:
        try:
            ends.append(_one(plan, ports, service, said, state))
        except Refused as error:
            ends.append(f"it would be refused: {error.found}. {error.remedy}")
        except SlipwayError as error:
            ends.append(f"what would happen is not known: {error.found}. {error.remedy}")
    return Outcome(
        result=Result.UNCHANGED,
        rehearsed=True,
        reason=f"dry run, nothing was changed: {'; '.join(ends)}",
        release_id=plan.release,
        share=state.share if state else None,
    )


def under_way(edge: Edge | None) -> str | None:
    """Return the candidate of the release under way, as far as the edge says. Never raises."""
    try:
        return _candidate(edge.state() if edge else None)
    except SlipwayError:
        return None


def _edge_state(plan: Plan, ports: Ports) -> EdgeState | None:
    if not plan.flag:
        ports.journal.note("dry run: it has no edge, so there is no share")
        return None
    if plan.edge is None:
        ports.journal.note("dry run: the share is not known: no edge-token was given")
        return None
    try:
        state = plan.edge.state()
    except SlipwayError as error:
        ports.journal.note(f"dry run: the share is not known: {error.found}")
        return None
    ports.journal.note(f"dry run: share now {state.share:g} %: {state.why}")
    return state


def _record(plan: Plan) -> Iterator[str]:
    if not plan.flag:
        return
    if plan.flags is None:
        yield f"the flag {plan.flag} would not be turned off: no posthog-api-key was given"
        return
    try:
        flag = plan.flags.read(plan.flag)
    except SlipwayError as error:
        yield f"whether the flag {plan.flag} would be turned off is not known: {error.found}"
        return
    if flag is None:
        yield f"there is no flag {plan.flag}"
    elif flag.active:
        yield f"the flag {plan.flag} is on, at {flag.share:g} %: it would be turned off"
    else:
        yield f"the flag {plan.flag} is off already"


def _one(plan: Plan, ports: Ports, service_id: str, said: Said, state: EdgeState | None) -> str:
    service = deploys.usable(ports, service_id)
    history = ports.platform.deploys(service_id, limit=100)
    live, now = deploys.live(history), ports.clock.now()
    for line in _there(service, history, live, now):
        ports.journal.note(f"dry run: {line}")
    candidate = _candidate(state) or on_its_way(history)
    if plan.target == "previous" and candidate and live and live.identity != candidate:
        return (
            f"the release of {short(candidate)} would be ended, and {service.name} would stay on "
            f"{_named(live, now)}"
        )
    choice = choose(
        history,
        plan.target,
        image_path=service.image_path,
        said=said,
        service=ports.ledger.service,
    )
    return _would(service, choice, said, now)


def _there(
    service: Service, history: Sequence[Deploy], live: Deploy | None, now: datetime
) -> Iterator[str]:
    if live is None:
        yield f"{service.name} has no live deploy"
    else:
        yield f"{service.name} runs {_named(live, now)}"
    running = [deploy.id for deploy in history if deploy.status.running]
    yield f"deploys that would be cancelled: {', '.join(running) or 'none is running'}"
    on = service.auto_deploy and not service.image_backed
    yield f"auto-deploy is {'on, and would be turned off' if on else 'off, or deploys no image'}"


def _candidate(state: EdgeState | None) -> str | None:
    if state is None or state.lease_remaining <= 0 or state.phase in (None, Phase.STABLE):
        return None
    return state.candidate


def _would(service: Service, choice: Choice, said: Said, now: datetime) -> str:
    if choice.target is None:
        return f"{service.name}: nothing would be done: {choice.why}"
    word = said.of(choice.target.identity)
    told = said.trouble if word is Word.UNREAD else ""
    return (
        f"{service.name} would go back to {_named(choice.target, now)}; the ledger: {word}"
        f"{f' ({told})' if told else ''}; {choice.why}"
    )


def _named(deploy: Deploy, now: datetime) -> str:
    since = deploy.finished_at or deploy.created_at
    hours = max(0.0, (now - since).total_seconds() / 3600)
    age = f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:.0f} days"
    return (
        f"{short(deploy.identity or '?')} ({deploy.id}, of {since:%Y-%m-%d %H:%M} UTC, {age} ago)"
    )
