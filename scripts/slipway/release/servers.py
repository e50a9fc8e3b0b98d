"""Render's own word on the instances of a candidate: its health check failed, or they ended.

Own probes reach one instance at a time, through the load balancer; Render asks each. What it says
of instances that were there before the candidate is not the candidate's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from slipway.background import Start
from slipway.errors import OutsideError, Tripped
from slipway.ports import Clock, Event
from slipway.release.deploys import Ports, live
from slipway.release.guards import Beside, Look
from slipway.text import one_line

EVERY: Final = 20.0
"""Seconds between two questions."""
RECENT: Final = 300.0
"""A deploy that went live longer ago was live before this release: what happened then was met by
others, and the clocks of the runner and of Render are not further apart."""
_WORDS: Final = 120


class ServerGuard:
    """Reads ``server_failed`` events of a service whose every instance is the candidate's.

    Render tells of a health check only when it has failed for a minute in a row: that is bad at
    once. Instances that crash are bad when there are ``failures`` of them. One that Render itself
    takes away is told elsewhere, and nobody is blamed. Events that cannot be read hold nothing.
    """

    def __init__(self, ports: Ports, service_id: str, *, failures: int) -> None:
        self._ports = ports
        self._service = service_id
        self._failures = failures
        self._began = ports.clock.now()
        self._since: datetime | None = None
        self._old: frozenset[str] = frozenset()
        self._troubled = False

    def look(self) -> Look:
        """Ask once."""
        try:
            events = self._events()
        except OutsideError as error:
            if not self._troubled:
                self._troubled = True
                self._ports.journal.trouble(f"whether instances failed is not known: {error.found}")
            return Look()
        failed = [e for e in events if e.type == "server_failed" and e.instance not in self._old]
        sick = next((event for event in failed if event.unhealthy is not None), None)
        if sick is not None:
            said = one_line(sick.unhealthy or "", _WORDS)
            return Look(trip=Tripped(f"Render's health check failed on {_name(sick)}: {said}"))
        crashed = [event for event in failed if event.crashed is not None and not event.evicted]
        if len(crashed) < self._failures:
            return Look()
        last = crashed[-1]
        return Look(
            trip=Tripped(
                f"{len(crashed)} instances ended since the build went live, the last "
                f"{_name(last)}: {one_line(last.crashed or '', _WORDS)}"
            )
        )

    def _events(self) -> Sequence[Event]:
        platform = self._ports.platform
        if self._since is None:
            deploy = live(platform.deploys(self._service))
            if deploy is not None:
                listed = platform.instances(self._service)
                self._old = frozenset(i.id for i in listed if i.created_at < deploy.created_at)
            recent = self._began - timedelta(seconds=RECENT)
            went_live = (deploy and deploy.finished_at) or self._began
            self._since = went_live if went_live > recent else self._began
        return platform.events(self._service, since=self._since)


def _name(event: Event) -> str:
    return one_line(event.instance or "an instance", _WORDS)


class Unheld:
    """A guard beside the main path that never holds: own probes decide where it is silent."""

    def __init__(self, name: str, guard: ServerGuard, *, clock: Clock, start: Start) -> None:
        self._beside = Beside(name, guard, every=EVERY, clock=clock, start=start)

    def look(self) -> Look:
        """Return what the last look found to be bad."""
        return Look(trip=self._beside.look().trip)
