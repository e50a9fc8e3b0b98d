"""Where a judge's counts come from: the edge, Prometheus, PostHog or Render, behind one interface.

A metric is a pair of numbers that only grow: how many events there were, and how many of them were
bad. A source tells them for each side of a comparison, since a moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Events, and the bad ones among them: requests and 5xx, replies and slow replies, …"""

    total: int
    bad: int

    def __add__(self, other: Counts) -> Counts:
        """Both together."""
        return Counts(total=self.total + other.total, bad=self.bad + other.bad)

    def __sub__(self, other: Counts) -> Counts:
        """What has come since ``other``; below 0 where these are not later counts of the same."""
        return Counts(total=self.total - other.total, bad=self.bad - other.bad)


NOTHING = Counts(total=0, bad=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two that are compared: a build on a Render service."""

    build: str
    """What the running build calls itself: the commit that was baked into it, where it is known;
    else its digest."""
    service: str
    """Render's id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Who is compared with whom."""

    candidate: Side
    control: Side
    """The build before. In a rolling release it is gone, and only its past is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a meter counted since it began. Both only grow from reading to reading."""

    candidate: Counts
    control: Counts
    hold: str = ""
    """Why this reading decides nothing, where it does not: data are old, …"""
    doubt: str = ""
    """Why it is not all there is: it may speak against the candidate, and never for it."""
    drop: str = ""
    """Why what came since the last reading is left out for good."""


class Meter(Protocol):
    """Counts since a moment, through restarts of the counters."""

    def read(self) -> Measured:
        """Read once. Raises :class:`slipway.errors.OutsideError` where the source fails: hold."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a check of a metric found."""

    sentence: str
    """What is there, with numbers: "3 series of all, 3 of bad; 1,204 events in the last hour"."""
    traffic: bool
    """Whether anything was counted in the last hour, as far as that is known."""
    warning: str = ""
    """What makes one doubt that the right thing is counted, where something does."""


class MetricSource(Protocol):
    """Asks for one metric. Made for it: the queries are already in it."""

    def check(self, control: Side) -> Found:
        """Ask once, before anything is deployed, for the build that is live.

        Raises :class:`slipway.errors.Refused` where a name matches nothing or a query is wrong (a
        configuration error, with what to mend), and :class:`slipway.errors.OutsideError` where the
        source cannot be reached.
        """
        ...

    def since_now(self, sides: Sides) -> Meter:
        """Begin to count both sides. Makes a first reading; raises ``OutsideError``."""
        ...

    def before(self, control: Side, seconds: float) -> Counts | None:
        """Count the build that is live over the last ``seconds``: for releases without a control.

        ``None``: this source cannot say, or has nothing. Raises ``OutsideError``.
        """
        ...
