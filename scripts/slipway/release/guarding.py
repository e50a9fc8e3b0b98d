"""The guards of a release, as slipway.yml asks for them."""

from __future__ import annotations

from collections.abc import Sequence

from slipway.config import Service as Settings
from slipway.release.data import DataChecks
from slipway.release.deploys import Ports
from slipway.release.guards import Guard, Guards
from slipway.release.health import HealthGuard


def guards_of(
    ports: Ports,
    settings: Settings,
    urls: Sequence[str],
    build: str | None,
    *,
    data: DataChecks | None = None,
) -> Guards:
    """Return what looks at a candidate that answers at these addresses of its health check.

    ``build``: what it calls itself; ``None``: that is not known, or another may answer for it.
    ``data``: the checks on the database, with what they found before the release.
    """
    guards: list[Guard] = [HealthGuard(ports.prober, url, settings.health, build) for url in urls]
    if data is not None and data.asked:
        guards.append(data.beside())
    return Guards(guards)
