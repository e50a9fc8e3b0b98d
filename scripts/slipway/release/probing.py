"""Probing a service continuously while something else is waited for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime

from slipway.config import Health
from slipway.errors import Tripped
from slipway.ports import Answer, Clock, Kept, Prober
from slipway.release.health import describe, healthy
from slipway.release.watch import Trip, raised

_A_MOMENT = 1e-6
"""Seconds; below the resolution of what is timed here."""


class Line:
    """What was seen of one way to connect: how many answers were good, and how far apart."""

    def __init__(self, prober: Prober | Kept, clock: Clock) -> None:
        self.prober = prober
        self.made = 0
        self.failed = 0
        self.reconnected = 0
        self._clock = clock
        self._last_good: float | None = None
        self._ended = False
        self._gap = 0.0

    def count(self, answer: Answer) -> bool:
        """Count ``answer``; return whether it is good."""
        self.made += 1
        self.reconnected += answer.reconnected
        if not healthy(answer):
            self.failed += 1
            return False
        self._gap = self.longest_gap
        self._last_good = self._clock.monotonic()
        return True

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


class Probes:
    """Probes one URL and counts: each turn once on a new connection, and once on a kept one.

    One turn in every two answers' time at the most.
    """

    def __init__(
        self,
        fresh: Prober,
        kept: Kept,
        clock: Clock,
        url: str,
        health: Health,
        *,
        max_failed: int,
        trip: Trip = raised,
    ) -> None:
        self.tripped = False
        self.builds: list[str] = []
        """The builds that good answers named, without repetitions in a row."""
        self.also: Callable[[], None] = lambda: None
        """Done in every turn."""
        self._fresh = Line(fresh, clock)
        self._kept = Line(kept, clock)
        self._url = url
        self._health = health
        self._max_failed = max_failed
        self._trip = trip
        self._others = 0
        self._last_bad = ""

    @property
    def made(self) -> int:
        """How many probes on new connections there were."""
        return self._fresh.made

    def probe(self) -> None:
        """Probe once each way. Raises :class:`Tripped` when more have failed than may."""
        for line in (self._fresh, self._kept):
            answer = line.prober.probe(self._url, timeout=self._health.timeout)
            if line.count(answer):
                if answer.build is not None and self.builds[-1:] != [answer.build]:
                    self.builds.append(answer.build)
            else:
                self._last_bad = describe(answer)
                self._trip_if_too_many()
        self.also()

    def count_failed(self, what: str, remedy: str) -> None:
        """Count a failure that another look found. Raises :class:`Tripped` as :meth:`probe`."""
        self._others += 1
        self._trip_if_too_many(what, remedy)

    def _trip_if_too_many(self, what: str = "", remedy: str | None = None) -> None:
        failed = self._fresh.failed + self._kept.failed + self._others
        if failed > self._max_failed:
            self.tripped = True
            found = f"{what}; {self.sentence()}" if what else self.sentence()
            self._trip(Tripped(f"{found}; at most {self._max_failed} may fail", remedy))

    def end(self) -> None:
        """Count no further: the time from now on is not a gap."""
        self._fresh.end()
        self._kept.end()

    @property
    def longest_gap(self) -> float:
        """Seconds between two good answers in a row, at most, on either kind of connection."""
        return max(self._fresh.longest_gap, self._kept.longest_gap)

    def sentence(self) -> str:
        """Say how many failed of each, and the longest time between good answers."""
        fresh, kept = self._fresh, self._kept
        last = f" (the last: {self._last_bad})" if self._last_bad else ""
        times = "once" if kept.reconnected == 1 else f"{kept.reconnected} times"
        return (
            f"{fresh.failed} of {fresh.made} probes failed during the change on new connections, "
            f"{kept.failed} of {kept.made} on a kept-alive one (reconnected {times}){last}, "
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
