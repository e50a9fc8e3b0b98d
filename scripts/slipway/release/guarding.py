"""The guards of a release, as slipway.yml asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

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
    named: str | None = None,
) -> Guards:
    """Return what looks at a candidate that answers at these addresses of its health check.

    ``build``: what it calls itself; ``None``: that is not known, or another may answer for it.
    ``data``: the checks on the database, with what they found before the release. ``service``:
    Render's id of one whose every instance is the candidate's. ``named``: what the candidate calls
    itself where another may answer.
    """
    guards: list[Guard] = [HealthGuard(ports.prober, url, settings.health, build) for url in urls]
    bases = {url.removesuffix(settings.health.path): named is None for url in urls}
    guards += _of_webhook(ports, settings, bases, build=named or build, release=release)
    if data is not None and data.asked:
        guards.append(data.beside())
    if service is not None:
        guard = ServerGuard(ports, service, failures=settings.health.failures)
        guards.append(Unheld("Render's events", guard, clock=ports.clock, start=ports.start))
    return Guards(guards)


def _of_webhook(
    ports: Ports,
    settings: Settings,
    bases: Mapping[str, bool],
    *,
    build: str | None,
    release: str,
) -> Iterator[Guard]:
    """Yield one guard for each address, and one for the public one.

    ``bases``: whether all that answers there is the candidate.
    """
    # A canary's public address may be answered by the build before.
    public = {} if settings.url is None else {settings.url: False}
    for base, own in {**public, **bases}.items():
        address = at(ports, settings, base, release=release, build=build, own=own)
        if address is not None and settings.webhook is not None:
            yield Beside(
                f"webhook at {base}",
                WebhookGuard(address, ports.journal.trouble),
                every=settings.webhook.every,
                clock=ports.clock,
                start=ports.start,
            )
