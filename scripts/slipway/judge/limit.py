"""M of N looks above a limit: for a promise of its own, whatever the build before does.

Alarms of this kind are in CloudWatch ("M out of N datapoints"). How often one of ``m`` of ``n``
looks fires by chance is nobody's promise: it depends on how many events a look has, which is why
looks are put together until there are enough.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from slipway.ports import NOTHING, Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """``share`` (0 to 1) of bad events; ``times`` of ``of`` looks; at least ``least`` events."""

    share: float
    times: int
    of: int
    least: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """The last looks."""

    above: tuple[bool, ...] = ()
    """Whether each was above, the newest last."""
    waiting: Counts = NOTHING
    """Events that are not yet enough for a look."""

    def see(self, counts: Counts, limit: Limit) -> Looks:
        """Take in what has come."""
        total, bad = self.waiting.total + counts.total, self.waiting.bad + counts.bad
        if total < limit.least:
            return replace(self, waiting=Counts(total=total, bad=bad))
        return Looks(above=(*self.above, bad > limit.share * total)[-limit.of :])

    def breached(self, limit: Limit) -> bool:
        """Return whether enough of the last looks were above."""
        return sum(self.above) >= limit.times
