"""What a release is judged by: its metrics, their rules, and a reading of all of them at a look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from slipway.background import Start, Task, at_once
from slipway.config import Judge, Metric
from slipway.config import Service as Settings
from slipway.errors import Refused, SlipwayError
from slipway.judge import calibration
from slipway.judge.limit import Limit
from slipway.judge.metric import Reading, Rule
from slipway.ports import (
    NOTHING,
    Clock,
    Edge,
    Measured,
    Meter,
    MetricSource,
    Side,
    Sides,
)
from slipway.release.edge_metric import EdgeMetric, EdgeReadings
from slipway.release.journal import Journal

ERRORS = "5xx"
"""The metric that every release has: answers 500 and above, and none at all."""


def sources_with_edge(
    settings: Settings, others: Mapping[str, MetricSource], edge: Edge, clock: Clock
) -> dict[str, MetricSource]:
    """Return the source of every metric of a canary, the edge's own 5xx first."""
    readings = EdgeReadings(edge, clock)
    sources: dict[str, MetricSource] = {ERRORS: EdgeMetric(readings)}
    for name, metric in settings.metrics.items():
        if metric.source == "edge":
            sources[name] = EdgeMetric(readings, metric.slower_than)
        elif name in others:
            sources[name] = others[name]
    return sources


def check(sources: Mapping[str, MetricSource], control: Side, journal: Journal) -> None:
    """Ask every source once, before anything is changed.

    Raises :class:`slipway.errors.Refused` where a name matches nothing, and
    :class:`slipway.errors.OutsideError` where a source cannot be reached.
    """
    for name, source in sources.items():
        try:
            found = source.check(control)
        except Refused as error:
            raise Refused(f"{name}: {error.found}", remedy=error.remedy) from error
        if found.traffic:
            journal.gate(f"{name}: {found.sentence}")
        else:
            journal.trouble(f"{name}: no traffic yet, so nothing to compare with: {found.sentence}")
        if found.warning:
            journal.trouble(f"{name}: {found.warning}")


def rules_of(
    judge: Judge,
    metrics: Mapping[str, Metric],
    names: Sequence[str],
    *,
    calibrated: bool = False,
    tolerated_alone: Mapping[str, float] | None = None,
) -> tuple[Rule, ...]:
    """Return the rule of each metric. They share ``judge.alpha`` evenly.

    ``tolerated_alone``: there is no control, and each metric may be as bad as this rate.
    """
    settings = {name: metrics.get(name) for name in names}
    # Only of the edge's errors it is known how sellers differ.
    left = 1 - calibration.SPENT if calibrated else 1.0
    testing = [name for name, metric in settings.items() if not (metric and metric.limit)]
    return tuple(
        _rule(
            name,
            metric,
            judge,
            alpha=judge.alpha / max(1, len(testing)) * (left if name == ERRORS else 1.0),
            alone=None if tolerated_alone is None else tolerated_alone.get(name, 1.0),
        )
        for name, metric in settings.items()
    )


def _rule(
    name: str, metric: Metric | None, judge: Judge, *, alpha: float, alone: float | None
) -> Rule:
    limit = metric.limit if metric else None
    literal = judge.rule == "literal" and name == ERRORS
    hold_above = metric.hold_above if metric else None
    return Rule(
        name=name,
        noun="requests" if name == ERRORS else f"{name} events",
        tolerated=metric.ratio if metric and metric.ratio else judge.ratio,
        alpha=alpha,
        least=judge.min_errors,
        kind="limit" if limit else "literal" if literal else "evidence",
        limit=None
        if limit is None
        else Limit(share=limit.percent / 100, times=limit.times, of=limit.of, least=limit.min),
        hold_above=None if hold_above is None else hold_above / 100,
        alone=alone,
        confirm=alone is None and metric is not None and metric.source != "edge",
    )


LATE: Final = 30.0
"""Seconds after which a source that has not answered makes its metric hold."""


class _Open:
    """A metric that is being counted: asked beside the main path, as a source may hang."""

    def __init__(self, source: MetricSource, sides: Sides) -> None:
        self._source = source
        self._sides = sides
        self._meter: Meter | None = None
        self._task: Task | None = None
        self._asked = 0.0
        self._got: Measured | Exception | None = None
        self._last = Measured(candidate=NOTHING, control=NOTHING)
        self._holding = "no counts yet"

    def read(self, start: Start, now: float) -> Reading:
        """Return what has come, and ask again. Never waits where ``start`` does not."""
        self._take()
        if self._task is None:
            self._asked, self._task = now, start(self._ask)
            self._take()
        got, self._got = self._got, None
        if got is not None:
            return self._reading(got)
        if now - self._asked >= LATE:
            return Reading(hold=f"no counts: no answer for {now - self._asked:.0f} s")
        return Reading(hold=self._holding)

    def _take(self) -> None:
        if self._task is not None and self._task.done():
            self._task = None

    def _ask(self) -> None:
        try:
            if self._meter is None:
                self._meter = self._source.since_now(self._sides)
            self._got = self._meter.read()
        except Exception as error:  # told to whoever asked: this may be a thread of its own
            self._got = error

    def _reading(self, got: Measured | Exception) -> Reading:
        if isinstance(got, SlipwayError):
            return self._hold(f"no counts: {got.found}")
        if isinstance(got, Exception):
            raise got
        if got.hold:
            return self._hold(got.hold)
        candidate = got.candidate - self._last.candidate
        control = got.control - self._last.control
        for counts in (candidate, control):
            if min(counts.total, counts.bad, counts.total - counts.bad) < 0:
                return self._hold(
                    f"more bad events than events, or fewer than before ({counts.bad} of "
                    f"{counts.total}): the two counters are not of the same thing"
                )
        self._last, self._holding = got, got.drop
        if got.drop:
            return Reading(hold=got.drop)
        return Reading(candidate=candidate, control=control, doubt=got.doubt)

    def _hold(self, why: str) -> Reading:
        self._holding = why
        return Reading(hold=why)


class Readings:
    """Reads all metrics at a look, and says what has come since the last one that counted.

    The edge is asked at once, all others beside it: a source that hangs costs neither the lease nor
    the time in which 5xx are found. What they say comes with the next look then.
    """

    def __init__(
        self,
        sources: Mapping[str, MetricSource],
        sides: Sides,
        *,
        clock: Clock,
        start: Start,
    ) -> None:
        self._clock = clock
        self._start = start
        self._open = {name: _Open(source, sides) for name, source in sources.items()}
        self._at_once = {n for n, source in sources.items() if isinstance(source, EdgeMetric)}
        self.read()

    def read(self) -> dict[str, Reading]:
        """Read every metric once. A source that fails makes its metric hold; nothing is lost."""
        now = self._clock.monotonic()
        return {
            name: one.read(at_once if name in self._at_once else self._start, now)
            for name, one in self._open.items()
        }
