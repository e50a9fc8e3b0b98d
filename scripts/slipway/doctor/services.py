"""What one Render service must be like for what Slipway does with it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Literal

from slipway.config import Service as Settings
from slipway.doctor.findings import Finding, care, fine, wrong
from slipway.ports import Answer, Deploy, Service
from slipway.release import likeness, promises
from slipway.release.deploys import live as live_of
from slipway.release.health import describe, healthy
from slipway.text import short

Role = Literal["staging", "stable", "fleet", "canary"]
_PUBLIC = ("web_service", "static_site")
_BUILD = "Settings, Build & Deploy, Auto-Deploy: No."


def check(service: Service, role: Role, settings: Settings) -> Iterator[Finding]:
    """Yield what is to be said of a service by itself."""
    yield fine(f"{role} is {service.name} ({_kind(service)})")
    if service.type not in _PUBLIC or service.url is None:
        yield wrong(
            f"{service.name} is a {service.type} without a public address: it cannot be probed",
            "Make it a web service.",
        )
    if service.suspended:
        yield wrong(f"{service.name} is suspended", "Resume it at Render.")
    if service.maintenance and role != "stable":
        yield wrong(
            f"{service.name} is in maintenance mode: everybody gets 503",
            "Turn maintenance mode off at Render.",
        )
    if service.auto_deploy and not service.image_backed:
        say = care if role == "staging" else wrong
        yield say(
            f"auto-deploy is on for {service.name}: Render deploys every commit beside Slipway",
            f"Turn it off: {_BUILD}",
        )
    yield from _health(service, role, settings)
    yield from _plan(service, role)
    if role == "stable" and service.type != "static_site":
        yield from _promises(service, settings)


def _kind(service: Service) -> str:
    scaled = service.autoscaling
    count = f"{service.instances} instance{'s' * (service.instances != 1)}"
    if scaled and scaled.enabled:
        count = f"{scaled.minimum} to {scaled.maximum} instances"
    parts = (service.type, service.plan, service.region, count)
    return ", ".join(part for part in parts if part)


def _health(service: Service, role: Role, settings: Settings) -> Iterator[Finding]:
    if service.type == "static_site":
        return
    if not service.health_path and role != "stable":
        yield care(
            f"{service.name} has no health check path: Render sends users to new instances "
            "before they are ready",
            f"Set it to {settings.health.path} at Render (Settings, Health Check Path).",
        )
    elif service.health_path not in (None, settings.health.path):
        yield care(
            f"Render checks {service.health_path} of {service.name}, and Slipway "
            f"{settings.health.path}",
            "Use one path for both: `health.path` in slipway.yml.",
        )


def _plan(service: Service, role: Role) -> Iterator[Finding]:
    if service.plan != "free":
        return
    say = care if role == "staging" else wrong
    yield say(
        f"{service.name} is on the free plan: it is stopped after 15 minutes without a request, "
        "and the first answer then takes long",
        "Choose a paid instance type for it; free ones have one instance only.",
    )


def _promises(service: Service, settings: Settings) -> Iterator[Finding]:
    for broken in promises.broken_by(service, settings.promises):
        or_else = f" Or: `promises: {{{broken.give_up}}}`." if broken.give_up else ""
        yield wrong(f"{service.name}: {broken}", broken.mend + or_else)


def check_deploys(
    service: Service, role: Role, deploys: Sequence[Deploy], *, adopted: bool | None
) -> Iterator[Finding]:
    """Yield what is to be said of what it runs. ``adopted`` None: GitHub could not be asked."""
    current = live_of(deploys)
    if current is None or current.identity is None:
        say = care if role in ("staging", "canary") else wrong
        yield say(
            f"{service.name} has no live deploy whose build Render names",
            "Deploy it once (an image by its digest): there must be a build to go back to.",
        )
        return
    if not current.pinned:
        yield care(
            f"{service.name} was deployed by a tag: going back pulls whatever the tag is then",
            "`scripts/run adopt` pins it to the digest that is live.",
        )
    running = [deploy.id for deploy in deploys if deploy.status.running]
    if running:
        yield care(f"a deploy is running: {', '.join(running)}", "Wait until it has ended.")
    if role in ("stable", "fleet") and adopted is not None:
        if adopted:
            yield fine(f"{short(current.identity)} is live, and it passed: releases can go back")
        else:
            yield wrong(
                f"nobody vouches for {short(current.identity)}, which is live: the first release "
                "is refused",
                'Adopt it: scripts/run adopt --service … --reason "…", or the workflow Adopt.',
            )


def check_answer(service: Service, answer: Answer) -> Iterator[Finding]:
    """Yield what its health check says now."""
    if not healthy(answer):
        yield wrong(
            f"{answer.url} does not answer well: {describe(answer)}",
            "Mend the service, or `health:` in slipway.yml.",
        )
    elif answer.build is None:
        say = wrong if service.image_backed else care
        yield say(
            f"{answer.url} answers well and does not name its build",
            "Name the commit it was made from: see `build:` in slipway.yml.",
        )
    else:
        yield fine(f"{answer.url} answers well, as {answer.build[:12]}")


def compare(
    stable: Service,
    canary: Service,
    variables: tuple[Mapping[str, str], Mapping[str, str]] | None,
    differs: Collection[str],
) -> Iterator[Finding]:
    """Yield where the canary service is unlike the stable one: it would judge something else."""
    if stable.image_backed != canary.image_backed:
        yield wrong(
            f"{stable.name} and {canary.name} are not both image-backed",
            "Stable and canary must be services of the same kind.",
        )
    unlike = list(likeness.differences(stable, canary, variables, differs))
    if unlike:
        yield wrong(
            f"{canary.name} is unlike {stable.name}, and a canary is refused: {'; '.join(unlike)}",
            "Make them alike, or name the variables under `canary: {differs: […]}`.",
        )
    else:
        yield fine(f"{canary.name} is like {stable.name}")
