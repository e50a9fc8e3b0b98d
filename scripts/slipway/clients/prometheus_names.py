"""Why a query selects nothing: said with what Prometheus has instead."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final

from slipway.clients.prometheus_api import PrometheusApi
from slipway.clients.prometheus_counts import HOUR
from slipway.clients.promql import PLACES, any_value, filled, name_in, over
from slipway.errors import Refused
from slipway.ports import Side
from slipway.text import one_line, short

EXAMPLES: Final = 3


def explain(api: PrometheusApi, query: str, side: Side, at: float, *, name_is_enough: bool) -> None:
    """Raise :class:`Refused` for a query that selects nothing for ``side``.

    ``name_is_enough``: return where Prometheus has a metric of that name at all.
    """
    name = name_in(query)
    names = api.names() if name else ()
    if name in names and name_is_enough:
        return
    shown = one_line(name or query, 120)
    _other_values(api, query, side, at, shown)
    if name and name not in names:
        raise _unknown(name, names)
    raise Refused(
        f"no series matches {one_line(query, 200)} in the last hour",
        remedy="Look for the metric in Prometheus: one of the labels in the query is another "
        "there, or nothing is scraped.",
    )


def _other_values(api: PrometheusApi, query: str, side: Side, at: float, shown: str) -> None:
    """Raise where the query selects something as soon as build, or service too, may be any."""
    for place, value in zip(PLACES, (side.build, side.service), strict=True):
        loosened = any_value(query, place)
        if loosened is None:
            continue
        query, label = loosened
        wanted = f"{label} {short(value)}"
        selector = over(filled(query, side), HOUR)
        found = api.values(
            f"topk({EXAMPLES}, count by ({label}) (last_over_time({selector})))", label, at
        )
        if found:
            raise Refused(
                f"there are series of {shown}, but none with {wanted}: {label} is "
                + ", ".join(found),
                remedy=f"Does the service export the label {label} as "
                + ("the commit it was built from?" if place == "{build}" else "Render's id?"),
            )


def _unknown(name: str, names: Sequence[str]) -> Refused:
    near = get_close_matches(name, names, EXAMPLES, 0.5)
    known = (
        f"the nearest names are {', '.join(one_line(n, 80) for n in near)}"
        if near
        else (f"none of its {len(names)} names is like it")
    )
    return Refused(
        f"Prometheus has no metric {one_line(name, 120)}; {known}",
        remedy="Correct the name in slipway.yml, or see why the service is not scraped.",
    )
