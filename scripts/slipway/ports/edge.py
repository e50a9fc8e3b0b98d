"""The edge in front of both tracks, and what answers behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from slipway.ports.flags import Holder
from slipway.ports.metrics import Counts

LATENCY_LIMITS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds: the limits by which the edge counts answers (``LATENCY_EDGES`` of its agent)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """A person's order to end the judging of the release under way and promote it."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeState:
    """What the edge does now."""

    share: float
    """Effective percent of sellers on the canary track."""
    flag: str | None
    """Key of the flag it follows."""
    flag_version: int | None
    phase: str | None
    release: str | None
    candidate: str | None
    """Digest or commit, from the record the edge has."""
    lease_release: str | None
    lease_holder: Holder | None
    lease_remaining: float
    """Seconds; 0 when nobody holds the lease."""
    killed: str | None
    """The release that was killed here and is still latched."""
    killed_reason: str | None = None
    why: str
    """One sentence: why the share is what it is."""
    promotion: Promotion | None = None
    """An order for the release that holds the lease."""
    missing: tuple[str, ...] = ()
    """Instances of the edge that did not answer the one that was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackCounts:
    """One track's counters."""

    requests: int
    errors: int
    """Requests answered with 5xx, or not at all."""
    root_errors: int
    """Those errors of which there was none of the same seller in the ten seconds before: a retry is
    no new evidence."""
    latency: tuple[int, ...] = ()
    """Answers by how long they took: one number for each of the edge's limits, and one beyond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeCounts:
    """The fleet's counters since ``epoch`` began. Another epoch: the counters restarted."""

    epoch: str
    stable: TrackCounts
    canary: TrackCounts
    missing: tuple[str, ...] = ()
    """Instances whose counters are not in it: a partial answer, which decides nothing."""
    instances: tuple[EdgeCounts, ...] = ()
    """Each instance's own, which are what can be followed through restarts of others. Empty: one
    edge, which is all there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What sellers met on the stable track, by who they are, while nobody was on the canary.

    ``inside`` are those whom a share means, ``outside`` all others who are known by an id.
    ``bad`` counts root errors.
    """

    inside: Counts
    outside: Counts
    seconds: float
    """For how long it has been counted; seven days at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sellers:
    """How many sellers the edge has seen lately, and how many of them a share means."""

    known: int
    cohort: int
    seconds: float
    """For how long they have been counted."""


class Edge(Protocol):
    """The edge in front of both tracks."""

    def state(self) -> EdgeState:
        """Read what the edge does now."""
        ...

    def counts(self) -> EdgeCounts:
        """Read the counters."""
        ...

    def habits(self, share: float) -> Habits | None:
        """Return how the sellers whom ``share`` percent means differ from the others.

        ``None``: this edge does not count for that share (it does for multiples of 5).
        """
        ...

    def sellers(self, share: float) -> Sellers:
        """Count the sellers of the last days, and those whom ``share`` percent would mean."""
        ...

    def renew(self, release: str, holder: Holder, ttl: float) -> EdgeState:
        """Take or renew the lease for ``ttl`` seconds. ``Refused``: another holder has it."""
        ...

    def give_back(self, release: str, holder: Holder) -> None:
        """End the lease. Idempotent."""
        ...

    def refresh(self, version: int, timeout: float) -> EdgeState:
        """Have the edge read the flag until it has applied ``version``, ``timeout`` s at most."""
        ...

    def promote(self, release: str, by: str, reason: str) -> EdgeState:
        """Leave an order for the controller of ``release``: it moves nobody by itself.

        Raises :class:`slipway.errors.Refused` where nobody holds the lease for that release.
        """
        ...

    def kill(self, release: str | None, reason: str) -> EdgeState:
        """Share 0 at once, latched against this release."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a probe saw."""

    url: str
    status: int | None
    """``None``: no HTTP answer (refused, reset, timed out)."""
    seconds: float
    build: str | None
    """The build the answer names, where it names one."""
    reconnected: bool = False
    """Whether a kept-alive connection had been closed meanwhile, and a new one was made for it."""
    error: str | None = None
    holds: bool | None = None
    """Whether the text that was looked for is there; ``None``: none was looked for."""


class Prober(Protocol):
    """Plain HTTP GETs, as a user would make them."""

    def probe(self, url: str, *, timeout: float, text: str | None = None) -> Answer:
        """GET ``url`` and look for ``text`` in the answer, where one is given.

        Never raises for what the other side does: the answer says it.
        """
        ...
