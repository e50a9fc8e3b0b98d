"""The ways back of a fleet, one service after the other: of a release, and of a person's."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from slipway.config import Service as Settings
from slipway.errors import Refused, SlipwayError
from slipway.ports import Artifact, Deploy, DeployStatus, Service
from slipway.release import deploys, preflight, pressing, unseen
from slipway.release.deploys import Ports
from slipway.release.goback import go_back
from slipway.release.health import await_build, url_of
from slipway.release.members import Down, Member, names, one_by_one_back
from slipway.release.outcome import Outcome, Result
from slipway.release.patience import patiently
from slipway.release.retreat import Retreat
from slipway.release.rollback import stop_auto_deploy
from slipway.release.said import Said
from slipway.release.target import choose
from slipway.text import short


class WayBack:
    """Brings back what a release has changed. Never raises for what the outside does."""

    def __init__(
        self,
        ports: Ports,
        settings: Settings,
        artifact: Artifact,
        members: Sequence[Member],
        ours: Collection[str],
    ) -> None:
        """``ours``: ids of the deploys that this release has begun."""
        self._ours = ours
        self._ports = ports
        self._settings = settings
        self._artifact = artifact
        self._members = members

    def go(self, result: Result, error: SlipwayError, changed: Sequence[Member]) -> Outcome:
        """Bring the builds before back to ``changed``; what other people deploy is left alone."""
        began = self._ports.clock.monotonic()
        self._ports.journal.note(
            f"going back on {names(list(reversed(changed)))}; if this job is ended before, run "
            "Promote Previous Build"
        )
        ended: dict[str, Outcome] = {}

        def act(member: Member) -> None:
            retreat = Retreat(
                self._ports,
                service=member.service,
                url=member.url,
                settings=self._settings,
                artifact=self._artifact,
                before=member.before,
                named=member.named,
                ours=self._ours,
            )
            ended[member.service.id] = retreat.go(result, error)

        stuck = ""
        with self._ports.clock.shielded():
            try:
                one_by_one_back(self._ports, self._members, changed, self._settings.health, act)
            except SlipwayError as down:
                stuck = down.found
        outcome = self._ended(result, error, changed, ended, stuck)
        if any(ended.get(m.service.id, outcome).seconds_to_old_code is None for m in changed):
            return outcome
        return replace(outcome, seconds_to_old_code=self._ports.clock.monotonic() - began)

    def _ended(
        self,
        result: Result,
        error: SlipwayError,
        changed: Sequence[Member],
        ended: dict[str, Outcome],
        stuck: str,
    ) -> Outcome:
        back = [
            member
            for member in changed
            if (outcome := ended.get(member.service.id))
            and outcome.result is not Result.FROZEN
            and outcome.build == member.before.identity
        ]
        left = [member for member in changed if member not in back]
        kept = {short(member.before.identity or "") for member in back}
        parts = [error.found]
        if back:
            parts.append(f"as before, {' or '.join(sorted(kept))} is run by {names(back)}")
        already = f"{error.found}; "
        parts += [
            f"{m.name}: {ended[m.service.id].reason.removeprefix(already)}"
            for m in left
            if m.service.id in ended
        ]
        waiting = [member for member in left if member.service.id not in ended]
        if waiting:
            parts.append(f"not gone back on {names(waiting)}: {stuck}")
        frozen = bool(waiting) or any(
            ended[member.service.id].result is Result.FROZEN for member in left
        )
        first = self._members[0]
        arrived = ended.get(first.service.id)
        return Outcome(
            result=Result.FROZEN if frozen else Result.ABORTED if left else result,
            reason="; ".join(parts),
            remedy=f"Now: run Promote Previous Build, or one after the other {_presses(left)}."
            if frozen
            else error.remedy,
            deploy_id=arrived.deploy_id if arrived else first.live.id,
            build=arrived.build if arrived else first.live.identity or "",
            bad=frozen and result is Result.ROLLED_BACK,
        )


def _presses(members: Sequence[Member]) -> str:
    """Return what to press for each of them."""
    return "; ".join(pressing.of_service(m.service, m.before) for m in members)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One way back of a fleet, as asked for by a person."""

    release: str
    settings: Settings
    fleet: tuple[str, ...]
    """Render service ids."""
    target: str
    """``previous``, a digest, a commit, or a deploy id of the first service."""
    reason: str
    actor: str
    automatic: bool = False
    """Whether no person asks: it goes back to what was live before, which had passed."""


