"""Probing a service continuously while something else is waited for."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime

from slipway.config import Health
from slipway.ports import Answer, Clock, Prober
from slipway.release.health import describe, healthy
from slipway.release.watch import Tripped

_A_MOMENT = 1e-6
"""Seconds; below the resolution of what is timed here."""


class Probes:
    """Probes one URL and counts. One probe in every answer's time; each a new connection."""

    def __init__(
        self, prober: Prober, clock: Clock, url: str, health: Health, *, max_failed: int
    ) -> None:
        self.made = 0
        self.failed = 0
        self.tripped = False
        self.builds: list[str] = []
        """The builds that good answers named, without repetitions in a row."""
        self._prober = prober
        self._clock = clock
        self._url = url
        self._health = health
        self._max_failed = max_failed
        self._last_good: float | None = None
        self._ended = False
        self._gap = 0.0
        self._last_bad: Answer | None = None

    def probe(self) -> None:
        """Probe once. Raises :class:`Tripped` when more have failed than may."""
        answer = self._prober.probe(self._url, timeout=self._health.timeout)
        self.made += 1
        if healthy(answer):
            self._gap = self.longest_gap
            self._last_good = self._clock.monotonic()
            if answer.build is not None and self.builds[-1:] != [answer.build]:
                self.builds.append(answer.build)
            return
        self.failed += 1
        self._last_bad = answer
        if self.failed > self._max_failed:
            self.tripped = True
            raise Tripped(f"{self.sentence()}; at most {self._max_failed} may fail")

    def end(self) -> None:
        """Count no further: the time from now on is not a gap."""
        self._gap = self.longest_gap
        self._ended = True

    @property
    def longest_gap(self) -> float:
        """Seconds between two good answers in a row, at most; counts the one that lasts."""
        if self._ended or self._last_good is None:
            return self._gap
        return max(self._gap, self._clock.monotonic() - self._last_good)

    def sentence(self) -> str:
        """Say how many failed, and the longest time between good answers."""
        last = f" (the last: {describe(self._last_bad)})" if self._last_bad else ""
        return (
            f"{self.failed} of {self.made} probes failed during the change{last}, "
            f"longest gap between good answers {self.longest_gap:.2f} s"
        )


class ProbingClock(Clock):
    """A clock whose sleepers probe meanwhile, ``every`` so many seconds."""

    def __init__(self, clock: Clock, probes: Probes, *, every: float) -> None:
        self._clock = clock
        self._probes = probes
        self._every = every
        self._due = clock.monotonic()

    def now(self) -> datetime:
        """Return the current time, aware, UTC."""
        return self._clock.now()

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait and probe. Raises what the clock and :meth:`Probes.probe` raise."""
        until = self._clock.monotonic() + seconds
        while True:
            now = self._clock.monotonic()
            self._clock.sleep(max(0.0, min(self._due, until) - now))
            now = self._clock.monotonic()
            if now + _A_MOMENT >= self._due:
                self._probes.probe()
                # A slow answer is not followed by a burst.
                self._due = max(self._due + self._every, now)
            if self._clock.monotonic() + _A_MOMENT >= until:
                return

    def shielded(self) -> AbstractContextManager[None]:
        """Return a context in which no cancellation is raised."""
        return self._clock.shielded()
