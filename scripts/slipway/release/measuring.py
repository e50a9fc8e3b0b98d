"""What a release is judged by: its metrics, their rules, and a reading of all of them at a look."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from slipway.config import Judge, Metric
from slipway.config import Service as Settings
from slipway.errors import OutsideError
from slipway.judge import calibration
from slipway.judge.limit import Limit
from slipway.judge.metric import Reading, Rule
from slipway.ports import (
    NOTHING,
    Clock,
    Counts,
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
        found = source.check(control)
        if found.traffic:
            journal.gate(f"{name}: {found.sentence}")
        else:
            journal.trouble(f"{name}: no traffic yet, so nothing to compare with: {found.sentence}")


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
    testing = [name for name, metric in settings.items() if not (metric and metric.limit)]
    return tuple(
        _rule(
            name,
            metric,
            judge,
            alpha=judge.alpha / max(1, len(testing)) * _left(name, metric, calibrated),
            alone=None if tolerated_alone is None else tolerated_alone.get(name, 1.0),
        )
        for name, metric in settings.items()
    )


def _left(name: str, metric: Metric | None, calibrated: bool) -> float:
    """Return the part of alpha that calibration leaves to the test."""
    return 1 - calibration.SPENT if calibrated and _of_edge(name, metric) else 1.0


def _of_edge(name: str, metric: Metric | None) -> bool:
    """Whether the metric is the edge's root errors, of which it knows the sellers' habits."""
    if metric is None:
        return name == ERRORS
    return metric.source == "edge" and metric.slower_than is None


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
    )


@dataclass(slots=True)
class _Open:
    """A metric that is being counted."""

    meter: Meter | None = None
    last: Measured = field(default_factory=lambda: Measured(candidate=NOTHING, control=NOTHING))


class Readings:
    """Reads all metrics at a look, and says what has come since the last one that counted."""

    def __init__(
        self, sources: Mapping[str, MetricSource], sides: Sides, said: Callable[[str], None]
    ) -> None:
        self._sources = sources
        self._sides = sides
        self._said = said
        self._open = {name: _Open() for name in sources}
        for name, one in self._open.items():
            try:
                one.meter = sources[name].since_now(sides)
            except OutsideError as error:
                said(f"{name}: no counts yet: {error.found}")

    def read(self) -> dict[str, Reading]:
        """Read every metric once. A source that fails makes its metric hold; nothing is lost."""
        return {name: self._read(name, one) for name, one in self._open.items()}

    def _read(self, name: str, one: _Open) -> Reading:
        try:
            if one.meter is None:
                one.meter = self._sources[name].since_now(self._sides)
            now = one.meter.read()
        except OutsideError as error:
            return Reading(hold=f"no counts: {error.found}")
        if now.hold:
            return Reading(hold=now.hold)
        reading = Reading(
            candidate=_grown(now.candidate, one.last.candidate),
            control=_grown(now.control, one.last.control),
        )
        for counts in (reading.candidate, reading.control):
            if min(counts.total, counts.bad, counts.total - counts.bad) < 0:
                return Reading(
                    hold=f"more bad events than events, or fewer than before ({counts.bad} of "
                    f"{counts.total}): the two counters are not of the same thing"
                )
        one.last = now
        return reading


def _grown(now: Counts, last: Counts) -> Counts:
    return Counts(total=now.total - last.total, bad=now.bad - last.bad)
