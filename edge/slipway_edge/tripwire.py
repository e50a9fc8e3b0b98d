"""The edge's own last resort: a canary that mostly fails is taken away with no runner in the loop.

Source: design, "The lease": canary at least 50 % 5xx over at least 20 requests. Counted over the
last :data:`WINDOW` seconds, and not from before the canary had a share of the present release.
Where stable fails as badly nobody would be better off there, and the build is not to blame.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

LEAST_REQUESTS: Final = 20
WORST_RATE: Final = 0.5
WINDOW: Final = 30.0
"""Seconds: long enough for 20 requests of a few sellers, short enough to forget a bad minute."""


@dataclass(frozen=True, slots=True)
class _Reading:
    at: float
    answered: int
    failed: int
    stable_answered: int
    stable_failed: int


class Tripwire:
    """Readings of the canary's counters, of one instance or more, and whether they are too bad."""

    def __init__(self) -> None:
        self._about: str | None = None
        self._lives: dict[str, deque[_Reading]] = {}

    def watch(self, about: str | None) -> None:
        """Say which release has a share now, ``None`` for nobody. A new one begins from nothing."""
        if about != self._about:
            self._about, self._lives = about, {}

    def read(self, counters: Mapping[str, Any], now: float) -> None:
        """Take in the counters of one instance. Its epoch names it: a restart is a new one."""
        canary, stable = counters["tracks"]["canary"], counters["tracks"]["stable"]
        relayed = int(canary.get("relayed", 0))
        reading = _Reading(
            at=now,
            # What stable answered for a dead canary hurts nobody: the judge counts it, not this.
            answered=int(canary["requests"]) - relayed,
            failed=int(canary["errors"]) - relayed,
            stable_answered=int(stable["requests"]),
            stable_failed=int(stable["errors"]),
        )
        readings = self._lives.setdefault(str(counters["epoch"]), deque())
        readings.append(reading)
        while len(readings) > 1 and readings[1].at <= now - WINDOW:
            readings.popleft()

    def verdict(self, now: float) -> str | None:
        """Return what is wrong, as a reason for a kill; ``None`` while the canary may go on."""
        lives = [one for one in self._lives.values() if one[-1].at > now - WINDOW]

        def grown(count: Callable[[_Reading], int]) -> int:
            return sum(count(readings[-1]) - count(readings[0]) for readings in lives)

        answered, failed = grown(lambda r: r.answered), grown(lambda r: r.failed)
        if not _bad(answered, failed):
            return None
        if _bad(grown(lambda r: r.stable_answered), grown(lambda r: r.stable_failed)):
            return None
        return f"tripwire: {failed} of {answered} requests failed within {WINDOW:g} s"


def _bad(answered: int, failed: int) -> bool:
    return answered >= LEAST_REQUESTS and failed >= WORST_RATE * answered
