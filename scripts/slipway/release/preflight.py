"""What is checked before a release changes production, and what there is to go back to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from slipway.config import Service as Settings
from slipway.errors import ArtifactRefused, OutsideError, Refused
from slipway.ports import Artifact, Deploy, DeployStatus, Service, Side
from slipway.release import deploys, likeness, lock, measuring, predeploy, promises
from slipway.release.deploys import Ports
from slipway.release.health import url_of
from slipway.release.traffic import Traffic
from slipway.text import short


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One canary release, as asked for."""

    release: str
    settings: Settings
    stable: str
    """Render service id."""
    canary: str
    """Render service id."""
    artifact: Artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What was there before anything was changed, and what to go back to."""

    stable: Service
    canary: Service
    live: Deploy
    canary_live: Deploy | None
    side: Side
    """What the candidate is compared with, as its metrics name it."""


def preflight(plan: Plan, ports: Ports, traffic: Traffic) -> Before:
    """Check everything that can be checked without changing anything. Raises ``Refused``."""
    traffic.look()
    stable = deploys.usable(ports, plan.stable)
    canary = deploys.usable(ports, plan.canary)
    for service in (stable, canary):
        if service.image_backed != (plan.artifact.kind == "image"):
            raise Refused(
                f"{service.name} is {'' if service.image_backed else 'not '}image-backed, and "
                f"the build to release is a {plan.artifact.kind}",
                remedy="Stable and canary must be services of the same kind.",
            )
        refuse_other_deployers(service, plan.artifact)
        predeploy.require(service, plan.settings, ports.journal)
    url_of(canary, plan.settings.health)
    latest = ports.platform.deploys(stable.id, limit=100)
    live = build_to_go_back_to(stable, latest)
    refuse_unknown_past(plan, stable, live, ports)
    running = [deploy.id for deploy in latest if deploy.status.running]
    if running:
        raise Refused(
            f"another deploy is running on {stable.name}: {', '.join(running)}",
            remedy="Wait until it has ended, or cancel it at Render.",
        )
    if live.identity != plan.artifact.identity:
        promises.require(stable, plan.settings, ports.journal)
        differs = plan.settings.canary.differs if plan.settings.canary else ()
        likeness.require(ports, stable, canary, differs=differs)
        _require_sellers(plan, ports, traffic)
    side = _side(plan, ports, stable, live)
    if live.identity != plan.artifact.identity:
        sources = measuring.sources_with_edge(
            plan.settings, ports.sources, traffic.edge, ports.clock
        )
        measuring.check(sources, side, ports.journal)
    return Before(
        side=side,
        stable=stable,
        canary=canary,
        live=live,
        canary_live=deploys.live(ports.platform.deploys(canary.id)),
    )


def _side(plan: Plan, ports: Ports, stable: Service, live: Deploy) -> Side:
    """Return how the live build calls itself: asked of itself, as only it knows."""
    answer = ports.prober.probe(
        url_of(stable, plan.settings.health), timeout=plan.settings.health.timeout
    )
    return Side(build=answer.build or live.identity or "", service=stable.id)


FEW_SELLERS = 10
"""Below this many one seller's habits are a large part of what is judged."""
_DAY = 86_400.0


def _require_sellers(plan: Plan, ports: Ports, traffic: Traffic) -> None:
    """Refuse a first step that means none of the sellers there really are."""
    share = plan.settings.strategy.steps[0].share
    try:
        seen = traffic.edge.sellers(share)
    except OutsideError as error:
        ports.journal.trouble(f"how many sellers {share:g} % means is not known: {error.found}")
        return
    lately = f"seen in the last {seen.seconds / _DAY:.1f} days"
    means = f"{share:g} % is {seen.cohort} of your {seen.known} sellers {lately}"
    named = plan.settings.canary.sellers if plan.settings.canary else ()
    if named:
        means = f"{means}, beside {len(named)} by name"
    if seen.known and not seen.cohort and not named:
        raise Refused(
            f"{means}: nobody would meet the candidate before almost everybody does",
            remedy="Make the first step larger, or name sellers under `canary.sellers`. The cohort "
            "is always the same: `scripts/run rotate-cohort` makes it another.",
        )
    if seen.cohort + len(named) < FEW_SELLERS:
        ports.journal.trouble(means)
    else:
        ports.journal.gate(means)


