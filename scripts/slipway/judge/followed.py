"""Counters that only grow, followed through restarts of those who count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class Followed:
    """How much counters have grown since a moment, each followed by itself.

    Keys name who counts: an instance's life, a series of Prometheus. A key that was not there
    before, or a number that goes back, is a restart: what is shown then is all new, and what was
    seen before is kept. Only what was counted and lost in between is missing. A key that is gone
    keeps what it had.
    """

    def __init__(self, start: Mapping[str, Sequence[int]]) -> None:
        self._last = {key: tuple(numbers) for key, numbers in start.items()}
        self._grown: tuple[int, ...] = ()

    def add(self, now: Mapping[str, Sequence[int]]) -> tuple[int, ...]:
        """Take a reading; return the growth of each number since the beginning, over all keys."""
        for key, numbers in now.items():
            last = self._last.get(key, (0,) * len(numbers))
            restarted = any(new < old for new, old in zip(numbers, last, strict=True))
            base = (0,) * len(numbers) if restarted else last
            kept = self._grown or (0,) * len(numbers)
            self._grown = tuple(k + n - b for k, n, b in zip(kept, numbers, base, strict=True))
            self._last[key] = tuple(numbers)
        return self._grown
