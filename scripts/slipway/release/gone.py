"""Whether the last instance of a candidate is gone: what it used may be taken away only then."""

from __future__ import annotations

from typing import Final

from slipway.errors import SlipwayError
from slipway.ports import Deploy, Service
from slipway.release.deploys import Ports, Pulse, no_pulse

LAST: Final = 420.0
"""Seconds after which the last old instance must be gone: Render ends them 60 s after it has
switched, and kills them after a shutdown delay of 300 s at most."""


class NewInstances:
    """The instances of one service that came after a release had begun."""

    def __init__(self, ports: Ports, service: Service, *, all_new: bool = False) -> None:
        """``all_new``: those that are there came with the release already, by a run that died.

        Raises what Render's list raises: without it nothing can be told later.
        """
        self._ports = ports
        self._service = service
        listed = () if all_new else ports.platform.instances(service.id)
        self._before = frozenset(instance.id for instance in listed)

    def why_not_gone(self, before: Deploy, now: Deploy, pulse: Pulse = no_pulse) -> str | None:
        """Wait for them to go. Return why new code may still run; ``None``: none does.

        ``before`` served when the release began, ``now`` does after the way back. Where that is
        another deploy, instances that came after it are its own. Never raises.
        """
        ports, name = self._ports, self._service.name
        until = ports.clock.monotonic() + LAST
        troubled = shown = False
        while True:
            try:
                left = self._left(before, now)
            except SlipwayError as error:
                if not troubled:
                    ports.journal.trouble(f"listing instances of {name}: {error.found}")
                left, troubled = None, True
            if left is not None and not left:
                return None
            if ports.clock.monotonic() >= until:
                which = ", ".join(sorted(left)) if left else "Render does not say which there are"
                return f"{name} may still run the new code ({which}) after {LAST:.0f} s"
            if not shown:
                ports.journal.note(f"waiting until {name} has no instance of the new code left")
                shown = True
            ports.clock.sleep(ports.poll)
            pulse()

    def _left(self, before: Deploy, now: Deploy) -> set[str]:
        back = now.created_at if now.id != before.id else None
        return {
            instance.id
            for instance in self._ports.platform.instances(self._service.id)
            if instance.id not in self._before and (back is None or instance.created_at < back)
        }
