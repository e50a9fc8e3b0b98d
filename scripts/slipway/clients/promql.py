"""A metric's query for Prometheus: a selector of counters, with the build's and service's place.

PromQL has braces of its own. Only the literal texts ``{build}`` and ``{service}`` are places.
"""

from __future__ import annotations

import re
from typing import Final

from slipway.errors import Refused
from slipway.ports import Side
from slipway.text import one_line

PLACES: Final = ("{build}", "{service}")
_VALUE: Final = re.compile(r"[A-Za-z0-9._:@/-]+")
"""What needs no escaping between PromQL's quotes. Commits, digests and Render's ids are such."""
_NAME: Final = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{|#|$)")
_EXAMPLE: Final = 'bot_replies_total{build="{build}"}'
COUNTER_ITSELF: Final = (
    f"Write the selector of the counter itself, such as {_EXAMPLE}: Slipway follows each series "
    "through restarts, which sum(), rate() and other functions hide."
)
"""The remedy for every query that is more than a selector."""


def check_places(query: str) -> None:
    """Raise :class:`Refused` where a query would count the same for every build and service."""
    if not any(place in query for place in PLACES):
        raise Refused(
            f"the query {one_line(query, 120)} names neither {{build}} nor {{service}}: candidate "
            "and control would be counted together",
            remedy=f"Write where the build's name belongs, such as {_EXAMPLE}.",
        )


def filled(query: str, side: Side) -> str:
    """Return the selector for one side. Raises :class:`Refused` for a name that is none."""
    for place, value in zip(PLACES, (side.build, side.service), strict=True):
        if place not in query:
            continue
        if not _VALUE.fullmatch(value):
            raise Refused(
                f"{one_line(value, 80)!r} cannot stand for {place} in a query",
                remedy="Builds are commits or digests, services are Render's ids.",
            )
        query = query.replace(place, value)
    return query


def over(selector: str, seconds: int) -> str:
    """Return the samples of the last ``seconds``: Prometheus refuses all but a plain selector.

    On a line of its own, so that a comment at the end does not swallow the range.
    """
    return f"{selector}\n[{seconds}s]"


def any_value(query: str, place: str) -> tuple[str, str] | None:
    """Return the query with any value in ``place``, and the label that is compared with it."""
    matcher = re.compile(rf"""(\w+)\s*=~?\s*(["'])[^"']*{re.escape(place)}[^"']*\2""")
    found = matcher.search(query)
    if found is None:
        return None
    return matcher.sub(r'\1=~".+"', query), found[1]


def name_in(query: str) -> str | None:
    """Return the name of the metric that a selector begins with, if it does."""
    found = _NAME.match(query)
    return found[1] if found else None
