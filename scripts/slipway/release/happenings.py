"""What Render itself does to a service during a release, said in the journal, once each.

Instances that Render replaces by itself are told and nothing more: what errors that makes are
counted as they come. While a service is in maintenance mode Render answers 503 for it, which says
nothing about any build: nothing is decided by counts then.
"""

from __future__ import annotations

from typing import Final

from slipway.errors import OutsideError
from slipway.ports import Event, Service
from slipway.release.deploys import Ports
from slipway.text import one_line

EVERY = 30.0
"""Seconds between two questions."""
_BY_ITSELF: Final = frozenset(
    {"maintenance_started", "zero_downtime_redeploy_started", "server_hardware_failure"}
)
_WORDS = 120
"""Characters of what Render says of a failed health check."""


class Happenings:
    """Asks for the events of one service since the beginning, and tells of those that matter."""

    def __init__(self, ports: Ports, service: Service) -> None:
        self._ports = ports
        self._service = service
        self._since = ports.clock.now()
        self._due = ports.clock.monotonic()
        self._told: set[str] = set()
        self._troubled = False
        self._doubtful = False

    @property
    def hindrance(self) -> str | None:
        """Why nothing can be decided by counts now; ``None``: nothing known of that kind."""
        if not self._doubtful:
            return None
        return f"{self._service.name} is in maintenance mode at Render, which answers 503 for it"

    def look(self) -> None:
        """Ask if it is time to. An answer that does not come is told once, and stops nothing."""
        now = self._ports.clock.monotonic()
        if now < self._due:
            return
        self._due = now + EVERY
        try:
            events = self._ports.platform.events(self._service.id, since=self._since)
            if self._doubtful or any(self._is_new(event) for event in events):
                self._doubtful = self._ports.platform.service(self._service.id).maintenance
        except OutsideError as error:
            if not self._troubled:
                self._ports.journal.trouble(f"Render's events: {error.found}")
            self._troubled = True
            return
        for event in events:
            text = None if event.id in self._told else self._sentence(event)
            self._told.add(event.id)
            if text:
                self._ports.journal.trouble(f"{text} ({event.type} at {event.at:%H:%M:%S})")

    def _is_new(self, event: Event) -> bool:
        """Whether it says that maintenance mode was changed, and was not told yet."""
        return event.type == "maintenance_mode_enabled" and event.id not in self._told

    def _sentence(self, event: Event) -> str | None:
        name = self._service.name
        instance = event.instance or "an instance"
        if event.type in _BY_ITSELF:
            return f"Render replaces instances of {name} by itself: not the build's doing"
        if event.type == "maintenance_mode_enabled":
            return f"maintenance mode of {name} was changed: users may get 503 from Render itself"
        if event.type != "server_failed":
            return None
        if event.evicted:
            return f"Render took {instance} of {name} away by itself: not the build's doing"
        if event.unhealthy is None:
            how = f": {one_line(event.crashed, _WORDS)}" if event.crashed else ""
            return f"{instance} of {name} failed at Render{how}"
        said = one_line(event.unhealthy, _WORDS)
        return f"Render's health check failed on {instance} of {name}: {said}"
