"""Counts from Render's own metrics: requests and 5xx of a service's public address.

What they cannot say. They are of a service, not of a build: where the candidate replaces the
control on one service, what the old instances answered during the change is the candidate's, and
the control has nothing. Requests over the private network, such as those an edge sends on, are
not counted. Values may be counts or rates, which is not documented; as counts they are then too
few, which only makes a judge slower. Render keeps them in buckets of 30 s and some time late.

Render's own answers count too: the 503 of its maintenance mode, and what is answered while it
replaces instances by itself, are errors of that service like those of the build. A caller that
knows of such an event (see ``release.happenings``) must hold, not blame.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Final

from slipway.errors import NotOnThisPlan, Refused
from slipway.ports import (
    NOTHING,
    Clock,
    Counts,
    Found,
    Measured,
    Meter,
    MetricSource,
    Platform,
    Side,
    Sides,
)

EVERY: Final = 30.0
"""Seconds: the length of Render's buckets; asking more often tells nothing new."""
HOUR: Final = 3600
ABSENT: Final = 20
"""Requests of the control after which a candidate without any counts is remarkable."""


class RenderMetric(MetricSource):
    """Requests and 5xx, as Render counts them."""

    def __init__(self, platform: Platform, clock: Clock) -> None:
        self._platform = platform
        self._clock = clock

    def check(self, control: Side) -> Found:
        """Ask for the last hour. Raises ``Refused`` where the plan has no such metrics."""
        try:
            counts = self.before(control, HOUR)
        except NotOnThisPlan as error:
            raise Refused(
                f"Render does not give requests by status code here: {error.found}",
                remedy="Take a plan that has them, or count with the edge or Prometheus.",
            ) from error
        if counts is None:
            return Found(
                sentence="Render counted no requests in the last hour; it counts only those that "
                "come by the public address",
                traffic=False,
            )
        return Found(
            sentence=f"{counts.total:,} requests in the last hour, {counts.bad:,} of them 5xx",
            traffic=counts.total > 0,
        )

    def since_now(self, sides: Sides) -> Meter:
        """Begin to count both sides. Raises ``OutsideError``."""
        meter = _Meter(self, sides, self._clock)
        meter.read()
        return meter

    def before(self, control: Side, seconds: float) -> Counts | None:
        """Count the last ``seconds`` of the service; ``None``: Render has nothing."""
        return self.since(control, self._clock.now() - timedelta(seconds=seconds))

    def since(self, side: Side, moment: datetime) -> Counts | None:
        """Count a service since then. Rounded so that too little is called bad, not too much."""
        found = self._platform.requests(side.service, since=moment, until=self._clock.now())
        if found is None:
            return None
        return Counts(total=math.ceil(found.total), bad=math.floor(found.errors))


class _Meter(Meter):
    """Both services since it was made; asks again when there can be something new."""

    def __init__(self, metric: RenderMetric, sides: Sides, clock: Clock) -> None:
        self._metric = metric
        self._sides = sides
        self._clock = clock
        self._since = clock.now()
        self._due = clock.monotonic()
        self._last = Measured(candidate=NOTHING, control=NOTHING)

    def read(self) -> Measured:
        """Return what Render has counted. Raises ``OutsideError``."""
        if self._clock.monotonic() >= self._due:
            self._last = self._ask()
            self._due = self._clock.monotonic() + EVERY
        return self._last

    def _ask(self) -> Measured:
        sides = self._sides
        candidate = self._metric.since(sides.candidate, self._since)
        in_place = sides.candidate.service == sides.control.service
        control = None if in_place else self._metric.since(sides.control, self._since)
        last = self._last
        if _back(candidate, last.candidate) or _back(control, last.control):
            return Measured(
                candidate=last.candidate,
                control=last.control,
                hold="Render counts fewer requests than before: its answer is not complete",
            )
        hold = ""
        if candidate is None and control is None:
            hold = "Render has no counts yet"
        elif candidate is None and control is not None and control.total >= ABSENT:
            hold = (
                "Render has no counts of the candidate, and of the control "
                f"{control.total:,} requests"
            )
        return Measured(candidate=candidate or NOTHING, control=control or NOTHING, hold=hold)


def _back(now: Counts | None, last: Counts) -> bool:
    known = now or NOTHING
    return known.total < last.total or known.bad < last.bad
