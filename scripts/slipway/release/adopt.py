"""adopt: what is live becomes the first build that passed, because a person vouches for it.

It must answer well, several times in a row, as one build. What was deployed by a tag is deployed
again by the digest that is live, so that going back to it means this image and no other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from slipway.config import Health
from slipway.config import Service as Settings
from slipway.errors import Aborted, DeployFailed, Refused, SlipwayError
from slipway.ports import Artifact, Deploy, Service
from slipway.release import deploys
from slipway.release.deploys import Ports
from slipway.release.health import (
    GOOD_IN_A_ROW,
    MOST_IN_A_ROW,
    await_build,
    describe,
    healthy,
    url_of,
)
from slipway.release.outcome import Outcome, Result
from slipway.release.preflight import build_to_go_back_to
from slipway.text import short

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One adoption, as asked for."""

    release: str
    name: str
    """Of the service in slipway.yml."""
    settings: Settings
    services: tuple[str, ...]
    """Render service ids: the stable service, or all of a fleet."""
    commit: str | None
    """What a person says the live image was built from, where it does not say so itself."""
    reason: str
    actor: str
    run_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What one service runs."""

    service: Service
    url: str
    deploy: Deploy


def run(plan: Plan, ports: Ports) -> Outcome:
    """Look, pin, see it answer, and write it down. Raises only while nothing has been changed."""
    found = [_look(plan, ports, service) for service in plan.services]
    build = _one_build(found)
    tagged = [live for live in found if not live.deploy.pinned]
    if ports.ledger.passed(build) and not tagged:
        return _ended(plan, Result.UNCHANGED, f"{short(build)} passed already", found[0].deploy)
    named = {_answering(ports, live, plan.settings.health) for live in found}
    commit = _commit_of(plan, found[0], named)
    pinned: list[Deploy] = []
    try:
        for live in tagged:
            # One by one: how many were pinned is told where one of them fails.
            pinned.append(_pin(plan, ports, live, next(iter(named))))  # noqa: PERF401
        deploy = pinned[0] if pinned else found[0].deploy
        _write(plan, ports, build, commit, deploy)
    except SlipwayError as error:
        if not tagged:
            raise
        return Outcome(
            result=Result.FAILED if isinstance(error, DeployFailed) else Result.ABORTED,
            reason=f"{len(pinned)} of {len(tagged)} services were pinned to {short(build)}, and "
            f"nothing was written down: {error.found}",
            remedy=error.remedy,
            release_id=plan.release,
            failure=error,
        )
    why = f"{plan.actor} vouches for {short(build)} ({commit[:12]}): {plan.reason}"
    return _ended(plan, Result.ADOPTED, why, deploy)


def _ended(plan: Plan, result: Result, why: str, deploy: Deploy) -> Outcome:
    return Outcome(
        result=result,
        reason=why,
        release_id=plan.release,
        deploy_id=deploy.id,
        build=deploy.identity or "",
        previous_build=deploy.identity or "",
    )


def _look(plan: Plan, ports: Ports, service_id: str) -> Live:
    service = deploys.usable(ports, service_id)
    url = url_of(service, plan.settings.health)
    latest = ports.platform.deploys(service_id)
    running = [deploy.id for deploy in latest if deploy.status.running]
    if running:
        raise Refused(
            f"another deploy is running on {service.name}: {', '.join(running)}",
            remedy="Wait until it has ended: what is live may be another build then.",
        )
    if service.auto_deploy and not service.image_backed:
        ports.journal.trouble(
            f"auto-deploy is on for {service.name}: releases are refused until it is off"
        )
    return Live(service=service, url=url, deploy=build_to_go_back_to(service, latest))


def _one_build(found: Sequence[Live]) -> str:
    builds = {live.deploy.identity or "": live.service.name for live in found}
    if len(builds) > 1:
        listed = ", ".join(f"{name} runs {short(build)}" for build, name in builds.items())
        raise Refused(
            f"the services of this fleet run different builds: {listed}",
            remedy="Deploy one build to all of them, then adopt it.",
        )
    return next(iter(builds))


def _answering(ports: Ports, live: Live, health: Health) -> str | None:
    """Return the build that answers well several times in a row; ``None``: it does not say."""
    wanted = min(max(GOOD_IN_A_ROW, 2 * live.service.instances), MOST_IN_A_ROW)
    until = ports.clock.monotonic() + health.deadline
    seen: list[str | None] = []
    while True:
        answer = ports.prober.probe(live.url, timeout=health.timeout)
        if not healthy(answer) or (seen and seen[-1] != answer.build):
            seen.clear()
        if healthy(answer):
            seen.append(answer.build)
        if len(seen) >= wanted:
            ports.journal.gate(f"{live.url} answered {wanted} times in a row, as {seen[0]}")
            return seen[0]
        if ports.clock.monotonic() >= until:
            raise Refused(
                f"{live.url} did not answer well {wanted} times in a row as one build within "
                f"{health.deadline:.0f} s; last: {describe(answer)}, build {answer.build}",
                remedy="Only what is healthy can be adopted. Deploy a build that is, or mend "
                "`health:` and `build:` in slipway.yml.",
            )
        ports.clock.sleep(min(1.0, ports.poll))


def _commit_of(plan: Plan, live: Live, named: set[str | None]) -> str:
    """Return the commit that is live. Raises :class:`Refused` where it is not certain."""
    if len(named) > 1:
        listed = ", ".join(sorted(map(str, named)))
        raise Refused(
            f"the services of this fleet answer as different builds: {listed}",
            remedy="Deploy one build to all of them, then adopt it.",
        )
    said = next(iter(named))
    of_git = None if live.service.image_backed else live.deploy.identity
    known = {c for c in (said, of_git, plan.commit) if c is not None and _COMMIT.fullmatch(c)}
    if len(known) > 1:
        raise Refused(
            f"what is live is not certain: {live.url} answers as {said}, Render says "
            f"{live.deploy.identity}, and the input `live-commit` is {plan.commit}",
            remedy="Look at what the service runs. `build:` in slipway.yml says where a running "
            "build names the commit it was made from.",
        )
    if not known:
        raise Refused(
            f"which commit {live.service.name} runs is not known: {live.url} answers as {said}",
            remedy="Give the commit that the image was built from: `live-commit`. Better: have the "
            "build name it (see `build:` in slipway.yml).",
        )
    return known.pop()


def _pin(plan: Plan, ports: Ports, live: Live, named: str | None) -> Deploy:
    """Deploy the same image by its digest, and see it answer."""
    service, old = live.service, live.deploy
    if old.reference is None:
        raise Aborted(
            f"Render does not name the image that {service.name} runs",
            remedy="Deploy it once by its digest (host/name@sha256:…), then adopt it.",
        )
    artifact = Artifact(kind="image", reference=old.reference, commit=named)
    ports.journal.note(f"{service.name} was deployed by a tag: pinning it to {old.reference}")
    known = {deploy.id for deploy in ports.platform.deploys(service.id)}
    started = ports.platform.start_deploy(service.id, artifact)
    deploy = deploys.wait_live(
        ports,
        service.id,
        started or deploys.find(ports, service.id, known, artifact),
        artifact.identity,
        deadline=plan.settings.strategy.deploy_deadline,
    )
    await_build(
        ports, live.url, build=named, health=plan.settings.health, instances=service.instances
    )
    return deploy


def _write(plan: Plan, ports: Ports, build: str, commit: str, deploy: Deploy) -> None:
    ports.ledger.vouch(
        build=build,
        commit=commit,
        payload={
            "service": plan.name,
            "deploy": deploy.id,
            "reason": plan.reason,
            "actor": plan.actor,
        },
        why=f"adopted by {plan.actor}: {plan.reason}",
        log_url=plan.run_url,
    )
    ports.journal.gate(f"GitHub keeps that {short(build)} is the build to go back to")
