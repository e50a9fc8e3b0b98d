"""Counters by the hour, for a day: how would-be cohorts differ while nobody is moved. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

HOURS: Final = 24
HOUR: Final = 3600.0
"""Seconds."""


class Hours:
    """A ring of the last 24 hours' increases of counters that only grow while an epoch lasts."""

    def __init__(self) -> None:
        self._ring: deque[tuple[int, dict[str, int]]] = deque(maxlen=HOURS)
        self._last: tuple[str, dict[str, int]] | None = None

    def read(self, epoch: str, counters: Mapping[str, int], now: float) -> None:
        """Take in a reading. ``now``: monotonic seconds; an hour begins at each multiple of 3600.

        The first reading of an epoch is where its counting begins; what was counted between the
        last reading of the epoch before and its end is lost.
        """
        before, self._last = self._last, (epoch, dict(counters))
        if before is None or before[0] != epoch:
            return
        hour = int(now // HOUR)
        if not self._ring or self._ring[-1][0] != hour:
            self._ring.append((hour, {}))
        total = self._ring[-1][1]
        for name, value in counters.items():
            total[name] = total.get(name, 0) + max(0, value - before[1].get(name, 0))

    def hours(self, now: float) -> dict[str, dict[str, int]]:
        """Return the increases by age in whole hours, ``"0"`` for the hour that runs."""
        this = int(now // HOUR)
        ages = ((this - hour, total) for hour, total in self._ring)
        return {str(age): dict(total) for age, total in ages if age < HOURS}


def flatten(tree: Any, prefix: str = "") -> dict[str, int]:
    """Return the whole numbers in nested objects by their dotted path."""
    if isinstance(tree, Mapping):
        parts = (flatten(value, f"{prefix}{key}.") for key, value in tree.items())
        return {path: value for part in parts for path, value in part.items()}
    return {prefix.rstrip("."): tree} if type(tree) is int else {}
