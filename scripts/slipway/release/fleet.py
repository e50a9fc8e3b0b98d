"""rolling-ui of a fleet: several services of one instance each are replaced one after the other.

Render decides how it replaces the instances of one service. Where one by one is required, each
instance is a service of its own behind the user's balancer, and the order is ours: before one is
touched, all others and the public address must answer. A fleet that a dead run left half new is
taken as it is, and the rest follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from slipway.config import Service as Settings
from slipway.errors import Aborted, DeployFailed, Held, OutsideError, Refused, SlipwayError, Tripped
from slipway.ports import Artifact, Deploy
from slipway.release import bug, deploys, predeploy, preflight
from slipway.release.deploys import Ports
from slipway.release.fleet_back import WayBack
from slipway.release.guarding import guards_of
from slipway.release.health import await_build, url_of
from slipway.release.members import Down, Member, await_all, names
from slipway.release.observed import Observed
from slipway.release.outcome import Outcome, Result
from slipway.release.seen import Seen
from slipway.release.undoing import Undo, Was
from slipway.text import short


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One release to a fleet, as asked for."""

    release: str
    settings: Settings
    fleet: tuple[str, ...]
    """Render service ids, in the order in which they are replaced."""
    artifact: Artifact


def check(plan: Plan, ports: Ports) -> list[Member]:
    """Read every service, and check what can be without changing anything. Raises ``Refused``."""
    return [_member(plan, ports, service_id) for service_id in plan.fleet]


def look(plan: Plan, ports: Ports) -> None:
    """Raise what a release would begin with. Changes nothing."""
    build = plan.artifact.identity
    if any(m.live.identity != build or m.before is not m.live for m in check(plan, ports)):
        Undo(ports, plan.settings, plan.artifact.identity).check()


def run(plan: Plan, ports: Ports) -> Outcome:
    """Replace one after the other, watch all, and go back where it is bad.

    Raises only while nothing has been changed, now or by a run before.
    """
    members = check(plan, ports)
    new = [m for m in members if m.live.identity == plan.artifact.identity]
    if len(new) == len(members) and all(m.before is m.live for m in members):
        return _unchanged(plan, ports, members)
    undo = Undo(ports, plan.settings, plan.artifact.identity)
    undo.check()
    change = _Change(plan, ports, members, new, undo)
    try:
        change.before()
    except Refused as error:
        if not change.touched:
            raise
        return change.ended(change.back(Result.ROLLED_BACK, error))
    try:
        undo.expand([m.service for m in members], new=[m.service for m in new])
        change.replace()
        change.watch()
    except (Tripped, DeployFailed) as error:
        outcome = change.back(Result.ROLLED_BACK, error)
    except SlipwayError as error:  # a cancelled job too: what is changed must not stay half
        result = Result.HELD if isinstance(error, Held) else Result.ABORTED
        outcome = change.back(result, error)
    except Exception as error:
        outcome = change.back(Result.ABORTED, bug.aborted(error, ports.journal))
    else:
        outcome = Outcome(
            result=Result.PROMOTED,
            reason=f"{len(members)} services run {short(plan.artifact.identity)}: "
            f"{change.sentence()}; healthy for {plan.settings.strategy.rolling.watch:g} s since"
            f"{change.watched()}",
            deploy_id=change.live[members[0].service.id].id,
            build=plan.artifact.identity,
        )
    return change.ended(outcome)


def _member(plan: Plan, ports: Ports, service_id: str) -> Member:
    """Read one service and refuse the release where it is not fit for it."""
    service, artifact = deploys.usable(ports, service_id), plan.artifact
    if service.image_backed != (artifact.kind == "image"):
        raise Refused(
            f"{service.name} is {'' if service.image_backed else 'not '}image-backed, and the "
            f"build to release is a {artifact.kind}",
            remedy="All services of a fleet must be of the same kind.",
        )
    scaling = service.autoscaling
    if service.instances != 1 or (scaling and scaling.enabled and scaling.maximum > 1):
        raise Refused(
            f"{service.name} may have more than one instance, and Render decides how it replaces "
            "them",
            remedy="Scale each service of the fleet to one instance, with autoscaling off.",
        )
    preflight.refuse_other_deployers(service, artifact)
    predeploy.require(service, plan.settings, ports.journal)
    latest = ports.platform.deploys(service_id, limit=100)
    live = preflight.build_to_go_back_to(service, latest)
    others = [d.id for d in latest if d.status.running and d.identity != artifact.identity]
    if others:
        raise Refused(
            f"another deploy is running on {service.name}: {', '.join(others)}",
            remedy="Wait until it has ended, or cancel it at Render.",
        )
    url = url_of(service, plan.settings.health)
    before = preflight.build_before(plan, service, live, latest, ports)
    answer = ports.prober.probe(url, timeout=plan.settings.health.timeout)
    return Member(
        service=service,
        url=url,
        live=live,
        before=before,
        # A build that was there before a run that died cannot be asked; Git's name is its commit.
        named=answer.build if before is live else None if service.image_backed else before.identity,
    )


def _unchanged(plan: Plan, ports: Ports, members: Sequence[Member]) -> Outcome:
    """All run the build already, perhaps since a run that died: see each answer before saying so.

    Raises :class:`DeployFailed` where one does not.
    """
    for member in members:
        await_build(
            ports, member.url, build=plan.artifact.commit, health=plan.settings.health, instances=1
        )
    return Outcome(
        result=Result.UNCHANGED,
        reason=f"all {len(members)} services already run {short(plan.artifact.identity)} and "
        "answer",
        release_id=plan.release,
        deploy_id=members[0].live.id,
        build=plan.artifact.identity,
        previous_build=plan.artifact.identity,
    )