def build_to_go_back_to(service: Service, latest: Sequence[Deploy]) -> Deploy:
    """Return the live deploy of ``latest``. Raises ``Refused`` where there is none."""
    live = deploys.live(latest)
    if live is None or live.identity is None:
        raise Refused(
            f"{service.name} ({service.id}) has no live deploy whose build Render names",
            remedy="There must be a build to go back to. Deploy the stable service once "
            "(images by digest), then release again.",
        )
    return live


class Asked(Protocol):
    """What is asked for by any kind of release."""

    @property
    def settings(self) -> Settings:
        """Of the service."""
        ...

    @property
    def artifact(self) -> Artifact:
        """What is to be released."""
        ...


def build_before(
    plan: Asked, service: Service, live: Deploy, latest: Sequence[Deploy], ports: Ports
) -> Deploy:
    """Return what to go back to: what is live, or what was before a run that died.

    Where it is not ``live``, the candidate is live and has not passed yet. Raises ``Refused`` where
    nobody vouches for what there is to go back to.
    """
    artifact = plan.artifact
    if live.identity != artifact.identity:
        refuse_unknown_past(plan, service, live, ports)
        return live
    if ports.ledger.passed(artifact.identity):
        return live
    served = [d for d in latest if d.status is DeployStatus.DEACTIVATED and d.identity]
    older = [d for d in served if d.identity != artifact.identity]
    before = next((d for d in older if ports.ledger.passed(d.identity or "")), None)
    if before is None:
        raise Refused(
            f"{service.name} runs {short(artifact.identity)}, which has not passed, and no build "
            "before it has: there is nothing to go back to",
            remedy="Deploy a build that passed to it at Render, then release again.",
        )
    try:
        refuse_unknown_past(plan, service, before, ports)
    except ArtifactRefused as error:
        found = error.found.removeprefix(f"{error.code}: ")
        raise ArtifactRefused(
            error.code,
            f"{found}. {service.name} runs it already, and no release of it has passed",
            remedy=f"Promote Previous Build brings {short(before.identity or '')} back. "
            f"{error.remedy}",
        ) from error
    return before


def refuse_unknown_past(plan: Asked, service: Service, live: Deploy, ports: Ports) -> None:
    """Refuse where nobody vouches for what is live, or the candidate does not descend from it.

    And where it descends from a build that was found bad, or is that build; and where it is not
    proven to be what may reach production.
    """
    entry = ports.ledger.require(live.identity or "", service.name)
    ports.ledger.require_descent(plan.artifact, entry)
    lock.require_unlocked(plan.artifact, entry, plan.settings, ports.ledger, ports.journal)
    if live.identity != plan.artifact.identity:
        ports.gate.require(plan.artifact)


def refuse_other_deployers(service: Service, artifact: Artifact) -> None:
    """Refuse where Render deploys by itself, or cannot deploy this image."""
    if service.auto_deploy and not service.image_backed:
        raise Refused(
            f"auto-deploy is on for {service.name} ({service.id}): Render would deploy every "
            "commit to everybody, beside this release",
            remedy="Turn it off: Render, Settings, Build & Deploy, Auto-Deploy: No.",
        )
    if service.image_path is not None:
        configured = _repository(service.image_path)
        asked = _repository(artifact.reference)
        if configured != asked:
            raise Refused(
                f"{service.name} runs {configured}, and the build to release is of {asked}",
                remedy="Render deploys only digests and tags of the image the service is "
                "configured with. Pass that image, or change it at Render.",
            )


def _repository(image: str) -> str:
    """Return host and name of an image reference, without tag and digest."""
    name = image.partition("@")[0]
    head, slash, tail = name.rpartition("/")
    return head + slash + tail.partition(":")[0]
