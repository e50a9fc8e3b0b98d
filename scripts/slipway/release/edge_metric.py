"""The edge as a source of counts: errors, or slow answers, of both tracks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from slipway.errors import OutsideError, Refused
from slipway.judge.followed import Followed
from slipway.judge.verdict import percent
from slipway.ports import (
    LATENCY_LIMITS,
    Clock,
    Counts,
    Edge,
    EdgeCounts,
    Found,
    Measured,
    MetricSource,
    Side,
    Sides,
    TrackCounts,
)

FRESH: Final = 0.5
"""Seconds for which one reading serves all metrics of the edge."""


SHARED: Final = 0.2
"""Share of the control's requests that fail, from which on it is nobody's fault."""
ENOUGH: Final = 20
"""Requests of the control since the last reading, for that to mean anything."""


class EdgeReadings:
    """Reads the edge's counters once for all its metrics."""

    def __init__(self, edge: Edge, clock: Clock) -> None:
        self._edge = edge
        self._clock = clock
        self._read: tuple[float, EdgeCounts] | None = None

    def now(self) -> EdgeCounts:
        """Return counters that are at most :data:`FRESH` seconds old. Raises ``OutsideError``."""
        now = self._clock.monotonic()
        if self._read is None or now - self._read[0] > FRESH:
            self._read = (now, self._edge.counts())
        return self._read[1]


class EdgeMetric(MetricSource):
    """Root errors among requests; with ``slower_than`` (seconds) answers that took longer.

    A retry is no new evidence: of the errors of one seller within ten seconds only the first one
    counts.
    """

    def __init__(self, readings: EdgeReadings, slower_than: float | None = None) -> None:
        self._readings = readings
        self._from = None if slower_than is None else _first_slow(slower_than)

    def check(self, control: Side) -> Found:
        """See that the edge answers, whole."""
        del control  # the edge knows its tracks
        counts = self._readings.now()
        if counts.missing:
            raise OutsideError(
                f"{', '.join(counts.missing)} of the edge did not answer: what the others count is "
                "not all there is",
                remedy="Wait until every instance of the edge answers, or take it out of "
                "EDGE_PEERS.",
            )
        seen = self._of(counts.stable)
        return Found(
            sentence=f"the edge answers: {seen.total:,} events of the stable track so far",
            traffic=seen.total > 0,
        )

    def since_now(self, sides: Sides) -> EdgeMeter:
        """Begin to count."""
        del sides
        return EdgeMeter(self, self._readings)

    def before(self, control: Side, seconds: float) -> Counts | None:
        """The edge has no past of its own."""
        del control, seconds
        return None

    def numbers(self, counts: EdgeCounts) -> dict[str, Sequence[int]]:
        """Return by the life of each instance: candidate's and control's counts, and those of the
        control's requests that failed, retries and all."""
        parts = counts.instances or (counts,)
        return {
            part.epoch: (candidate.total, candidate.bad, control.total, control.bad, failed)
            for part in parts
            for candidate, control in [(self._of(part.canary), self._of(part.stable))]
            for failed in [0 if self._from is not None else part.stable.errors]
        }

    def _of(self, track: TrackCounts) -> Counts:
        if self._from is None:
            return Counts(total=track.requests, bad=min(track.root_errors, track.requests))
        return Counts(total=sum(track.latency), bad=sum(track.latency[self._from :]))


class EdgeMeter:
    """Counts of both tracks since it began.

    Both tracks are behind every instance, so what some of them count is a fair comparison: it may
    speak against the candidate, but while an instance is missing nothing is said for it. Where a
    fifth of the control's requests fail, what is counted meanwhile is left out: a root error is
    one of a seller and ten seconds, and in an outage of everybody those with little traffic have
    more of them by request, whatever build they are on.
    """

    def __init__(self, metric: EdgeMetric, readings: EdgeReadings) -> None:
        self._metric = metric
        self._readings = readings
        first = readings.now()
        if first.missing:
            raise OutsideError(
                f"a partial count decides nothing: no answer from {', '.join(first.missing)}",
                remedy="Wait until every instance of the edge answers.",
            )
        self._followed = Followed(metric.numbers(first))
        self._last = (0, 0)
        """The control's requests, and those that failed."""

    def read(self) -> Measured:
        """Read once."""
        now = self._readings.now()
        total, bad, control_total, control_bad, failed = self._followed.add(
            self._metric.numbers(now)
        )
        requests, failing = control_total - self._last[0], failed - self._last[1]
        self._last = (control_total, failed)
        drop = ""
        if requests >= ENOUGH and failing >= SHARED * requests:
            drop = f"{percent(failing / requests)} fail on the build before too: that is no build's"
        silent = ", ".join(now.missing)
        return Measured(
            candidate=Counts(total=total, bad=bad),
            control=Counts(total=control_total, bad=control_bad),
            doubt=f"not all there is: no answer from {silent}" if silent else "",
            drop=drop,
        )


def _first_slow(seconds: float) -> int:
    """Return the index of the first number of ``latency`` that is slower. Raises ``Refused``."""
    at = bisect_left(LATENCY_LIMITS, seconds)
    if at == len(LATENCY_LIMITS) or LATENCY_LIMITS[at] != seconds:
        known = ", ".join(f"{limit:g}s" for limit in LATENCY_LIMITS)
        raise Refused(
            f"the edge does not count answers slower than {seconds:g} s",
            remedy=f"Set `slower-than` to one of {known}.",
        )
    return at + 1