def run(plan: Plan, ports: Ports) -> Outcome:
    """Bring one earlier build back to all services. Never raises SlipwayError."""
    left: list[Member] = []
    try:
        outcome = _go(plan, ports, left)
    except Refused as error:
        outcome = Outcome(
            result=Result.REFUSED,
            reason=f"no service was touched: {error.found}",
            remedy=error.remedy,
            failure=error,
        )
    except SlipwayError as error:
        outcome = Outcome(
            result=Result.FROZEN,
            reason=f"going back was not finished: {error.found}",
            remedy=f"Now: {_by_hand(plan, ports, left, error)}. {error.remedy}",
        )
    return replace(outcome, release_id=plan.release)


def _by_hand(plan: Plan, ports: Ports, left: Sequence[Member], error: SlipwayError) -> str:
    """Return what to press for those that are not back, or for all where none could be read."""
    if left:
        return f"one after the other {_presses(left)}"
    presses = [
        unseen.what_to_press(ports, unseen.Aim(), error, target=plan.target, service_id=service_id)
        for service_id in plan.fleet
    ]
    return f"one after the other {'; '.join(presses)}"


def _go(plan: Plan, ports: Ports, left: list[Member]) -> Outcome:
    """Go back. ``left``: becomes those whose way back has not ended."""
    began = ports.clock.monotonic()
    said = None if plan.automatic else Said(ports.ledger, ports.start, ports.clock)
    services, histories = patiently(
        ports,
        f"reading {', '.join(plan.fleet)}",
        lambda: (
            [deploys.usable(ports, each) for each in plan.fleet],
            [ports.platform.deploys(each, limit=100) for each in plan.fleet],
        ),
        deadline=plan.settings.strategy.deploy_deadline,
    )
    build, why = _build(plan, ports, services[0], histories[0], said)
    ports.journal.note(why)
    members, changed = [], []
    for service, history in zip(services, histories, strict=True):
        live = preflight.build_to_go_back_to(service, history)
        target = choose(history, build, image_path=service.image_path).target
        member = Member(
            service=service,
            url=url_of(service, plan.settings.health),
            live=live,
            before=target or live,
        )
        members.append(member)
        # What is on its way to a service that runs the build still would undo it.
        if target or any(d.status.running and d.identity != build for d in history):
            changed.append(member)
    if not changed:
        return Outcome(
            result=Result.UNCHANGED,
            reason=f"all {len(members)} services run {short(build)}: {why}",
            deploy_id=members[0].live.id,
            build=build,
        )
    left += changed
    arrived: dict[str, Deploy] = {}

    def act(member: Member) -> None:
        stop_auto_deploy(ports, member.service)
        arrived[member.service.id] = go_back(
            ports,
            member.service.id,
            member.before,
            image_backed=member.service.image_backed,
            deadline=plan.settings.strategy.deploy_deadline,
        )
        await_build(ports, member.url, build=None, health=plan.settings.health, instances=1)
        left.remove(member)
        ports.journal.gate(f"{len(arrived)} of {len(changed)} services back: {member.name}")

    try:
        one_by_one_back(ports, members, changed, plan.settings.health, act)
    except Down as down:
        raise DownHalfWay(down, [m for m in changed if m.service.id not in arrived]) from down
    first = members[0]
    return Outcome(
        result=Result.PROMOTED_PREVIOUS,
        reason=f"{plan.actor} went back to {short(build)} on {names(changed)}, one by one: "
        f"{plan.reason}",
        deploy_id=arrived.get(first.service.id, first.live).id,
        build=build,
        previous_build=first.live.identity or "",
        seconds_to_old_code=ports.clock.monotonic() - began,
    )


class DownHalfWay(SlipwayError):
    """A service is down that is not to be changed, so the others had to stay."""

    def __init__(self, down: Down, left: Sequence[Member]) -> None:
        super().__init__(f"{down.found}; not gone back on {names(left)}", remedy=down.remedy)


def _build(
    plan: Plan, ports: Ports, first: Service, history: Sequence[Deploy], said: Said | None
) -> tuple[str, str]:
    """Return the build that all are brought to, which the first service decides, and why."""
    current = deploys.live(history)
    coming = [d for d in history if d.status.running]
    if plan.target == "previous" and current and current.identity and coming:
        served = {d.identity for d in history if d.status is DeployStatus.DEACTIVATED}
        back = coming[0].identity
        if back and back in served:
            return back, f"{coming[0].id} is on its way back already"
        return current.identity, f"{coming[0].id} is on its way: {current.id} is the build before"
    choice = choose(
        history,
        plan.target,
        image_path=first.image_path,
        said=said,
        service=ports.ledger.service,
    )
    if choice.doubt:
        ports.journal.trouble(choice.doubt)
    found = choice.target or current
    if found is None or found.identity is None:
        raise Refused(
            f"Render does not say which build {plan.target} is",
            remedy="Name a build: `target: sha256:…` or a commit.",
        )
    return found.identity, choice.why
