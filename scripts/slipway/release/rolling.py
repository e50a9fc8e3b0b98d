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
    OutsideError,
    Refused,
    SlipwayError,
    Tripped,
    Unauthorized,
)
from slipway.ports import Artifact, Deploy, Service
from slipway.release import bug, deploys, predeploy, preflight, promises, webhook
from slipway.release.data import DataChecks
from slipway.release.deploys import Ports
from slipway.release.gone import LAST
from slipway.release.guarding import guards_of
from slipway.release.health import await_build, url_of
from slipway.release.observed import Observed, of_instances, of_static_site, steps
from slipway.release.outcome import Outcome, Result
from slipway.release.retreat import Retreat
from slipway.release.seen import Seen
from slipway.release.undoing import Undo, Was
from slipway.text import short

_STATIC = "static_site"


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
    change = _Change(plan, ports, before, undo.checks)
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


class _Change:
    """The replacement of the instances, and what was seen of it."""

    def __init__(self, plan: Plan, ports: Ports, before: Before, data: DataChecks) -> None:
        self._data = data
        service, good = before.service, before.good
        self.seen = Seen(
            ports,
            plan.settings,
            before.url,
            [service],
            release=plan.release,
            good=good.identity or "",
        )
        self.ours: set[str] = set()
        """Ids of the deploys that this run has begun or adopted."""
        self.verified = False
        """Whether the new build was seen to be the only one that serves, with no failed probe."""
        self._plan = plan
        self._ports = ports
        self._service = service
        self._url = before.url
        self._old_build = good.identity if good.identity == good.reference else None
        self._static = service.type == _STATIC
        self._before = frozenset() if self._static else self._old(before.coming)
        self._looks: list[frozenset[str]] = []
        self._troubled = False

    def _old(self, coming: Deploy | None) -> frozenset[str]:
        """Return the instances to be replaced; those that a running deploy has made are new."""
        listed = self._ports.platform.instances(self._plan.stable)
        return frozenset(i.id for i in listed if not coming or i.created_at < coming.created_at)

    def _listed(self) -> frozenset[str]:
        return frozenset(i.id for i in self._ports.platform.instances(self._plan.stable))

    def _look(self) -> bool:
        """Ask which instances there are. Return whether all the old ones are known to be gone."""
        if self._static:
            return True
        try:
            listed = self._listed()
        except Unauthorized:
            raise
        except OutsideError as error:
            if not self._troubled:  # once: a look that is missing makes what is observed unclear
                self._troubled = True
                self._ports.journal.trouble(f"listing instances: {error.found}")
            return False
        if not self._looks or self._looks[-1] != listed:
            self._ports.journal.note(self._changed(listed))
        self._looks.append(listed)
        return bool(listed) and not listed & self._before

    def _changed(self, listed: frozenset[str]) -> str:
        """Say how many there are, and which have come and gone since the last look."""
        last = self._looks[-1] if self._looks else self._before
        said = [f"instances: {len(listed & self._before)} old, {len(listed - self._before)} new"]
        said += [f"come: {', '.join(sorted(listed - last))}"] if listed - last else []
        said += [f"gone: {', '.join(sorted(last - listed))}"] if last - listed else []
        return "; ".join(said)

    def take_up(self, left: Deploy) -> Deploy:
        """See the build answer that a run that died has left live, without having watched it."""
        self._ports.journal.note(
            f"{left.id} is live since a run that died: it is seen to answer, and watched now"
        )
        await_build(
            self._ports,
            self._url,
            build=self._plan.artifact.commit,
            health=self._plan.settings.health,
            instances=self._service.instances,
        )
        self.verified = True
        return left

    def replace_instances(self) -> Deploy:
        """Deploy and wait until no old instance is left and the new build answers alone."""
        plan, settings = self._plan, self._plan.settings
        ports = self.seen.probing()
        self._ports.journal.note(
            f"probing {self._url} every {settings.strategy.rolling.probe_every:g} s until all "
            f"{len(self._before)} instances are replaced"
        )
        try:
            deploy = deploys.bring_live(
                ports,
                plan.stable,
                plan.artifact,
                deadline=settings.strategy.deploy_deadline,
                shared=True,
                pulse=self._pulse,
                ours=self.ours,
            )
            self._until_the_old_are_gone(ports)
            await_build(
                ports,
                self._url,
                build=plan.artifact.commit,
                health=settings.health,
                instances=self._service.instances,
                pulse=self._pulse,
            )
        finally:
            self.seen.probes.end()
        self.verified = True
        self._ports.journal.gate(self.sentence())
        return deploy

    def _pulse(self) -> None:
        self._look()

    def _until_the_old_are_gone(self, ports: Ports) -> None:
        until = ports.clock.monotonic() + LAST
        while not self._look():
            if ports.clock.monotonic() >= until:
                raise OutsideError(
                    f"Render did not list new instances alone within {LAST:.0f} s",
                    remedy="Look at the service's instances at Render, then release again.",
                )
            ports.clock.sleep(ports.poll)

    def watch(self) -> None:
        """Look at the new build's health. Raises :class:`Tripped` where it fails in a row."""
        webhook.require(
            self._ports,
            self._plan.settings,
            self._url,
            build=self._plan.artifact.commit,
            release=self._plan.release,
        )
        guards = guards_of(
            self._ports,
            self._plan.settings,
            [self._url],
            self._plan.artifact.commit,
            data=self._data,
            release=self._plan.release,
            service=None if self._static else self._plan.stable,
        )
        build = self._plan.artifact.commit or self._plan.artifact.identity
        self.seen.watch(guards, build)

    def watched(self) -> str:
        """Say what the watch saw beside health."""
        said = self.seen.watched()
        return f"; {said}" if said else ""

    def confirm(self, deploy: Deploy) -> None:
        """See that what was watched is what Render runs still. Raises :class:`Aborted`."""
        latest = self._ports.platform.deploys(self._plan.stable)
        deploys.require_stayed(latest, self._plan.artifact.identity, deploy.id)

    def observed(self) -> Observed | None:
        """Return how instances were seen to be replaced; ``None``: none was."""
        if self._static:
            return of_static_site(
                self._old_build, self._plan.artifact.commit, self.seen.probes.builds
            )
        if all(look >= self._before for look in self._looks):
            return None
        return of_instances(self._before, self._looks)

    def sentence(self) -> str:
        """Say what was seen, with its numbers."""
        if not self.seen.probes.made:
            return "it was live already, since a run that died"
        observed = self.observed()
        stages = "" if self._static else f" (old+new: {steps(self._before, self._looks)})"
        how = f"observed {observed}{stages}, " if observed else ""
        return how + self.seen.probes.sentence()
