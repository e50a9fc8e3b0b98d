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
    Unauthorized,
)
from slipway.ports import Artifact, Deploy, Service
from slipway.release import deploys, preflight, promises
from slipway.release.deploys import Ports
from slipway.release.health import HealthGuard, await_build, url_of
from slipway.release.observed import Observed, of_instances, of_static_site, steps
from slipway.release.outcome import Outcome, Result
from slipway.release.retreat import Retreat
from slipway.release.seen import Seen
from slipway.release.watch import Tripped
from slipway.text import short

OLD_GONE = 420.0
"""Seconds for the last old instance to be gone after the new build is live: Render ends them after
60 s and kills them after a shutdown delay of 300 s at most."""
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


def check(plan: Plan, ports: Ports) -> Before:
    """Check everything that can be checked without changing anything. Raises ``Refused``."""
    service = deploys.usable(ports, plan.stable)
    url = url_of(service, plan.settings.health)
    preflight.refuse_other_deployers(service, plan.artifact)
    latest = ports.platform.deploys(plan.stable)
    live = preflight.build_to_go_back_to(service, latest)
    preflight.refuse_unknown_past(plan.artifact, service, live, ports)
    others = [d.id for d in latest if d.status.running and d.identity != plan.artifact.identity]
    if others:
        raise Refused(
            f"another deploy is running on {service.name}: {', '.join(others)}",
            remedy="Wait until it has ended, or cancel it at Render.",
        )
    if live.identity != plan.artifact.identity:
        promises.require(service, plan.settings, ports.journal)
    return Before(service=service, url=url, live=live)


def run(plan: Plan, ports: Ports) -> Outcome:
    """Deploy, watch, and go back where it is bad. Raises only while nothing has been changed."""
    before = check(plan, ports)
    service, url, live = before.service, before.url, before.live
    if live.identity == plan.artifact.identity:
        return _unchanged(plan, ports, service, url, live)
    change = _Change(plan, ports, service, url, live)
    change.seen.before()
    retreat = Retreat(
        ports,
        service=service,
        url=url,
        settings=plan.settings,
        artifact=plan.artifact,
        before=live,
        named=change.seen.named,
    )
    try:
        deploy = change.replace_instances()
        change.watch()
        change.confirm(deploy)
    except Aborted as error:  # and Cancelled
        hurry = isinstance(error, Cancelled)
        outcome = retreat.leave(error, verified=change.verified, hurry=hurry)
    except (Tripped, DeployFailed) as error:
        outcome = retreat.go(Result.ROLLED_BACK, error)
    except SlipwayError as error:
        outcome = retreat.go(Result.ABORTED, error)
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
        previous_build=live.identity or "",
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

    def __init__(
        self, plan: Plan, ports: Ports, service: Service, url: str, before: Deploy
    ) -> None:
        self.seen = Seen(ports, plan.settings, url, [service])
        self.verified = False
        """Whether the new build was seen to be the only one that serves, with no failed probe."""
        self._plan = plan
        self._ports = ports
        self._service = service
        self._url = url
        self._old_build = before.identity if before.identity == before.reference else None
        self._static = service.type == _STATIC
        self._before = frozenset() if self._static else self._listed()
        self._looks: list[frozenset[str]] = []
        self._troubled = False

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
        until = ports.clock.monotonic() + OLD_GONE
        while not self._look():
            if ports.clock.monotonic() >= until:
                raise OutsideError(
                    f"Render did not list new instances alone within {OLD_GONE:.0f} s",
                    remedy="Look at the service's instances at Render, then release again.",
                )
            ports.clock.sleep(ports.poll)

    def watch(self) -> None:
        """Look at the new build's health. Raises :class:`Tripped` where it fails in a row."""
        guard = HealthGuard(
            self._ports.prober, self._url, self._plan.settings.health, self._plan.artifact.commit
        )
        self.seen.watch([guard])

    def watched(self) -> str:
        """Say what the watch saw beside health."""
        said = self.seen.watched()
        return f"; {said}" if said else ""

    def confirm(self, deploy: Deploy) -> None:
        """See that what was watched is what Render runs still. Raises :class:`Aborted`."""
        live = deploys.live(self._ports.platform.deploys(self._plan.stable))
        if live is None or live.identity != self._plan.artifact.identity:
            raise Aborted(
                f"deploy {deploy.id} was replaced by {live.id if live else 'something'} while it "
                "was watched",
                remedy="Somebody else deployed this service. See its Events at Render.",
            )

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
        observed = self.observed()
        stages = "" if self._static else f" (old+new: {steps(self._before, self._looks)})"
        how = f"observed {observed}{stages}, " if observed else ""
        return how + self.seen.probes.sentence()
