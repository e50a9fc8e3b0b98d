"""Counts from PostHog's events, by HogQL queries that each give one number.

``POST /api/projects/{id}/query/`` takes ``{"query": {"kind": "HogQLQuery", "query", "values"},
"refresh"}``; ``values`` stand for ``{placeholders}`` as constants, so nothing is ever put into the
text. Where the team has no API queries of its own, PostHog lets through 120 HogQL queries an hour
(posthog/rate_limit.py): both sides and both numbers are therefore asked for in one query, of four
scalar subqueries, and not more often than :data:`EVERY`.

Events reach PostHog's tables seconds to minutes late. Counts since a moment then only grow, for
both sides alike.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from typing import Any, Final, Literal
from urllib.parse import quote

from slipway.clients.fields import wrong
from slipway.clients.http import Http, Key
from slipway.clients.replies import Reply
from slipway.clients.retries import Notice, Patience, Sleep, silent
from slipway.errors import OutsideError, Refused, SlipwayError, Unauthorized
from slipway.ports import (
    NOTHING,
    Clock,
    Counts,
    Found,
    Measured,
    Meter,
    MetricSource,
    Side,
    Sides,
)
from slipway.text import one_line

EVERY: Final = 60.0
"""Seconds between two questions of one metric: 60 of 120 an hour. Two metrics need twice as many
seconds each."""
HOUR: Final = 3600
PATIENCE: Final = Patience(attempts=1, connect_timeout=5.0, read_timeout=30.0)
"""One attempt: a question that is refused for the rate limit must not use it up."""
_PLACE: Final = re.compile(r"\{\s*(\w+)\s*\}")
_QUOTED: Final = re.compile(r"""(["'])\{\s*\w+\s*\}\1""")
_REFUSED: Final = frozenset({400, 403})
_EXAMPLE: Final = (
    "SELECT count() FROM events WHERE event = 'bot_reply' AND properties.build = {build} "
    "AND timestamp > {since}"
)
_REMEDY: Final = f"Write a query that gives one number, such as: {_EXAMPLE}"


class WrongQuery(OutsideError):
    """PostHog does not take this query, or it gives something else than one number."""

    title = "Metric query not accepted"


def query_http(
    personal_key: str,
    *,
    base_url: str,
    setting: str = "posthog-api-key",
    notice: Notice = silent,
    sleep: Sleep = time.sleep,
) -> Http:
    """Return the connection for queries: like that for flags, but impatient."""
    renew = (
        "A personal API key with the scope query:read is made in PostHog under Settings, Personal "
        "API keys."
    )
    key = Key(value=personal_key, setting=setting, renew=renew)
    return Http("PostHog", base_url, key, patience=PATIENCE, notice=notice, sleep=sleep)


class PostHogMetric(MetricSource):
    """One metric. ``other_query`` counts the ``which``: the bad events, or the good ones."""

    def __init__(
        self,
        http: Http,
        *,
        project: int | str,
        all_query: str,
        other_query: str,
        which: Literal["bad", "good"],
        clock: Clock,
        every: float = EVERY,
    ) -> None:
        """``every``: seconds between two questions; what was answered is repeated meanwhile."""
        self._http = http
        self._path = f"/api/projects/{quote(str(project), safe='@')}/query/"
        self._queries = (all_query, other_query)
        self._which = which
        self._clock = clock
        self.every = every

    def check(self, control: Side) -> Found:
        """Count the live build's last hour. Raises ``Refused`` and ``OutsideError``."""
        for query in self._queries:
            _check_places(query)
        try:
            (counts,) = self.count([control], self.moment() - HOUR)
        except WrongQuery as error:
            raise Refused(error.found, remedy=_REMEDY) from error
        except Unauthorized as error:
            if "query:read" not in error.found:
                raise
            raise Refused(error.found, remedy=error.remedy) from error
        if not counts.total:
            return Found(
                sentence="0 events of this build in the last hour: PostHog does not tell whether "
                "there was no traffic or a name in the query is another",
                traffic=False,
            )
        return Found(
            sentence=f"{counts.total:,} events in the last hour, {counts.bad:,} of them bad",
            traffic=True,
        )

    def since_now(self, sides: Sides) -> Meter:
        """Begin to count both sides. Raises ``OutsideError``.

        Where the queries do not tell them apart (one service, and no ``{build}``), all is the
        candidate's.
        """
        names = {name for query in self._queries for name in _PLACE.findall(query)}
        alike = sides.candidate.service == sides.control.service and "build" not in names
        asked = [sides.candidate] if alike else [sides.candidate, sides.control]
        meter = _Meter(self, asked, self._clock)
        meter.read()
        return meter

    def before(self, control: Side, seconds: float) -> Counts | None:
        """Count the live build's last ``seconds``; ``None`` where there was nothing."""
        (counts,) = self.count([control], self.moment() - math.ceil(seconds))
        return counts if counts.total else None

    def moment(self) -> int:
        """Return the time in whole Unix seconds."""
        return int(self._clock.now().timestamp())

    def count(self, sides: Sequence[Side], since: int) -> Sequence[Counts]:
        """Ask once for all ``sides``. Raises :class:`WrongQuery` and what ``Http`` raises."""
        values: dict[str, str | int] = {"since": since}
        parts = []
        for number, side in enumerate(sides):
            values |= {f"build_{number}": side.build, f"service_{number}": side.service}
            parts += [_placed(query, number) for query in self._queries]
        columns = ",\n".join(f"(\n{part}\n) AS n{n}" for n, part in enumerate(parts))
        numbers = self._numbers(f"SELECT {columns}", values, len(parts))
        pairs = zip(numbers[::2], numbers[1::2], strict=True)
        return [self._counts(total, other) for total, other in pairs]

    def _counts(self, total: int, other: int) -> Counts:
        if other > total:
            raise WrongQuery(
                f"{other} {self._which} events of {total} in all: the queries do not count the "
                "same events",
                remedy="Let the second query count a part of what the first one counts.",
            )
        return Counts(total=total, bad=total - other if self._which == "good" else other)

    def _numbers(self, query: str, values: dict[str, str | int], many: int) -> list[int]:
        used = set(_PLACE.findall(query))
        body = {
            "query": {
                "kind": "HogQLQuery",
                "query": query,
                "values": {name: value for name, value in values.items() if name in used},
            },
            "refresh": "force_blocking",
            "name": "slipway",
        }
        reply = self._http.post(self._path, body, accept=_REFUSED)
        if reply.status == 403:
            raise _not_allowed(reply, self._http)
        if reply.status == 400:
            raise WrongQuery(f"{reply.where}: 400, {reply.said}", remedy=_REMEDY)
        fields = reply.object()
        if fields.raw.get("error"):
            raise WrongQuery(f"{reply.where}: {reply.said}", remedy=_REMEDY)
        match fields.raw.get("results"):
            case [[*row]] if len(row) == many:
                return [_whole(value, reply.where) for value in row]
        raise wrong(reply.where, f"one row of {many} numbers was expected")


class _Meter(Meter):
    """Both sides since it was made; asks again when it is time to."""

    def __init__(self, metric: PostHogMetric, sides: Sequence[Side], clock: Clock) -> None:
        self._metric = metric
        self._sides = sides
        self._clock = clock
        self._since = metric.moment()
        self._due = clock.monotonic()
        self._last: Measured | SlipwayError | None = None
        self._counted: Sequence[Counts] = ()

    def read(self) -> Measured:
        """Return what is known; raises what the last question raised, until the next is due."""
        if self._last is None or self._clock.monotonic() >= self._due:
            self._due = self._clock.monotonic() + self._metric.every
            try:
                self._last = self._ask()
            except OutsideError as error:
                self._last = error
        if isinstance(self._last, SlipwayError):
            raise self._last
        return self._last

    def _ask(self) -> Measured:
        counted = self._metric.count(self._sides, self._since)
        pairs = zip(counted, self._counted, strict=False)
        back = any(now.total < old.total or now.bad < old.bad for now, old in pairs)
        if not back:
            self._counted = counted
        candidate, control = (*self._counted, NOTHING)[:2]
        hold = "PostHog counts fewer events than before: its answer is not complete" if back else ""
        return Measured(candidate=candidate, control=control, hold=hold)


def _check_places(query: str) -> None:
    shown = one_line(query, 120)
    names = set(_PLACE.findall(query))
    if _QUOTED.search(query):
        raise Refused(f"{shown}: a placeholder stands between quotes", remedy=_REMEDY)
    if unknown := sorted(names - {"since", "build", "service"}):
        raise Refused(f"{shown}: no such placeholder: {', '.join(unknown)}", remedy=_REMEDY)
    if "since" not in names:
        raise Refused(f"{shown}: it does not say {{since}} when to count", remedy=_REMEDY)
    if not names & {"build", "service"}:
        raise Refused(
            f"{shown} names neither {{build}} nor {{service}}: candidate and control would be "
            "counted together",
            remedy=_REMEDY,
        )


def _placed(query: str, number: int) -> str:
    """Give each side placeholders of its own. A time as a number has no time zone to get wrong."""

    def placed(found: re.Match[str]) -> str:
        name = found[1]
        return "fromUnixTimestamp({since})" if name == "since" else f"{{{name}_{number}}}"

    return _PLACE.sub(placed, query)


def _not_allowed(reply: Reply, http: Http) -> OutsideError:
    if "scope" not in reply.said:
        return http.refusal(reply)
    return Unauthorized(
        f"{reply.where}: 403, {reply.said}. The personal key lacks the scope query:read",
        remedy="Give the key that scope in PostHog under Settings, Personal API keys.",
    )


def _whole(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongQuery(
            f"{where}: a query gives {one_line(str(value), 60)} instead of one number",
            remedy=_REMEDY,
        )
    if not 0 <= value < math.inf:
        raise WrongQuery(f"{where}: a query gives {value:g}, which is no count", remedy=_REMEDY)
    return math.floor(value)
