"""Prometheus' counters, followed: what each series has counted since a moment."""

from __future__ import annotations

import math
from typing import Final, Literal

from slipway.clients.prometheus_api import PrometheusApi, Series
from slipway.clients.promql import over
from slipway.judge.followed import Followed
from slipway.ports import NOTHING, Counts

Which = Literal["bad", "good"]
HOUR: Final = 3600
TURNS: Final = 4
"""So many turns of one series in a row are no coincidence."""
SOON: Final = 120.0
"""Seconds within which another process shows up again at an address that several share."""
LEAST: Final = 20
"""Events between two processes; a smaller difference a new process makes up by itself."""
MIXED: Final = (
    "a counter falls and comes back again and again: several instances seem to be scraped at one "
    "address. Let Prometheus find each instance (at Render by the host name HOST-discovery)"
)


class _Turns:
    """Whether one series shows several processes in turn, as behind a load balancer.

    Each fall would be taken for a restart, and what they counted long ago for new. A turn is a
    fall and a return in one step; none of the processes goes back, so neither do the heights
    between which they change. A process that crashes again and again comes back in small steps,
    or to other heights.
    """

    def __init__(self) -> None:
        self._last = self._high = self._low = 0.0
        self._fell_at: float | None = None
        self._turns = 0

    def see(self, at: float, value: float) -> bool:
        """Take a sample; return whether it has changed to and fro too often."""
        step = value - self._last
        if step < 0:
            if self._last < self._high or value < self._low:
                self._turns = 0
            self._high, self._low, self._fell_at = self._last, value, at
        elif self._fell_at is not None and value >= self._high:
            gap = self._high - self._low
            at_once = step >= 0.9 * gap and at - self._fell_at <= SOON
            self._turns += gap >= LEAST and at_once
            self._fell_at = None
        self._last = value
        return self._turns >= TURNS


class Track:
    """The series of one query, each followed since ``at`` (Unix seconds, Prometheus' clock)."""

    def __init__(self, api: PrometheusApi, selector: str, at: float) -> None:
        self._api = api
        self._selector = selector
        self._at = at
        # An hour back, also for what was just not scraped: a counter that was only out of sight
        # must not come back as a new one.
        started = api.series(f"last_over_time({over(selector, HOUR)})", at)
        self._followed = Followed({each.key: (each.samples[-1][1],) for each in started})
        self._seen = {each.key: at for each in started}
        self._turns: dict[str, _Turns] = {}
        self._mixed = False
        self._newest = 0.0
        self.total = 0.0
        """How much they have grown in all."""

    @property
    def known(self) -> int:
        """How many series there are or were."""
        return len(self._seen)

    def age(self, at: float) -> float:
        """Return how old the newest number is, in seconds; infinite where it is out of sight."""
        return at - self._newest if self._newest else math.inf

    def advance(self, at: float, margin: float) -> str:
        """Take the samples until ``at``; return what is wrong with them, or nothing.

        ``margin``: seconds that are looked at once more, for what has come late.
        """
        seconds = math.ceil(max(0.0, at - self._at) + margin)
        problem = ""
        for series in self._api.series(over(self._selector, seconds), at):
            problem = self._take(series) or problem
        self._at = max(self._at, at)
        return MIXED if self._mixed else problem

    def _take(self, series: Series) -> str:
        if not series.named:
            return "an answer holds series without a name: something was calculated"
        problem = ""
        for at, value in series.samples:
            self._newest = max(self._newest, at)
            if at <= self._seen.get(series.key, 0.0):
                continue
            self._seen[series.key] = at
            if math.isfinite(value) and value >= 0:
                (self.total,) = self._followed.add({series.key: (value,)})
                if self._turns.setdefault(series.key, _Turns()).see(at, value):
                    self._mixed = True
            else:
                problem = f"a counter says {value:g}, which is no count"
        return problem


class SideCounts:
    """One side: all events, and the bad or the good ones among them."""

    def __init__(self, every: Track, other: Track, which: Which, at: float) -> None:
        self.all = every
        self.other = other
        self.at = at
        self.counts = NOTHING
        self.problem = ""
        """Why the last reading makes no sense; :attr:`counts` are then those of the one before."""
        self._which = which

    def advance(self, at: float, margin: float) -> None:
        """Count until ``at``; see :meth:`Track.advance`."""
        problems = [track.advance(at, margin) for track in (self.all, self.other)]
        self.at = at
        self.problem = next(filter(None, problems), "") or self._contradiction()
        if not self.problem:
            # Rounded once, and down: so bad events are never more than all.
            total, other = math.floor(self.all.total), math.floor(self.other.total)
            bad = total - other if self._which == "good" else other
            # Counters that are no whole numbers could make the difference go back by one.
            self.counts = Counts(total=total, bad=max(self.counts.bad, bad))

    def _contradiction(self) -> str:
        if self.other.total > self.all.total:
            return (
                f"{self.other.total:g} {self._which} events of {self.all.total:g} in all: the "
                "queries do not count the same events"
            )
        if self._which == "good" and self.all.total and not self.other.known:
            return f"no series of `good` beside {self.all.total:g} events"
        return ""
