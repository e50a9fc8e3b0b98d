"""What the sellers of each bin met while nobody was on the canary, by the hour. No I/O.

Sellers differ: one has an expired token, another a thousand products. Who compares a share of them
with the others has to know how these two differ by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .cohort import BIN_PERCENT, BINS
from .counters import Met

HOURS: Final = 7 * 24
HOUR: Final = 3600.0
"""Seconds."""
WEEK: Final = HOURS * HOUR
_NOTHING: Final[tuple[Met, ...]] = (Met(),) * BINS
_MOST: Final = 2**53


@dataclass(frozen=True, slots=True)
class Habits:
    """What the sellers of each bin met."""

    bins: tuple[Met, ...] = _NOTHING
    seconds: float = 0.0
    """For how long that has been counted."""

    def joined(self, other: Habits) -> Habits:
        """Return what was counted at both, side by side."""
        return Habits(_sum(self.bins, other.bins), max(self.seconds, other.seconds))

    def split(self, share: int) -> tuple[Met, Met]:
        """Return what those met whom ``share`` percent means, and all others.

        ``share`` is a multiple of ``BIN_PERCENT``.
        """
        inside = share // BIN_PERCENT
        return sum(self.bins[:inside], start=Met()), sum(self.bins[inside:], start=Met())


class Hours:
    """The last seven days' increases of counters that only grow while an epoch lasts.

    ``now`` is seconds of the wall clock, as hours are kept over a restart; an hour begins at each
    multiple of 3600. Where that clock is put back, hours that are still to come say nothing.
    """

    def __init__(self, hours: Mapping[int, Habits] | None = None) -> None:
        self._hours = dict(hours or {})
        self._last: tuple[str, tuple[Met, ...], float] | None = None

    def read(self, epoch: str, bins: Sequence[Met], now: float) -> None:
        """Take in a reading.

        The first reading of an epoch is where its counting begins; what was counted between the
        last reading of the epoch before and its end is lost.
        """
        if self._last is None or self._last[0] != epoch:
            self._last = epoch, tuple(bins), now
            return
        _, old, before = self._last
        # Two who read side by side may come in the other order: nothing is counted twice for that.
        newest = tuple(_most(a, b) for a, b in zip(bins, old, strict=True))
        self._last = epoch, newest, now
        grown = [
            Met(a.requests - b.requests, a.root_errors - b.root_errors)
            for a, b in zip(newest, old, strict=True)
        ]
        hour = int(now // HOUR)
        kept = self._hours.get(hour, Habits())
        # No longer than an hour: a clock that is put forward counts nothing.
        passed = min(HOUR, max(0.0, now - before))
        self._hours[hour] = Habits(_sum(kept.bins, grown), kept.seconds + passed)
        self._hours = {key: one for key, one in self._hours.items() if _recent(key, now)}

    def total(self, now: float) -> Habits:
        """Return the sum of the hour that runs and the 23 before."""
        recent = [one for hour, one in self._hours.items() if _recent(hour, now)]
        bins = _NOTHING
        for one in recent:
            bins = _sum(bins, one.bins)
        return Habits(bins, min(WEEK, sum(one.seconds for one in recent)))

    def encode(self) -> dict[str, Any]:
        """Return the hours as a JSON object."""
        return {str(hour): encode(one) for hour, one in self._hours.items()}


def decode_hours(raw: Any) -> Hours:
    """Read what :meth:`Hours.encode` made.

    Raises ``AttributeError``, ``KeyError``, ``TypeError`` or ``ValueError``.
    """
    return Hours({int(hour): decode(one) for hour, one in raw.items()})


def encode(habits: Habits) -> dict[str, Any]:
    """Return a JSON object: ``bins`` as pairs of requests and root errors."""
    bins = [[one.requests, one.root_errors] for one in habits.bins]
    return {"bins": bins, "seconds": round(habits.seconds, 1)}


def decode(raw: Any) -> Habits:
    """Read what :func:`encode` made. Raises ``KeyError``, ``TypeError`` or ``ValueError``."""
    bins, seconds = [Met(*pair) for pair in raw["bins"]], raw["seconds"]
    numbers = [number for one in bins for number in (one.requests, one.root_errors)]
    if len(bins) != BINS or not all(type(n) is int and 0 <= n <= _MOST for n in numbers):
        raise ValueError("not the counters of all bins")
    if type(seconds) not in (int, float) or not 0 <= seconds <= _MOST:
        raise ValueError("not a number of seconds")
    return Habits(tuple(bins), float(seconds))


def _recent(hour: int, now: float) -> bool:
    return 0 <= int(now // HOUR) - hour < HOURS


def _most(one: Met, other: Met) -> Met:
    return Met(max(one.requests, other.requests), max(one.root_errors, other.root_errors))


def _sum(left: Sequence[Met], right: Sequence[Met]) -> tuple[Met, ...]:
    return tuple(a + b for a, b in zip(left, right, strict=True))
