"""When a lease that was held lapses with nobody giving it back, and which edge tells. No I/O.

Times are seconds of this machine's monotonic clock, handed in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from .flag import Definition, Flag
from .fleet import PRESENT, Member
from .state import Lease

WAIT: Final = 2.0
"""Seconds after the lapse: a renewal, or the end, that a peer was told is heard within one."""
TURN: Final = 10.0
"""Seconds that each edge has to be taken up on before the next one tells."""
_IN_ORDER: Final = "stable"
"""The phase in which a record says that nothing is left to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lapse:
    """A lease that ran out: whoever drove the release is gone."""

    id: str
    """The same at every edge."""
    lease: Lease
    since: float
    """When it was seen."""


class Lapses:
    """Watches one lease after the other."""

    def __init__(self, flag_key: str) -> None:
        self._flag_key = flag_key
        self._alive: Lease | None = None
        self.open: Lapse | None = None
        """The last lapse that nobody was told of yet."""

    def look(self, lease: Lease | None, definition: Definition | None, now: float) -> None:
        """Take note of how the lease stands."""
        if self.open is not None and (lease is None or lease.renewal != self.open.lease.renewal):
            self.open = None  # it was renewed, given back or taken over, and that was heard late
        if lease is not None and lease.alive(now):
            self._alive = lease
            return
        before, self._alive = self._alive, None
        if before is None or lease is None or lease.renewal != before.renewal:
            return
        if not in_order(definition):
            self.open = Lapse(id=name(self._flag_key, lease), lease=lease, since=now)

    def due(
        self, instance: str, members: Iterable[Member], told: Collection[str], now: float
    ) -> Lapse | None:
        """Return the lapse that this instance has to tell of now, once."""
        lapse = self.open
        if lapse is None or lapse.id in told:
            self.open = None
            return None
        # The others hear of it too; the smallest id among those who answer begins.
        present = [m.word.instance for m in members if now - m.heard <= PRESENT]
        before = len({other for other in present if other < instance})
        if now < lapse.since + WAIT + before * TURN:
            return None
        self.open = None
        return lapse


def name(flag_key: str, lease: Lease) -> str:
    """Return the id of this lapse: a receiver that knows it has been told already."""
    holder = lease.holder
    parts = (flag_key, lease.release, holder.run_id, str(holder.attempt))
    return f"slipway-edge-{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:32]}"


def in_order(definition: Definition | None) -> bool:
    """Tell whether the record says that whatever was begun has been ended."""
    record = definition.record if isinstance(definition, Flag) else None
    return record is not None and record.phase == _IN_ORDER
