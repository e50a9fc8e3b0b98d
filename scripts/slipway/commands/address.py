"""Where people open what was deployed: the link that is shown, and kept with the deployment."""

from __future__ import annotations

from collections.abc import Callable

from slipway import config
from slipway.errors import SlipwayError
from slipway.ports import Service


def configured(service: config.Service, environment: str) -> str | None:
    """Return the address that slipway.yml gives for this environment, if it gives one."""
    if environment == "staging":
        return service.staging.url if service.staging else None
    # With an edge, Render's address of the stable service is not what users open.
    return service.url or (service.edge.url if service.edge else None)


def at_render(
    service: config.Service, environment: str, read: Callable[[str], Service]
) -> str | None:
    """Return the address that Render gives the service; ``None`` also where it cannot be asked."""
    track = service.staging if environment == "staging" else service.stable
    try:
        return read(track.service).url if track else None
    except SlipwayError:
        return None
