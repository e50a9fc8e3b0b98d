"""Counts from Prometheus: counters that a service exports with its build as a label.

A query is a plain selector of counters. Each reading asks for the samples since the last one and
follows every series by itself, so that a restart is seen in every sample that was scraped. The
samples carry the time of their scrape by Prometheus' clock, so their age is known without a
query of its own and without comparing two machines' clocks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final

from slipway.clients.http import Http
from slipway.clients.prometheus_api import PrometheusApi, WrongQuery
from slipway.clients.prometheus_counts import HOUR, SideCounts, Track, Which
from slipway.clients.prometheus_names import explain
from slipway.clients.promql import COUNTER_ITSELF, check_places, filled
from slipway.errors import NotFound, OutsideError, Refused
from slipway.ports import NOTHING, Counts, Found, Measured, Meter, MetricSource, Side, Sides

SETTLE: Final = 5.0
"""Seconds. A reading is about a moment so long ago: a scrape's samples bear the time at which it
began, and what was begun then has been kept since. Otherwise one scrape might be in the bad
events and not yet in all of them."""
SLICE: Final = 900
"""Seconds of samples asked for at once, so that an answer stays small."""
ABSENT: Final = 20
"""Events of the control after which a candidate that exports nothing is remarkable."""


class PrometheusMetric(MetricSource):
    """One metric. ``other`` selects the ``which``: the bad events, or the good ones."""

    def __init__(
        self,
        http: Http,
        *,
        all_query: str,
        other_query: str,
        which: Which,
        max_age: float = 90.0,
        settle: float = SETTLE,
    ) -> None:
        """``max_age`` (seconds): older numbers decide nothing."""
        self._api = PrometheusApi(http)
        self._queries = (all_query, other_query)
        self._which: Which = which
        self._max_age = max_age
        self._settle = settle

    def check(self, control: Side) -> Found:
        """Ask for the last hour of the live build. Raises ``Refused`` and ``OutsideError``."""
        for query in self._queries:
            check_places(query)
        try:
            return self._found(control)
        except WrongQuery as error:
            raise Refused(error.found, remedy=COUNTER_ITSELF) from error
        except NotFound as error:
            raise Refused(
                f"{error.found}: that is no Prometheus",
                remedy="Give the address that /api/v1/query follows, as prometheus: url.",
            ) from error

    def since_now(self, sides: Sides) -> Meter:
        """Begin to count both sides. Raises ``OutsideError``.

        Where the queries do not tell them apart (one service, and no ``{build}``), all is the
        candidate's.
        """
        at = self._now()
        alike = all(filled(q, sides.candidate) == filled(q, sides.control) for q in self._queries)
        return PrometheusMeter(
            candidate=self._begin(sides.candidate, at),
            control=None if alike else self._begin(sides.control, at),
            now=self._now,
            max_age=self._max_age,
            in_place=sides.candidate.service == sides.control.service,
        )

    def before(self, control: Side, seconds: float) -> Counts | None:
        """Count the live build's last ``seconds``; ``None`` where there was nothing."""
        counted = self._last(control, seconds)
        if counted.problem:
            raise OutsideError(counted.problem, remedy="Look at these counters in Prometheus.")
        return counted.counts if counted.counts.total else None

    def _found(self, control: Side) -> Found:
        counted = self._last(control, HOUR)
        for query, part in zip(self._queries, (counted.all, counted.other), strict=True):
            if not part.known:
                # A counter that is labelled `slow` need not exist before the first slow event.
                may_be_absent = part is counted.other and self._which == "bad"
                explain(self._api, query, control, counted.at, name_is_enough=may_be_absent)
        if counted.problem:
            raise Refused(counted.problem, remedy=COUNTER_ITSELF)
        age = counted.all.age(counted.at)
        if age > self._max_age:
            raise Refused(
                f"the newest numbers of the live build are {_age(age, HOUR)} old; older ones than "
                f"{self._max_age:g} s decide nothing",
                remedy="See why Prometheus does not scrape the service, or, where it does so "
                "seldom, raise prometheus: max-age.",
            )
        total, bad = counted.counts.total, counted.counts.bad
        others = str(counted.other.known) if counted.other.known else "none yet"
        return Found(
            sentence=f"{counted.all.known} series of `all`, {others} of `{self._which}`; "
            f"{total:,} events in the last hour, {bad:,} of them bad",
            traffic=total > 0,
            warning=doubtful(self._which, counted.other.known, counted.counts),
        )

    def _now(self) -> float:
        return self._api.now() - self._settle

    def _begin(self, side: Side, at: float) -> SideCounts:
        every, other = (Track(self._api, filled(query, side), at) for query in self._queries)
        return SideCounts(every, other, self._which, at)

    def _last(self, side: Side, seconds: float) -> SideCounts:
        end = self._now()
        counted = self._begin(side, end - seconds)
        while counted.at < end and not counted.problem:
            counted.advance(min(end, counted.at + SLICE), self._max_age)
        return counted


class PrometheusMeter(Meter):
    """Both sides since it began.

    ``in_place``: the candidate replaces the control on one service, whose counters then end by
    themselves; it is no fault that they are old.
    """

    def __init__(
        self,
        *,
        candidate: SideCounts,
        control: SideCounts | None,
        now: Callable[[], float],
        max_age: float,
        in_place: bool,
    ) -> None:
        self._candidate = candidate
        self._control = control
        self._now = now
        self._max_age = max_age
        self._in_place = in_place

    def read(self) -> Measured:
        """Read once. Raises ``OutsideError``."""
        at = self._now()
        self._candidate.advance(at, self._max_age)
        if self._control:
            self._control.advance(at, self._max_age)
        control = self._control.counts if self._control else NOTHING
        hold = next(self._reasons(at, control), "")
        return Measured(candidate=self._candidate.counts, control=control, hold=hold)

    def _reasons(self, at: float, control: Counts) -> Iterator[str]:
        for name, side in (("candidate", self._candidate), ("control", self._control)):
            if side is None:
                continue
            if side.problem:
                yield f"{name}: {side.problem}"
            ends = self._in_place and side is self._control
            age = side.all.age(at)
            if side.all.known and age > self._max_age and not ends:
                yield f"the numbers of the {name} are {_age(age, self._max_age)} old"
        if not self._candidate.all.known and control.total >= ABSENT:
            yield (
                "the candidate exports none of what `all` counts, while the control counted "
                f"{control.total:,} events"
            )


def doubtful(which: Which, known: int, counts: Counts) -> str:
    """Say what makes it doubtful that bad events are counted as such; empty where nothing does."""
    if which == "bad" and not known:
        return "`bad` has no series: see that its labels are those of the counter"
    if counts.bad and 2 * counts.bad >= counts.total:
        return (
            "half or more of the live build's events are bad: see that the right ones are counted"
        )
    return ""


def _age(seconds: float, looked_back: float) -> str:
    """Say an age; where nothing is in sight, that it is more than was looked back."""
    return f"{seconds:.0f} s" if math.isfinite(seconds) else f"more than {looked_back:g} s"
