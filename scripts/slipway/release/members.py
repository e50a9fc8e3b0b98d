"""The services of a fleet: one instance each, behind a balancer, never two of them down at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from slipway.config import Health
from slipway.errors import SlipwayError
from slipway.ports import Deploy, Service
from slipway.release.deploys import Ports
from slipway.release.health import GOOD_IN_A_ROW, describe, healthy


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One service of a fleet."""

    service: Service
    url: str
    """Where its own health is asked for."""
    live: Deploy
    """What it runs when the fleet is read."""
    before: Deploy
    """What a way back brings."""
    named: str | None = None
    """What answers of the build before name, where that is known."""

    @property
    def name(self) -> str:
        """How people know it."""
        return self.service.name


class Down(SlipwayError):
    """A service does not answer well, so that no other one may be touched."""

    def __init__(self, member: Member, why: str) -> None:
        super().__init__(
            f"{member.name} does not answer well ({why}): no other service of the fleet may be "
            "taken out beside it",
            remedy=f"Look at {member.name} at Render. Never two services of a fleet are changed at "
            "once: press Rollback there, or run this again when it answers.",
        )
        self.member = member


def names(members: Sequence[Member]) -> str:
    """Return the names in order, for a sentence."""
    return ", ".join(member.name for member in members)


def await_all(ports: Ports, members: Sequence[Member], health: Health) -> None:
    """Wait until all ``members`` answer well several times in a row. Raises :class:`Down`."""
    until = ports.clock.monotonic() + health.deadline
    good = 0
    while True:
        found = _first_bad(ports, members, health)
        good = 0 if found else good + 1
        if good >= GOOD_IN_A_ROW:
            return
        if found and ports.clock.monotonic() >= until:
            raise found
        ports.clock.sleep(min(1.0, ports.poll))


def is_down(ports: Ports, member: Member, health: Health) -> bool:
    """Return whether ``member`` fails as often in a row as makes a build unhealthy."""
    for _ in range(health.failures):
        if _first_bad(ports, [member], health) is None:
            return False
        ports.clock.sleep(min(1.0, ports.poll))
    return True


def one_by_one_back(
    ports: Ports,
    fleet: Sequence[Member],
    changed: Sequence[Member],
    health: Health,
    act: Callable[[Member], None],
) -> None:
    """Have ``act`` bring each of ``changed`` back, the last changed first. Raises :class:`Down`.

    One that is down goes first, as nothing is lost with it; one that answers is touched only
    while all others of the fleet answer.
    """
    left = list(reversed(changed))
    while left:
        member = next((m for m in left if is_down(ports, m, health)), None)
        if member is None:
            member = left[0]
            await_all(ports, [other for other in fleet if other is not member], health)
        left.remove(member)
        act(member)


def _first_bad(ports: Ports, members: Sequence[Member], health: Health) -> Down | None:
    for member in members:
        answer = ports.prober.probe(member.url, timeout=health.timeout)
        if not healthy(answer):
            return Down(member, describe(answer))
    return None
