"""What one command works with: checked settings, and the clients made from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from slipway import config
from slipway.clients.clock import SystemClock
from slipway.clients.edge import EdgeClient
from slipway.clients.posthog import PostHogFlags
from slipway.clients.render import Render
from slipway.clients.retries import BRISK as ONCE
from slipway.clients.retries import Patience
from slipway.errors import UsageError
from slipway.github_actions import Runner
from slipway.inputs import Inputs
from slipway.ports import Artifact
from slipway.release.deploys import Ports
from slipway.release.journal import Journal
from slipway.release.stop import Stop
from slipway.release.traffic import Traffic
from slipway.report.markdown import Report

T = TypeVar("T")

PATIENT = Patience(attempts=3, connect_timeout=3, read_timeout=5, rate_limit_cap=30)
"""For Render: the slowest GET then takes about 30 s, well under half of a lease of 180 s, and a
cancelled job waits for one attempt at the most."""
BRISK = Patience(attempts=2, connect_timeout=3, read_timeout=5, rate_limit_cap=15)
"""For PostHog: a raise that hangs keeps sellers unjudged for as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What one command works with, for one service."""

    inputs: Inputs
    settings: config.Config
    name: str
    """Of the service, in slipway.yml."""
    service: config.Service
    clock: SystemClock
    runner: Runner
    conclude: Callable[[Report], None]


def render(desk: Desk, journal: Journal | None = None) -> Render:
    return Render(
        desk.inputs.keys.render,
        base_url=desk.settings.render.api_url,
        patience=PATIENT,
        notice=journal.note if journal else desk.runner.say,
        sleep=desk.clock.sleep,
    )


def brisk_render(desk: Desk) -> Render:
    """Return Render for what is nice to know: asked once, and not waited for."""
    return Render(desk.inputs.keys.render, base_url=desk.settings.render.api_url, patience=ONCE)


def artifact_of(desk: Desk, render: Render, service_id: str) -> Artifact:
    return desk.inputs.artifact(desk.name, image_backed=render.service(service_id).image_backed)


def traffic_of(
    desk: Desk, ports: Ports, setup: CanarySetup, *, release: str, candidate: str
) -> Traffic:
    return Traffic(
        flags=_flags(desk, ports, setup.posthog, setup.posthog_key),
        edge=edge_client(desk, ports, setup.edge, setup.edge_token),
        clock=desk.clock,
        journal=ports.journal,
        key=setup.edge.flag,
        lease=setup.edge.lease,
        release=release,
        holder=desk.inputs.run.holder,
        candidate=candidate,
    )


def require_stable(desk: Desk) -> config.Track:
    if desk.service.stable is None:
        raise UsageError(
            f"{desk.name} has no `stable:` in slipway.yml",
            remedy="Add `stable: {service: srv-…}`: the Render service that is production.",
        )
    return desk.service.stable


@dataclass(frozen=True, slots=True, kw_only=True)
class CanarySetup:
    """Everything a canary needs beyond a Render service."""

    canary: config.Track
    edge: config.Edge
    posthog: config.PostHog
    posthog_key: str = field(repr=False)
    edge_token: str = field(repr=False)


def canary_setup(desk: Desk) -> CanarySetup:
    """Return the set-up of a canary, or say everything that it lacks at once."""
    keys, service, posthog = desk.inputs.keys, desk.service, desk.settings.posthog
    if service.canary and service.edge and posthog and keys.posthog and keys.edge:
        return CanarySetup(
            canary=service.canary,
            edge=service.edge,
            posthog=posthog,
            posthog_key=keys.posthog,
            edge_token=keys.edge,
        )
    needs = {
        "`canary: {service: srv-…}` for this service: Render cannot split the traffic of one "
        "service, so the canary is a second one": service.canary,
        "`edge: {url: …}` for this service: the edge chooses who goes to the canary": service.edge,
        "`posthog: {host: …, project: …}`: its flag is the record of a release": posthog,
        "the input `posthog-api-key`": keys.posthog,
        "the input `edge-token`": keys.edge,
    }
    listed = "\n".join(f"  - {what}" for what, there in needs.items() if not there)
    raise UsageError(
        f"a canary of {desk.name} is not set up; missing:\n{listed}",
        remedy="Add them, or use deploy-staging, which needs none of them.",
    )


def stop_of(desk: Desk, ports: Ports) -> Stop:
    """Return the emergency brake, with whatever there is a key for: half of it is enough."""
    edge, flags = halves_of(desk, ports)
    key = desk.service.edge.flag if desk.service.edge else ""
    return Stop(edge=edge, flags=flags, key=key, clock=desk.clock, journal=ports.journal)


def halves_of(desk: Desk, ports: Ports) -> tuple[EdgeClient | None, PostHogFlags | None]:
    """Return edge and record of a service, each where there is a key for it."""
    keys, edge, posthog = desk.inputs.keys, desk.service.edge, desk.settings.posthog

    def usable(make: Callable[[], T]) -> T | None:
        """A key that cannot be one must not keep the other half from being used."""
        try:
            return make()
        except UsageError as error:
            ports.journal.trouble(error.found)
            return None

    edge_key, flag_key = keys.edge, keys.posthog
    return (
        usable(lambda: edge_client(desk, ports, edge, edge_key)) if edge and edge_key else None,
        usable(lambda: _flags(desk, ports, posthog, flag_key)) if posthog and flag_key else None,
    )


def edge_client(desk: Desk, ports: Ports, edge: config.Edge, token: str) -> EdgeClient:
    return EdgeClient(token, url=edge.url, notice=ports.journal.note, sleep=desk.clock.sleep)


def _flags(desk: Desk, ports: Ports, posthog: config.PostHog, key: str) -> PostHogFlags:
    return PostHogFlags(
        key,
        base_url=posthog.host,
        project=posthog.project,
        sellers=desk.service.canary.sellers if desk.service.canary else (),
        patience=BRISK,
        notice=ports.journal.note,
        sleep=desk.clock.sleep,
    )
