"""The guards of a release, as slipway.yml asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from slipway.config import Service as Settings
from slipway.release.data import DataChecks
from slipway.release.deploys import Ports
from slipway.release.guards import Beside, Guard, Guards
from slipway.release.health import HealthGuard
from slipway.release.servers import ServerGuard, Unheld
from slipway.release.webhook import WebhookGuard, at


def guards_of(
    ports: Ports,
    settings: Settings,
    urls: Sequence[str],
    build: str | None,
    *,
    data: DataChecks | None = None,
    release: str = "",
    service: str | None = None,
) -> Guards:
    """Return what looks at a candidate that answers at these addresses of its health check.

    ``build``: what it calls itself; ``None``: that is not known, or another may answer for it.
    ``data``: the checks on the database, with what they found before the release. ``service``:
    Render's id of one whose every instance is the candidate's.
    """
    guards: list[Guard] = [HealthGuard(ports.prober, url, settings.health, build) for url in urls]
    guards += _of_webhook(ports, settings, urls, build, release)
    if data is not None and data.asked:
        guards.append(data.beside())
    if service is not None:
        guard = ServerGuard(ports, service, failures=settings.health.failures)
        guards.append(Unheld("Render's events", guard, clock=ports.clock, start=ports.start))
    return Guards(guards)


def _of_webhook(
    ports: Ports, settings: Settings, urls: Sequence[str], build: str | None, release: str
) -> Iterator[Guard]:
    """Yield one guard for each address of the candidate, and one for the public one."""
    bases = {url.removesuffix(settings.health.path): True for url in urls}
    if settings.url is not None:
        bases.setdefault(settings.url, False)  # a canary's may be answered by the build before
    for base, own in bases.items():
        address = at(ports, settings, base, release=release, build=build, own=own)
        if address is not None and settings.webhook is not None:
            yield Beside(
                f"webhook at {base}",
                WebhookGuard(address, ports.journal.trouble),
                every=settings.webhook.every,
                clock=ports.clock,
                start=ports.start,
            )