class _Change:
    """The replacement of one service after the other, and what was seen of it."""

    def __init__(
        self,
        plan: Plan,
        ports: Ports,
        members: Sequence[Member],
        new: Sequence[Member],
        undo: Undo,
    ) -> None:
        self._undo = undo
        url = f"{plan.settings.url}{plan.settings.health.path}"
        self.done: list[Member] = []
        """Replaced by this run, in their order."""
        self.live: dict[str, Deploy] = {}
        """What each service runs, as read after the watch."""
        self._plan = plan
        self._ports = ports
        self._ours: set[str] = set()
        self._members = members
        self._new = new
        self.touched = [m for m in new if m.before is not m.live]
        self._url = url
        good = next((m.before.identity for m in members), None)
        services = [m.service for m in members]
        self._seen = Seen(ports, plan.settings, url, services, good=good or "")

    def before(self) -> None:
        """See that the public address and all services answer. Raises ``Refused``."""
        self._seen.before()
        try:
            await_all(self._ports, self._members, self._plan.settings.health)
        except Down as down:
            raise Refused(
                f"{down.found}; nothing was changed",
                remedy=f"Mend {down.member.name} first: Promote Previous Build, or deploy to it at "
                "Render by hand.",
            ) from down
        if self._new:
            self._ports.journal.note(f"already on the build: {names(self._new)}")

    def replace(self) -> None:
        """Replace one after the other, while the public address is probed."""
        ports = self._seen.probing()
        left = [m for m in self._members if m not in self._new]
        # What a dead run began is ended before anything else is begun.
        left.sort(key=lambda m: not self._is_coming(m))
        self._ports.journal.note(f"probing {self._url} while these are replaced: {names(left)}")
        try:
            for member in left:
                self._replace(ports, member)
        finally:
            self._seen.probes.end()
        self._ports.journal.gate(self.sentence())

    def _is_coming(self, member: Member) -> bool:
        latest = self._ports.platform.deploys(member.service.id)
        return any(d.status.running for d in latest)

    def _replace(self, ports: Ports, member: Member) -> None:
        settings, artifact = self._plan.settings, self._plan.artifact
        try:
            await_all(ports, [m for m in self._members if m is not member], settings.health)
        except Down as down:
            if down.member in (*self._new, *self.done):
                raise Tripped(down.found) from down
            raise OutsideError(down.found, remedy=down.remedy) from down
        self.touched.append(member)
        deploys.bring_live(
            ports,
            member.service.id,
            artifact,
            deadline=settings.strategy.deploy_deadline,
            shared=True,
            ours=self._ours,
        )
        await_build(ports, member.url, build=artifact.commit, health=settings.health, instances=1)
        self.done.append(member)
        count = len(self._new) + len(self.done)
        self._ports.journal.gate(
            f"{count} of {len(self._members)} services replaced: {member.name}; longest gap so "
            f"far {self._seen.probes.longest_gap:.2f} s"
        )

    def watch(self) -> None:
        """Look at all services and the public address; see that Render runs the build still."""
        ports = self._ports
        urls = [self._url, *(member.url for member in self._members)]
        # Render keeps an old instance for 60 s, which may answer once more: none names the build.
        build = self._plan.artifact.commit or self._plan.artifact.identity
        guards = guards_of(
            ports,
            self._plan.settings,
            urls,
            None,
            data=self._undo.checks,
            release=self._plan.release,
            named=build,
        )
        self._seen.watch(guards, build)
        for member in self._members:
            latest = ports.platform.deploys(member.service.id)
            identity = self._plan.artifact.identity
            live = deploys.require_stayed(latest, identity, f"the build on {member.name}")
            self.live[member.service.id] = live

    def ended(self, outcome: Outcome) -> Outcome:
        """Return ``outcome`` with what it leaves out of every end."""
        return replace(
            outcome,
            release_id=self._plan.release,
            previous_build=self._members[0].before.identity or "",
            observed=Observed.ONE_BY_ONE if self.done else "",
        )

    def back(self, result: Result, error: SlipwayError) -> Outcome:
        """Bring all back that run the build. Raises ``error`` where none does."""
        if not self.touched and self._undo.began:
            first = self._members[0].live
            found = Outcome(
                result=result,
                reason=error.found,
                remedy=error.remedy,
                deploy_id=first.id,
                build=first.identity or "",
            )
            return self._undone(found, error)
        if not self.touched:
            raise (
                error
                if isinstance(error, Aborted)
                else Refused(f"{error.found}; nothing was changed", remedy=error.remedy)
            )
        back = WayBack(
            self._ports, self._plan.settings, self._plan.artifact, self._members, self._ours
        )
        outcome = self._undone(back.go(result, error, self.touched), error)
        if self._seen.probes.tripped:
            return outcome
        return replace(outcome, reason=f"{outcome.reason} ({self.sentence()})")

    def _undone(self, outcome: Outcome, error: SlipwayError) -> Outcome:
        before = [Was(service=m.service, live=m.before) for m in self._members]
        return self._undo.after(outcome, error, before, share=0.0)

    def sentence(self) -> str:
        """Say what was seen, with its order and numbers."""
        order = f"one by one in the order {names(self.done)}, " if self.done else ""
        return order + self._seen.probes.sentence()

    def watched(self) -> str:
        """Say what the watch saw beside health."""
        said = self._seen.watched()
        return f"; {said}" if said else ""
