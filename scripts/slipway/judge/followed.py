"""Counters that start anew, followed: what they have counted since a moment, restarts or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

N = TypeVar("N", int, float)


class Followed(Generic[N]):
    """What a fleet's counters have counted since it began to be followed.

    A key is one life of one counting process, or one time series; its components (such as
    requests and errors) are numbers that only grow while it lives. A key that was not there
    before, or any component that goes back, is a restart: all that it then shows is new, and what
    was seen before is kept. A key that vanishes keeps what it had. Each is followed by itself: one
    that restarts must not bring the whole past of the others again. Only what was counted and
    lost between two readings is missing.
    """

    def __init__(self, start: Mapping[str, Sequence[N]]) -> None:
        self._last: dict[str, tuple[N, ...]] = {key: tuple(now) for key, now in start.items()}
        self._totals: tuple[N, ...] = ()
        for now in self._last.values():
            self._totals = tuple(one - one for one in now)

    def add(self, now: Mapping[str, Sequence[N]]) -> tuple[N, ...]:
        """Take a reading; return the totals since the beginning, component by component.

        All keys have as many components; without any key yet, and none before, it is empty.
        """
        for key, shown in now.items():
            self._totals = _sum(self._totals, grown(self._last.get(key, ()), shown))
            self._last[key] = tuple(shown)
        return self._totals


def grown(last: Sequence[N], now: Sequence[N]) -> Sequence[N]:
    """Return what a counter has counted since ``last``; all of ``now`` if it was restarted."""
    if not last or any(one < before for one, before in zip(now, last, strict=True)):
        return now
    return [one - before for one, before in zip(now, last, strict=True)]


def _sum(one: tuple[N, ...], other: Sequence[N]) -> tuple[N, ...]:
    if not one:
        return tuple(other)
    return tuple(a + b for a, b in zip(one, other, strict=True))
